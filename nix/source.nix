# What the Python package is built and tested from; nothing else in the checkout makes it build again.
{ lib }:
let
  root = toString ../.;
  kept = [
    ".clang-format"
    "CHANGELOG.md"
    "CONTRIBUTING.md"
    "LICENSE"
    "MANIFEST.in"
    "README.md"
    "benchmarks"
    "docs"
    "libtorch_ffi"
    "pyproject.toml"
    "tests"
    "tools"
  ];
  made = [
    "__pycache__"
    "_built.json"
    "_ops.pyi"
    "ops.pyi"
    "__init__.pyi"
  ];
in
builtins.path {
  name = "libtorch-ffi-source";
  path = ../.;
  filter =
    path: _:
    let
      inside = lib.splitString "/" (lib.removePrefix "${root}/" path);
    in
    builtins.elem (builtins.head inside) kept
    && !(lib.hasPrefix "tests/nix" (lib.concatStringsSep "/" inside))
    && !(builtins.elem (baseNameOf path) made)
    && !(lib.hasSuffix ".so" path);
}
