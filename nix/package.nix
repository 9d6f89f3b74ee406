# The Python package, a function of one libtorch.
{
  lib,
  buildPythonPackage,
  filelock,
  hypothesis,
  isal,
  libtorch,
  numpy,
  packaging,
  platformdirs,
  pybind11,
  pypi-simple,
  pytest,
  requests,
  safetensors,
  scikit-learn,
  setuptools,
}:
let
  inherit (builtins.fromTOML (builtins.readFile ../pyproject.toml)) project;
  dependencies = [
    filelock
    isal
    packaging
    platformdirs
    pypi-simple
    requests
  ];
in
buildPythonPackage {
  pname = project.name;
  inherit (project) version;
  pyproject = true;

  src = import ./source.nix { inherit lib; };

  build-system = [
    setuptools
    pybind11
  ]
  ++ dependencies;

  inherit dependencies;

  # Its setup hook names it to the build, which downloads nothing in a sandbox.
  buildInputs = [ libtorch ];

  nativeCheckInputs = [
    hypothesis
    numpy
    pytest
    safetensors
    scikit-learn
    setuptools
  ];

  # CUDA flavors need a driver to compute.
  doCheck = !libtorch.cudaSupport;

  # What calls libtorch; how one is provisioned, found and loaded is no concern of a build whose inputs give it one. The
  # tests start Pythons where they are, so that is where the sources do not hide the installed package.
  checkPhase = ''
    runHook preCheck
    checks=$(mktemp -d)
    cp -r tests pyproject.toml "$checks"
    (
      cd "$checks"
      HOME=$checks env -u NIX_BUILD_TOP -u LIBTORCH -u LIBTORCH_INCLUDE -u LIBTORCH_LIB pytest tests/call \
        -m "not network and not slow and not nix and not reference and not compile and not cuda" -p no:cacheprovider
    )
    runHook postCheck
  '';

  # Importing the package loads nothing, so what does load the extension is imported too.
  pythonImportsCheck = [
    "libtorch_ffi"
    "libtorch_ffi._binding"
  ];

  passthru = {
    inherit libtorch;
  };

  meta = {
    inherit (project) description;
    license = lib.licenses.bsd3;
    mainProgram = "libtorch-ffi";
  };
}
