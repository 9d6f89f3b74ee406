# Adds the libtorch-ffi names to a nixpkgs, and `libtorch-ffi` to the packages of every Python; overrides nothing.
#
# The names do not depend on the platform, so that asking which there are evaluates nothing. One that a platform does
# not have throws, with those that it has.
final: prev:
let
  catalogue = import ./catalogue.nix {
    inherit (final) lib;
    inherit (final.stdenv.hostPlatform) system;
  };
  libtorch =
    version: flavor:
    final.callPackage ./libtorch.nix {
      inherit (final.libtorchFFI) python;
      pin = catalogue.pin version flavor;
    };
  ffi = flavor: final.libtorchFFI.python.pkgs.libtorch-ffi.override { libtorch = final."libtorch-${flavor}"; };
  named =
    prefix: of:
    builtins.listToAttrs (
      map (flavor: {
        name = "${prefix}${flavor}";
        value = of flavor;
      }) (import ./flavors.nix)
    );
in
named "libtorch-" (libtorch catalogue.default)
// named "libtorch-ffi-" ffi
// {
  libtorch-ffi = final.libtorch-ffi-cpu;

  libtorchFFI = {
    # The newest that pyproject.toml's classifiers name; nixpkgs' own default has gone past it.
    python = final.python313;
    libtorchVersions = builtins.mapAttrs (
      version: builtins.mapAttrs (flavor: _: libtorch version flavor)
    ) catalogue.pinned;
  };

  pythonPackagesExtensions = prev.pythonPackagesExtensions ++ [
    (python: _: {
      libtorch-ffi = python.callPackage ./package.nix { libtorch = final.libtorch-cpu; };
    })
  ];
}
