"""What happens when torch is imported after libtorch_ffi.

Owns the finder that stands before ``import torch`` once the extension is loaded. torch brings a libtorch of its own;
if that is another build, its libraries would be bound to the symbols of the one that is in the process, and the import
would end in an undefined symbol or worse. With the very same libtorch both live together, in either order, and the
finder steps aside. Never stands before any other module: it compares one name.
"""

from __future__ import annotations

import os
import sys

from libtorch_ffi._load import REINSTALL
from libtorch_ffi.errors import LoadError

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from libtorch_ffi._load import Built
else:
    Loader = object  # the import system asks for no base class, and importlib.abc is slow to import


def guard(built: Built) -> None:
    """Put the finder in place.

    Parameters
    ----------
    built
        The record of the libtorch that is in the process.
    """
    sys.meta_path.insert(0, TorchFinder(built))


class TorchFinder:
    """A finder that answers for ``torch`` alone, and only where its libtorch is another.

    Whoever merely asks whether torch is installed (``importlib.util.find_spec``) is told the truth; to import it is
    what fails.

    Parameters
    ----------
    built
        The record of the libtorch that is in the process.
    """

    def __init__(self, built: Built) -> None:
        self.built = built

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return torch's own spec with a loader that refuses, or None: the other finders go on."""
        if fullname != "torch":
            return None
        spec = self._as_others_find_it(fullname, path, target)
        if spec is not None and self._is_another(spec):
            spec.loader = Refusal(self.built)
            return spec
        return None

    def _as_others_find_it(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        return next((spec for spec in found if spec is not None), None)

    def _is_another(self, spec: ModuleSpec) -> bool:
        """Compare sizes; a package of this name without a libtorch is none of our business."""
        for folder in spec.submodule_search_locations or []:
            for name, size in self.built["sizes"].items():
                library = os.path.join(folder, "lib", name)
                if os.path.isfile(library) and os.path.getsize(library) != size:
                    return True
        return False


class Refusal(Loader):
    """A loader that raises.

    Parameters
    ----------
    built
        The record of the libtorch that is in the process.
    """

    def __init__(self, built: Built) -> None:
        self.built = built

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Refuse.

        Raises
        ------
        LoadError
            Always; the message names the command that mends it.
        """
        built = self.built
        raise LoadError(
            f"torch ({spec.origin}) cannot be imported into this process: it brings another libtorch than the one that "
            f"libtorch_ffi has loaded (libtorch {built['version']} {built['flavor']} in {built['prefix']}), and one "
            "process cannot hold both. torch was not loaded. Build libtorch_ffi against the libtorch of the installed "
            f"torch with `LIBTORCH_SOURCE=torch {REINSTALL}`, or use the two in separate processes."
        )

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: no module was created."""
