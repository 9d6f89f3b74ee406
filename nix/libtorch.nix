# One libtorch out of PyTorch's own wheel and those that it needs, each fetched by its pin.
#
# The members are chosen and checked by the code that `pip install` runs, so that both make one tree, up to what Nix
# changes in the libraries: where they look for each other.
#
#   out   lib, share/licenses
#   dev   include, share/cmake, share/pkgconfig, and a link to lib: a whole libtorch for whoever builds against it
{
  lib,
  stdenv,
  fetchurl,
  python,
  autoPatchelfHook,
  autoAddDriverRunpath,
  zlib,
  callPackage,
  pin,
}:
let
  cuda = lib.hasPrefix "cu" pin.flavor;
  linux = stdenv.hostPlatform.isLinux;

  # name-version-python-abi-platform.whl, as nixpkgs' fetchPypi wants it told.
  onPyPI =
    wheel:
    let
      part = builtins.elemAt (lib.splitString "-" (lib.removeSuffix ".whl" wheel.filename));
    in
    python.pkgs.fetchPypi {
      pname = part 0;
      version = part 1;
      format = "wheel";
      dist = part 2;
      python = part 2;
      abi = part 3;
      platform = part 4;
      inherit (wheel) sha256;
    };

  fetch =
    wheel:
    if wheel ? url then
      fetchurl {
        name = wheel.filename;
        inherit (wheel) url sha256;
      }
    else
      onPyPI wheel;

  # A change of the catalogue, or of anything that does not make the tree, is no change of the derivation.
  provision = builtins.path {
    name = "libtorch-ffi-provision";
    path = ../.;
    filter =
      path: type:
      let
        inside = lib.removePrefix "${toString ../.}/" path;
      in
      if type == "directory" then
        builtins.elem inside [
          "libtorch_ffi"
          "libtorch_ffi/build"
          "libtorch_ffi/provision"
        ]
      else
        (lib.hasPrefix "libtorch_ffi/provision/" inside && lib.hasSuffix ".py" inside)
        || builtins.elem inside [
          "libtorch_ffi/__init__.py"
          "libtorch_ffi/_dataclass.py"
          "libtorch_ffi/errors.py"
          "libtorch_ffi/build/__init__.py"
          "libtorch_ffi/build/flags.py"
        ];
  };

  self = stdenv.mkDerivation {
    pname = "libtorch-${pin.flavor}";
    inherit (pin) version;

    outputs = [
      "out"
      "dev"
    ];

    nativeBuildInputs = [
      (python.withPackages (packages: [ packages.packaging ]))
    ]
    ++ lib.optional linux autoPatchelfHook
    ++ lib.optional (linux && cuda) autoAddDriverRunpath;

    buildInputs = lib.optionals linux [
      stdenv.cc.cc.lib
      zlib
    ];

    dontUnpack = true;
    dontConfigure = true;
    dontBuild = true;

    # Compilers of other years made these libraries, and their symbols are what a backtrace has.
    dontStrip = true;

    # NVIDIA's driver is the host system's; autoAddDriverRunpath says where it lies.
    autoPatchelfIgnoreMissingDeps = lib.optional cuda "libcuda.so.1";

    # cuDNN and NVRTC load parts of themselves by name.
    appendRunpaths = [ "$ORIGIN" ];

    installPhase = ''
      runHook preInstall
      export PYTHONPATH=${provision}''${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
      python3 -m libtorch_ffi.provision.unpack ${pin.version} ${pin.flavor} ${pin.platform} --output "$out" \
        ${toString (map fetch ([ pin.torch ] ++ pin.needs))}
      mkdir -p "$dev/share/pkgconfig"
      mv "$out/include" "$dev/include"
      mv "$out/share/cmake" "$dev/share/cmake"
      ln -s "$out/lib" "$dev/lib"
      python3 ${./pkgconfig.py} ${pin.flavor} "$dev/include" "$out/lib" >"$dev/share/pkgconfig/libtorch.pc"
      runHook postInstall
    '';

    setupHook = ./setup-hook.sh;

    passthru = {
      inherit (pin) flavor cxx11Abi;
      cudaSupport = cuda;
      tests = { inherit (callPackage ./tests { libtorch = self; }) cmake pkg-config; };
    };

    meta = {
      description = "The C++ library of PyTorch, flavor ${pin.flavor}, as PyTorch built it";
      homepage = "https://pytorch.org/";
      license = [
        lib.licenses.bsd3
      ]
      ++ lib.optional cuda lib.licenses.nvidiaCudaRedist;
      sourceProvenance = [ lib.sourceTypes.binaryNativeCode ];
      platforms = [ stdenv.hostPlatform.system ];
    };
  };
in
self
