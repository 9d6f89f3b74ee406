# The packages that the flake uses of nixpkgs, for tests: taken with the same arguments, made of this machine's tools.
#
# host.json, written by the tests, says where those are: `python` (an interpreter that is no virtual environment's),
# `site` (a folder of Python packages), `path` (the folders of the compiler and of the shell's tools).
{
  system ? builtins.currentSystem,
  overlays ? [ ],
  config ? { },
}:
let
  lib = import ./lib.nix;
  host = builtins.fromJSON (builtins.readFile ./host.json);
  platform = {
    inherit system;
    isLinux = lib.hasSuffix "linux" system;
    isDarwin = lib.hasSuffix "darwin" system;
  };

  # A folder with a file called setup, which `nix develop` reads.
  environment = builtins.path {
    name = "stdenv";
    path = ./stdenv;
  };

  licensesOf = meta: if builtins.isList (meta.license or [ ]) then meta.license or [ ] else [ meta.license ];
  isFree = meta: builtins.all (license: license.free or true) (licensesOf meta);
  allowed =
    attrs:
    isFree (attrs.meta or { })
    || (config.allowUnfreePredicate or (_: false)) attrs
    || throw "Package ${attrs.pname or attrs.name} has an unfree license, refusing to evaluate.";

  # Of a package with an output for development, that is the one to build with.
  developing = package: package.dev or package;

  mkDerivation =
    attrs:
    assert allowed attrs;
    let
      made = derivation (
        {
          inherit system;
          name = "${attrs.pname}-${attrs.version}";
          builder = "/bin/bash";
          args = [
            "-e"
            "${environment}/builder.sh"
          ];
          stdenv = environment;
          outputs = [ "out" ];
          HOST_PATH = host.path;
          nativeBuildInputs = map developing (attrs.nativeBuildInputs or [ ]);
          buildInputs = map developing (attrs.buildInputs or [ ]);
        }
        // builtins.removeAttrs attrs [
          "buildInputs"
          "env"
          "meta"
          "nativeBuildInputs"
          "passthru"
        ]
        // (attrs.env or { })
      );
    in
    made // (attrs.passthru or { }) // { inherit (attrs) meta; passthru = attrs.passthru or { }; };

  withDefaults = attrs: mkDerivation ({ meta = { }; } // attrs);

  hook = name: text: withDefaults {
    inherit name text;
    passAsFile = [ "text" ];
    buildCommand = ''
      mkdir -p $out/nix-support
      cp "$textPath" $out/nix-support/setup-hook
    '';
  };

  # What the machine has in /usr: found through HOST_PATH, so that there is nothing in the package.
  ofHost = name: withDefaults {
    inherit name;
    buildCommand = "mkdir $out";
  };

  callPackageWith =
    scope: path: given:
    let
      f = if builtins.isFunction path then path else import path;
    in
    f (builtins.intersectAttrs (builtins.functionArgs f) scope // given)
    // {
      override = more: callPackageWith scope path (given // more);
    };

  linkPackages = ./link_packages.py;

  pythonWith =
    packages:
    withDefaults {
      name = "python3";
      inherit (host) python site;
      inherit linkPackages;
      packages = map (package: package.name) packages;
      buildCommand = builtins.readFile ./python.sh;
    };
  python = pythonWith [ ] // {
    withPackages = choose: pythonWith (choose pythonPackages);
    pkgs = pythonPackages;
  };

  pythonPackage = name: withDefaults {
    inherit name linkPackages;
    inherit (host) python site;
    buildCommand = builtins.readFile ./package.sh;
  };

  basePythonPackages = lib.genAttrs [
    "filelock"
    "hypothesis"
    "isal"
    "mypy"
    "numpy"
    "packaging"
    "pip"
    "platformdirs"
    "pybind11"
    "pypi-simple"
    "pytest"
    "requests"
    "safetensors"
    "scikit-learn"
    "setuptools"
  ] pythonPackage // {
    inherit python buildPythonPackage;
    callPackage = callPackageWith (pkgs // pythonPackages);
    fetchPypi =
      {
        pname,
        version,
        format,
        sha256,
        dist,
        python,
        abi,
        platform,
      }:
      let
        name = "${pname}-${version}-${python}-${abi}-${platform}.whl";
      in
      fetchurl {
        inherit name sha256;
        url = "${host.pypi}/packages/${dist}/${builtins.substring 0 1 pname}/${pname}/${name}";
      };
  };

  extended = extensions: set: builtins.foldl' (all: extension: all // extension pythonPackages all) set extensions;
  pythonPackages = extended pkgs.pythonPackagesExtensions basePythonPackages;

  buildPythonPackage =
    attrs:
    withDefaults (
      builtins.removeAttrs attrs [
        "build-system"
        "dependencies"
        "nativeCheckInputs"
        "pyproject"
      ]
      // {
        # pip does what pypa's build and installer do there.
        nativeBuildInputs = [
          python
          pythonPackages.pip
        ]
        ++ attrs.build-system or [ ]
        ++ attrs.dependencies or [ ]
        ++ (if attrs.doCheck or true then attrs.nativeCheckInputs or [ ] else [ ])
        ++ attrs.nativeBuildInputs or [ ];
        doInstallCheck = if attrs.doCheck or true then "1" else "";
        installCheckPhase = attrs.checkPhase or ":";
        checkPhase = ":";
        doCheck = "";
        buildPhase = builtins.readFile ./wheel.sh;
        installPhase = builtins.readFile ./install-wheel.sh;
      }
    );

  fetchurl =
    {
      url,
      sha256,
      name ? baseNameOf url,
    }:
    import <nix/fetchurl.nix> { inherit url sha256 name; };

  base = {
    inherit
      lib
      config
      fetchurl
      system
      ;
    stdenv = {
      mkDerivation = withDefaults;
      hostPlatform = platform;
      cc.cc.lib = ofHost "gcc-lib";
    };
    callPackage = callPackageWith pkgs;
    mkShell =
      {
        packages ? [ ],
        ...
      }@attrs:
      withDefaults (
        builtins.removeAttrs attrs [ "packages" ]
        // {
          nativeBuildInputs = packages ++ attrs.nativeBuildInputs or [ ];
          buildCommand = "echo a shell >$out";
        }
      );
    writeShellScriptBin =
      name: text:
      withDefaults {
        inherit name text;
        passAsFile = [ "text" ];
        buildCommand = ''
          mkdir -p $out/bin
          (echo "#!/bin/bash"; cat "$textPath") >$out/bin/$name
          chmod +x $out/bin/$name
        '';
      };
    autoPatchelfHook = hook "auto-patchelf-hook" (builtins.readFile ./auto-patchelf.sh);
    autoAddDriverRunpath = hook "auto-add-driver-runpath-hook" "echo driver runpath >>$NIX_BUILD_TOP/hooks";
    cmake = hook "cmake-hook" (builtins.readFile ./cmake.sh);
    python313 = python;
    python313Packages = pythonPackages;
    pythonPackagesExtensions = [ ];
  }
  // lib.genAttrs [
    "clang-tools"
    "nixfmt-tree"
    "pkg-config"
    "ruff"
    "zlib"
  ] ofHost;

  pkgs = builtins.foldl' (all: overlay: all // overlay pkgs all) base overlays;
in
pkgs
