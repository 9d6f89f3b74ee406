"""What a compiler and a linker must be told about a libtorch.

Owns the one translation from a `Libtorch` to command-line words, for our own extension, for other people's and for
`libtorch-ffi config`. It is pure: it opens no file, starts no process and asks no environment, so what depends on the
tools at hand (see `libtorch_ffi.build.toolchain`) comes in as an argument.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` for it would cost 2 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

    from libtorch_ffi.provision.libtorch import Libtorch

HEADERS_OF_THE_COMPILER = frozenset({"/usr/include", "/usr/local/include"})
"""Folders that a compiler searches by itself; to name one with -isystem would change the order of that search."""

ACCELERATORS = ("cuda", "hip", "xpu")
"""What the names of the libraries that register a device's kernels contain."""


class Flags:
    """The words for one libtorch; each is one argument of a command, not quoted.

    Attributes
    ----------
    includes
        The include folders alone: ``-I…`` (or ``-isystem``, ``…``).
    cxxflags
        All that the compiler needs: `includes`, the C++ ABI, the C++ standard.
    rpath
        Where the loader is to look at run time, alone.
    ldflags
        All that the linker needs: ``-L``, ``-l``, `rpath`.
    """

    __slots__ = ("cxxflags", "includes", "ldflags", "rpath")

    def __init__(
        self, includes: Iterable[str], dialect: Iterable[str], libraries: Iterable[str], rpath: Iterable[str]
    ) -> None:
        self.includes = list(includes)
        self.cxxflags = [*self.includes, *dialect]
        self.rpath = list(rpath)
        self.ldflags = [*libraries, *self.rpath]


def flags(
    libtorch: Libtorch, *, system_headers: bool = False, libstdcxx: bool | None = None, ld_classic: bool = False
) -> Flags:
    """Return the words that compile and link a file against a libtorch.

    Parameters
    ----------
    libtorch
        What to compile against.
    system_headers
        Name the headers with ``-isystem``: the compiler then keeps quiet about libtorch's own code.
    libstdcxx
        Whether the standard library is GNU's, the only one with two ABIs. None: as the platform has it.
    ld_classic
        Ask Apple's linker for its former self, which libtorch's older libraries need
        (see `libtorch_ffi.build.toolchain.takes_ld_classic`).
    """
    macos = libtorch.platform.startswith("macos")
    gnu = (not macos) if libstdcxx is None else libstdcxx
    search = [f"-L{folder}" for folder in libtorch.library_dirs]
    classic = ["-Wl,-ld_classic"] if macos and ld_classic else []
    return Flags(
        includes=_includes(libtorch, system=system_headers),
        dialect=[*_abi(libtorch, gnu=gnu), f"-std=c++{libtorch.cxx_standard}"],
        libraries=[*classic, *search, *_libraries(libtorch.libraries, macos=macos)],
        rpath=[f"-Wl,-rpath,{folder}" for folder in libtorch.library_dirs],
    )


def _includes(libtorch: Libtorch, *, system: bool) -> list[str]:
    folders = [str(folder) for folder in libtorch.include_dirs]
    if not system:
        return [f"-I{folder}" for folder in folders]
    return [word for folder in folders if folder not in HEADERS_OF_THE_COMPILER for word in ("-isystem", folder)]


def _abi(libtorch: Libtorch, *, gnu: bool) -> list[str]:
    """Choose libstdc++'s ABI as the libraries have it, also where it is the default: compilers differ in that."""
    return [f"-D_GLIBCXX_USE_CXX11_ABI={int(libtorch.cxx11_abi)}"] if gnu else []


def _libraries(names: Iterable[str], *, macos: bool) -> list[str]:
    """Name the libraries, and keep those of an accelerator.

    No symbol of theirs is called: they register kernels while they are loaded. A linker that drops what it sees no use
    of, as those of several distributions do by default, would leave a program that runs and sees no GPU.
    """
    plain = [f"-l{name}" for name in names if not registers_kernels(name)]
    kept = [f"-l{name}" for name in names if registers_kernels(name)]
    if kept and not macos:
        kept = ["-Wl,--push-state,--no-as-needed", *kept, "-Wl,--pop-state"]
    return [*kept, *plain]


def registers_kernels(name: str) -> bool:
    """Tell whether a library is there for what it does while it is loaded."""
    return any(accelerator in name for accelerator in ACCELERATORS)
