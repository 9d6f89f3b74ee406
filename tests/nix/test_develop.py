"""The development shell: `pip install -e .` in a fresh checkout, where no network is."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from flakes import OPTIONS, run

if TYPE_CHECKING:
    from pathlib import Path

    from flakes import Flake

pytestmark = [pytest.mark.slow, pytest.mark.compile]

INSTALL = "pip install --verbose -e . && python -c '{}'"
CODE = (
    "import libtorch_ffi as lt, os, sys; "
    'print(sys.prefix, lt.__file__, os.environ["LIBTORCH"], (lt.ones([6, 7]) * 1.0).sum().item())'
)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare (util-linux) is not installed")
def test_an_editable_install_asks_no_index(real: Flake, tmp_path: Path) -> None:
    clone = real.copied(tmp_path / "clone")
    fetched = clone.build("libtorch-cpu", tmp_path / "libtorch")
    assert fetched.returncode == 0, fetched.stderr[-3000:]
    alone = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    shell = ["nix", *OPTIONS, *clone.words("develop"), "-c", "sh", "-c", INSTALL.format(CODE)]
    answer = run([*alone, *shell], clone.home, {}, cwd=clone.source)
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    prefix, package, libtorch, value = answer.stdout.splitlines()[-1].split()
    assert prefix == str(clone.source / ".venv-nix-cpu")
    assert package == str(clone.source / "libtorch_ffi/__init__.py")
    assert libtorch.startswith("/nix/store/")
    assert value == "42.0"
