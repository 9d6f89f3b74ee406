# The nixpkgs that flake.lock pins, for those without flakes.
let
  inherit (builtins.fromJSON (builtins.readFile ../flake.lock)) nodes;
  inherit (nodes.nixpkgs) locked;
in
fetchTarball {
  url = "https://github.com/${locked.owner}/${locked.repo}/archive/${locked.rev}.tar.gz";
  sha256 = locked.narHash;
}
