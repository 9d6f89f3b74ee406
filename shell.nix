# The development shell of a flavor, for those without flakes: `nix-shell --argstr flavor cu118`.
{
  nixpkgs ? import ./nix/nixpkgs.nix,
  system ? builtins.currentSystem,
  flavor ? "default",
}:
(import ./nix { inherit nixpkgs system; }).devShells.${flavor}
