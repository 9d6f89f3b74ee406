{
  description = "All of libtorch, none of torch: every operator of PyTorch's C++ library, and a verified libtorch for any build";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      each = name: nixpkgs.lib.genAttrs systems (system: (import ./nix { inherit nixpkgs system; }).${name});
    in
    {
      packages = each "packages";
      legacyPackages = each "legacyPackages";
      devShells = each "devShells";
      checks = each "checks";
      apps = each "apps";
      formatter = each "formatter";
      overlays.default = import ./nix/overlay.nix;
    };
}
