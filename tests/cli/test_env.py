"""`libtorch-ffi env`: what it prints, word for word and as each tool reads it, and what becomes of files."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import archives
import pytest
from command_line import put

from libtorch_ffi.build.systems import SYSTEMS
from libtorch_ffi.provision.targets import host_platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Answer

GOLDEN = Path(__file__).parent / "golden"

pytestmark = pytest.mark.skipif(host_platform() != "linux-x86_64", reason="the golden files are of one platform")


@pytest.fixture
def new_abi(home: Path) -> Path:
    """Return the folder of a libtorch whose C++ ABI is the compiler's own."""
    return put(home, cxx11_abi=True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_text_is_the_golden_one(ask: Callable[..., Answer], new_abi: Path, home: Path, system: str) -> None:
    answer = ask("env", "--for", system)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.replace(str(home), "/the/cache") == (GOLDEN / f"{system}.txt").read_text()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_old_abi_is_warned_of_where_it_does_not_suit(ask: Callable[..., Answer], tree: Path, system: str) -> None:
    answer = ask("env", "--for", system)
    assert answer.code == 0
    assert (f"{tree} has the old C++ ABI" in answer.err) == (system in {"cabal", "stack", "dune"})


def test_cargo_is_told_the_old_abi(ask: Callable[..., Answer], tree: Path) -> None:
    tomllib = pytest.importorskip("tomllib", reason="this Python reads no TOML")
    said = tomllib.loads(ask("env", "--for", "cargo").out)
    assert said["env"] == {"LIBTORCH": str(tree), "LIBTORCH_CXX11_ABI": "0"}
    assert said["build"] == {"rustflags": ["-C", f"link-arg=-Wl,-rpath,{tree}/lib"]}


@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")
def test_cargo_reads_it(ask: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cargo rustc` starts rustc with the flags of the file, and gives a build script its variables."""
    home = tmp_path / "it's a ñ cache"
    tree = put(home)
    monkeypatch.setenv("LIBTORCH_HOME", str(home))
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src/main.rs").write_text("fn main() {}\n")
    (project / "Cargo.toml").write_text('[package]\nname = "mine"\nversion = "0.1.0"\nedition = "2021"\n')
    (project / "build.rs").write_text(
        'fn main() { for n in ["LIBTORCH", "LIBTORCH_CXX11_ABI"] '
        '{ println!("cargo:warning={}", std::env::var(n).unwrap()); } }\n'
    )
    assert ask("env", "--for", "cargo", "--write", str(project)).out == f"{project}/.cargo/config.toml\n"
    done = subprocess.run(
        ["cargo", "build", "--offline", "-v"], cwd=project, capture_output=True, text=True, check=False
    )
    if "no default toolchain" in done.stderr or "rustup could not" in done.stderr:
        pytest.skip("cargo has no toolchain")
    assert done.returncode == 0, done.stderr
    assert f"warning: mine@0.1.0: {tree}" in done.stderr
    assert "warning: mine@0.1.0: 0" in done.stderr
    read = subprocess.run(["readelf", "-d", project / "target/debug/mine"], capture_output=True, text=True, check=True)
    assert f"[{tree}/lib]" in read.stdout


def test_yaml_reads_stack_s(ask: Callable[..., Answer], new_abi: Path) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(ask("env", "--for", "stack").out) == {
        "extra-include-dirs": [f"{new_abi}/include", f"{new_abi}/include/torch/csrc/api/include"],
        "extra-lib-dirs": [f"{new_abi}/lib"],
        "configure-options": {
            "$locals": [
                "--enable-shared",
                "--enable-executable-dynamic",
                f"--ghc-option=-optl-Wl,-rpath,{new_abi}/lib",
            ]
        },
    }


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="pkg-config is not installed")
def test_pkg_config_reads_it(ask: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a $cache with spaces"
    put(home)
    monkeypatch.setenv("LIBTORCH_HOME", str(home))
    assert ask("env", "--for", "pkg-config", "--write").out == "libtorch.pc\n"
    words = ["pkg-config", "--cflags", "--libs", "libtorch"]
    said = subprocess.run(words, env={"PATH": "/usr/bin:/bin", "PKG_CONFIG_PATH": "."}, capture_output=True, check=True)
    expected = [*shlex.split(ask("config", "--cxxflags").out), *shlex.split(ask("config", "--ldflags").out)]
    assert sorted(shlex.split(said.stdout.decode())) == sorted(expected)


@pytest.mark.parametrize("system", ["cabal", "stack"])
def test_a_shell_reads_what_hasktorch_is_told(
    ask: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    home = tmp_path / "a $cache with spaces"
    put(home)
    monkeypatch.setenv("LIBTORCH_HOME", str(home))
    comment = ask("env", "--for", system).out.splitlines()[1]
    assert shlex.split(comment.partition(" export ")[2])[0] == f"LIBTORCH_HOME={home}"


@pytest.mark.parametrize("system", SYSTEMS)
def test_written_twice_is_written_once_and_all_else_stays(
    ask: Callable[..., Answer], new_abi: Path, tmp_path: Path, system: str
) -> None:
    path = tmp_path / "project" / SYSTEMS[system].file
    path.parent.mkdir(parents=True)
    path.write_text("mine: one\n")
    path.chmod(0o640)
    for _ in range(2):
        assert ask("env", "--for", system, "--write", str(tmp_path / "project")).out == f"{path}\n"
    assert path.read_text() == "mine: one\n\n" + ask("env", "--for", system).out
    path.write_text(path.read_text() + "mine: two\n")
    (new_abi / ".ok").write_text(json.dumps({**json.loads((new_abi / ".ok").read_text()), "cxx11_abi": False}))
    assert ask("env", "--for", system, "--write", str(tmp_path / "project")).code == 0
    assert path.read_text() == "mine: one\n\n" + ask("env", "--for", system).out + "mine: two\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("system", "line"),
    [
        ("cabal", "shared: False"),
        ("stack", "extra-lib-dirs: [/mine]"),
        ("cargo", "[env]"),
        ("cargo", 'build.target = "x"'),
        ("dune", "(env (dev (flags -w)))"),
        ("pkg-config", "Name: other"),
    ],
)
def test_a_file_that_says_otherwise_is_left_as_it_is(
    ask: Callable[..., Answer], new_abi: Path, tmp_path: Path, system: str, line: str
) -> None:
    assert new_abi.is_dir()
    path = tmp_path / SYSTEMS[system].file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"# first\n{line}\n")
    answer = ask("env", "--for", system, "--write", str(tmp_path))
    assert (answer.code, answer.out) == (2, "")
    assert f"{path} says {line!r} already (line 2)" in answer.err
    assert path.read_text() == f"# first\n{line}\n"


def test_half_of_a_block_is_told(ask: Callable[..., Answer], new_abi: Path, tmp_path: Path) -> None:
    assert new_abi.is_dir()
    (tmp_path / "dune").write_text("; written by libtorch-ffi env: libtorch 2.5.0 cpu\n")
    assert "has only one of the two lines" in ask("env", "--for", "dune", "--write", str(tmp_path)).err


def test_a_folder_that_is_none(ask: Callable[..., Answer], new_abi: Path, tmp_path: Path) -> None:
    assert new_abi.is_dir()
    (tmp_path / "file").touch()
    answer = ask("env", "--for", "dune", "--write", str(tmp_path / "file"))
    assert answer.code == 1
    assert "cannot be written" in answer.err


def test_a_given_tree_is_no_cache_of_hasktorch_s(
    ask: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**archives.headers(), **{f"lib/{name}": data for name, data in archives.libraries(cuda=False).items()}}
    for name, data in files.items():
        (tmp_path / "given" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "given" / name).write_bytes(data)
    monkeypatch.setenv("LIBTORCH", str(tmp_path / "given"))
    assert "export LIBTORCH_SKIP_DOWNLOAD=1\n" in ask("env", "--for", "cabal").out


def test_hasktorch_finds_the_tree_by_its_own_rules(ask: Callable[..., Answer], new_abi: Path, home: Path) -> None:
    """As ``libtorch-ffi/Setup.hs`` has them: LIBTORCH_HOME/2.5.0/platform/flavor, with a file ``.ok``."""
    variables = ask("env", "--for", "cabal").out.partition("export ")[2].splitlines()[0]
    said = dict(word.split("=", 1) for word in variables.split())
    tree = Path(said["LIBTORCH_HOME"], "2.5.0", "linux-x86_64", said["LIBTORCH_CUDA_VERSION"])
    assert tree == new_abi
    assert home == Path(said["LIBTORCH_HOME"])
    assert (tree / ".ok").is_file()
    assert all((tree / "lib" / f"lib{name}.so").is_file() for name in ("torch", "torch_cpu", "c10"))
