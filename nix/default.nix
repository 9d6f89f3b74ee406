# Every output of the flake for one system.
#
# CUDA flavors are not free software, and to ask for one by its name is to allow it: the nixpkgs of this flake allows our
# libtorch and nothing else. Who takes the overlay instead decides with a nixpkgs of their own.
{ nixpkgs, system }:
let
  pkgs = import nixpkgs {
    inherit system;
    overlays = [ (import ./overlay.nix) ];
    config.allowUnfreePredicate = package: lib.hasPrefix "libtorch-" (package.pname or "");
  };
  inherit (pkgs) lib;
  catalogue = import ./catalogue.nix { inherit lib system; };
  flavors = builtins.attrNames catalogue.pinned.${catalogue.default};
  named = prefix: of: lib.genAttrs (map (flavor: "${prefix}${flavor}") flavors) (name: of (lib.removePrefix prefix name));
  shell =
    flavor:
    pkgs.callPackage ./shell.nix {
      inherit (pkgs.libtorchFFI) python;
      libtorch = pkgs."libtorch-${flavor}";
    };
in
rec {
  packages =
    named "libtorch-" (flavor: pkgs."libtorch-${flavor}")
    // named "libtorch-ffi-" (flavor: pkgs."libtorch-ffi-${flavor}")
    // {
      inherit (pkgs) libtorch-ffi;
      default = pkgs.libtorch-ffi;
    };

  legacyPackages = pkgs // {
    inherit (pkgs.libtorchFFI) libtorchVersions;
  };

  devShells = named "" shell // {
    default = shell "cpu";
  };

  checks = {
    inherit (packages) libtorch-cpu libtorch-ffi;
    inherit (packages.libtorch-cpu.tests) cmake pkg-config;
  };

  apps = {
    default = {
      type = "app";
      program = "${packages.libtorch-ffi}/bin/libtorch-ffi";
    };
    catalogue = {
      type = "app";
      program = "${pkgs.callPackage ./update.nix { inherit (pkgs.libtorchFFI) python; }}/bin/libtorch-ffi-catalogue";
    };
  };

  formatter = pkgs.nixfmt-tree;
}
