# The development shell of one flavor: `pip install -e .` in it asks no index for anything.
{
  mkShell,
  clang-tools,
  cmake,
  libtorch,
  nixfmt-tree,
  pkg-config,
  python,
  ruff,
}:
let
  # What pyproject.toml requires to build, to run and to test.
  requirements =
    packages: with packages; [
      filelock
      hypothesis
      isal
      mypy
      numpy
      packaging
      pip
      platformdirs
      pybind11
      pypi-simple
      pytest
      requests
      safetensors
      scikit-learn
      setuptools
    ];
in
mkShell {
  name = "libtorch-ffi-${libtorch.flavor}";

  packages = [
    clang-tools
    cmake
    nixfmt-tree
    pkg-config
    python
    ruff
  ]
  ++ requirements python.pkgs;

  buildInputs = [ libtorch ];

  # pip takes the value of this variable for that of the option "build isolation": 0 is without.
  env.PIP_NO_BUILD_ISOLATION = "0";
  env.PIP_DISABLE_PIP_VERSION_CHECK = "1";

  shellHook = ''
    venv=.venv-nix-${libtorch.flavor}
    [ -x "$venv/bin/python" ] || python3 -m venv --system-site-packages "$venv"
    . "$venv/bin/activate"
  '';
}
