# What the flake has for a system, for those without flakes: `nix-build -A libtorch-ffi-cu118`.
{
  nixpkgs ? import ./nix/nixpkgs.nix,
  system ? builtins.currentSystem,
}:
let
  outputs = import ./nix { inherit nixpkgs system; };
in
outputs.packages // { inherit (outputs.legacyPackages) libtorchVersions; }
