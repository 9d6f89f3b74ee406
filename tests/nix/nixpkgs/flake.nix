{
  description = "A stand-in for nixpkgs that builds with the tools of this machine; for tests, where nixpkgs cannot be fetched";

  outputs =
    { self }:
    {
      lib = import ./lib.nix;
    };
}
