"""What the flake has, on every system: evaluated, and nothing built."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flakes import OPTIONS, ROOT, run
from packaging.requirements import Requirement

from libtorch_ffi.provision import catalogue

if TYPE_CHECKING:
    from flakes import Flake

EXPRESSIONS = sorted(path for path in ROOT.rglob("*.nix") if not any(part.startswith(".") for part in path.parts))
SYSTEMS = {
    "x86_64-linux": "linux-x86_64",
    "aarch64-linux": "linux-aarch64",
    "aarch64-darwin": "macos-arm64",
}
FLAVORS = {
    "x86_64-linux": {"cpu", "cu118", "cu121", "cu124"},
    "aarch64-linux": {"cpu", "cu124"},
    "aarch64-darwin": {"cpu"},
}


@pytest.mark.skipif(shutil.which("nix-instantiate") is None, reason="Nix is not installed")
@pytest.mark.parametrize("path", EXPRESSIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_parses(path: object) -> None:
    answer = subprocess.run(["nix-instantiate", "--parse", str(path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("expression", ["nix/package.nix", "nix/shell.nix"])
def test_what_pyproject_requires_is_named(expression: str) -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    required = [*project["build-system"]["requires"], *project["project"]["dependencies"], *extras["test"]]
    names = {Requirement(line).name for line in required}
    lines = {line.strip() for line in (ROOT / expression).read_text().splitlines()}
    assert names <= lines, f"{expression} does not name {', '.join(sorted(names - lines))}"


def test_every_output_of_every_system_evaluates(flake: Flake) -> None:
    answer = flake.on("flake show", "--json")
    assert answer.returncode == 0, answer.stderr
    shown = json.loads(answer.stdout)
    assert set(shown) == {
        "apps",
        "checks",
        "devShells",
        "formatter",
        "legacyPackages",
        "overlays",
        "packages",
    }
    for system, flavors in FLAVORS.items():
        named = {f"{prefix}{flavor}" for prefix in ("libtorch-", "libtorch-ffi-") for flavor in flavors}
        assert set(shown["packages"][system]) == {*named, "default", "libtorch-ffi"}
        assert set(shown["devShells"][system]) == {*flavors, "default"}
        assert set(shown["checks"][system]) == {"cmake", "libtorch-cpu", "libtorch-ffi", "pkg-config"}


def test_the_flake_checks(flake: Flake) -> None:
    answer = flake.on("flake check", "--no-build")
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_all_that_the_catalogue_pins_is_reachable(flake: Flake, system: str) -> None:
    apply = "builtins.mapAttrs (_: builtins.mapAttrs (_: libtorch: (builtins.tryEval libtorch.drvPath).success))"
    answer = flake.on("eval", "--json", "--apply", apply, output=f"legacyPackages.{system}.libtorchVersions")
    assert answer.returncode == 0, answer.stderr
    pinned = json.loads(answer.stdout)
    platform = SYSTEMS[system]
    table = json.loads(catalogue.FILE.read_text())
    wheels = {
        (entry["version"], entry["index"]): Path(entry["url"]).name.replace("%2B", "+")
        for entry in table["official-wheels"]
        if entry["platform"] == platform
    }
    closures = {(each["torch"], each["flavor"]) for each in table["closures"]}
    expected = {
        version: {
            flavor: platform != "linux-x86_64"
            or not flavor.startswith("cu")
            or version.startswith(("2.0.", "2.1."))
            or (wheels[version, flavor], flavor) in closures
            for flavor in release.flavors_of(platform)
            if (version, flavor) in wheels
        }
        for version, release in catalogue.releases().items()
    }
    assert pinned == {version: flavors for version, flavors in expected.items() if flavors}
    assert pinned["2.6.0"]["cpu"]


def test_a_cuda_flavor_without_pins_of_nvidia_says_what_pins_them(own_flake: Flake) -> None:
    table = json.loads(own_flake.catalogue.read_text())
    own_flake.catalogue.write_text(json.dumps({**table, "closures": []}))
    answer = own_flake.on("eval", output='legacyPackages.x86_64-linux.libtorchVersions."2.6.0".cu126.drvPath')
    assert answer.returncode != 0
    assert "the wheels of NVIDIA that libtorch 2.6.0 cu126 needs are not pinned" in answer.stderr
    assert "nix run .#catalogue -- update 2.6.0" in answer.stderr


@pytest.mark.parametrize("flavor", ["cu118", "cu121", "cu124"])
def test_the_wheels_of_nvidia_are_inputs_of_a_cuda_flavor(flake: Flake, flavor: str) -> None:
    answer = flake.on("show-derivation", output=f"libtorch-{flavor}")
    assert answer.returncode == 0, answer.stderr
    [derivation] = json.loads(answer.stdout).values()
    inputs = " ".join(derivation["inputDrvs"])
    for project in ("cublas", "cuda_cupti", "cuda_nvrtc", "cuda_runtime", "cudnn", "cufft", "curand", "nccl", "nvtx"):
        assert f"nvidia_{project}_" in inputs
    assert f"torch-2.5.0+{flavor}-" in inputs
    assert "auto-add-driver-runpath-hook" in inputs


def test_cuda_flavors_are_not_free_and_say_so(flake: Flake) -> None:
    licenses = "package: map (license: license.free or true) package.meta.license"
    for flavor, expected in (("cpu", [True]), ("cu118", [True, False])):
        answer = flake.on("eval", "--json", "--apply", licenses, output=f"libtorch-{flavor}")
        assert json.loads(answer.stdout) == expected, answer.stderr


def test_a_nixpkgs_that_allows_only_free_software_refuses_cuda(flake: Flake) -> None:
    pkgs = f"import {flake.nixpkgs} {{ overlays = [ (import {flake.source}/nix/overlay.nix) ]; }}"
    free = flake.nix("eval", "--impure", "--raw", "--expr", f"({pkgs}).libtorch-ffi-cpu.drvPath")
    assert free.returncode == 0, free.stderr
    refused = flake.nix("eval", "--impure", "--raw", "--expr", f"({pkgs}).libtorch-ffi-cu118.drvPath")
    assert refused.returncode != 0
    assert "unfree" in refused.stderr


def test_every_python_has_the_package(flake: Flake) -> None:
    pkgs = f"import {flake.nixpkgs} {{ overlays = [ (import {flake.source}/nix/overlay.nix) ]; }}"
    answer = flake.nix("eval", "--impure", "--raw", "--expr", f"({pkgs}).python313Packages.libtorch-ffi.name")
    assert answer.stdout.startswith("libtorch-ffi-"), answer.stderr


def test_the_overlay_overrides_nothing(flake: Flake) -> None:
    expression = f"""
      let
        base = import {flake.nixpkgs} {{ }};
        overlay = import {flake.source}/nix/overlay.nix;
        pkgs = import {flake.nixpkgs} {{ overlays = [ overlay ]; }};
      in
      {{
        added = builtins.attrNames (overlay pkgs base);
        before = builtins.attrNames base;
      }}
    """
    answer = flake.nix("eval", "--impure", "--json", "--expr", expression)
    assert answer.returncode == 0, answer.stderr
    names = json.loads(answer.stdout)
    assert set(names["added"]) & set(names["before"]) == {"pythonPackagesExtensions"}
    assert {"libtorch-cpu", "libtorch-ffi", "libtorch-ffi-cu118", "libtorchFFI"} <= set(names["added"])


def test_a_flavor_that_is_not_pinned_is_refused_with_those_that_are(flake: Flake) -> None:
    pins = (
        f'import {flake.source}/nix/catalogue.nix {{ lib = import {flake.nixpkgs}/lib.nix; system = "x86_64-linux"; }}'
    )
    answer = flake.nix("eval", "--impure", "--expr", f'({pins}).pin "2.5.0" "cu999"')
    assert answer.returncode != 0
    assert "no libtorch 2.5.0 cu999 for linux-x86_64 is pinned" in answer.stderr
    assert "cpu, cu118, cu121, cu124" in answer.stderr


def test_the_command_that_pins_has_all_that_it_imports(flake: Flake) -> None:
    words = ["nix", *OPTIONS, *flake.words("run", "catalogue"), "--", "--help"]
    answer = run(words, flake.home, {}, cwd=flake.source)
    assert answer.returncode == 0, answer.stderr
    assert "pin what is published of a release" in answer.stdout


def test_a_shell_without_flakes_is_that_of_the_flake(flake: Flake) -> None:
    arguments = ["--arg", "nixpkgs", str(flake.nixpkgs), "--argstr", "flavor", "cu118", str(flake.source / "shell.nix")]
    made = run(["nix-instantiate", "--option", "build-users-group", "", *arguments], flake.home, {})
    assert made.returncode == 0, made.stderr
    answer = flake.on("eval", "--raw", output="devShells.x86_64-linux.cu118.drvPath")
    assert answer.stdout == made.stdout.strip()


def test_without_flakes_the_same_derivations_are_made(flake: Flake) -> None:
    arguments = ["--arg", "nixpkgs", str(flake.nixpkgs), "-A", "libtorch-ffi-cpu"]
    words = ["nix-instantiate", "--option", "build-users-group", "", *arguments, str(flake.source)]
    made = run(words, flake.home, {})
    assert made.returncode == 0, made.stderr
    answer = flake.on("eval", "--raw", output="packages.x86_64-linux.libtorch-ffi-cpu.drvPath")
    assert answer.stdout == made.stdout.strip().partition("!")[0]
