# The table of releases, `libtorch_ffi/provision/catalogue.json`, as Nix asks it for one system.
#
#   default              the release where none is asked for
#   pinned               version -> flavor -> pin, of all that can be fetched by a hash
#   pin version flavor   one of them; where there is none, an error with the nearest that are
#
# A pin has `version`, `flavor`, `platform`, `cxx11Abi`, the `torch` wheel, and the wheels that it `needs`: each with its
# sha256, and with a `url` where PyTorch's own server has it. What lies on PyPI is known by its file name.
{ lib, system }:
let
  table = builtins.fromJSON (builtins.readFile ../libtorch_ffi/provision/catalogue.json);

  platform =
    {
      x86_64-linux = "linux-x86_64";
      aarch64-linux = "linux-aarch64";
      aarch64-darwin = "macos-arm64";
    }
    .${system} or (throw "libtorch-ffi: PyTorch publishes no libtorch for ${system} that this flake can use");

  fileName = url: builtins.replaceStrings [ "%2B" ] [ "+" ] (baseNameOf url);

  byIndex = builtins.mapAttrs (
    _: wheels: builtins.listToAttrs (map (wheel: lib.nameValuePair wheel.index wheel) wheels)
  ) (builtins.groupBy (wheel: wheel.version) (builtins.filter (wheel: wheel.platform == platform) table.official-wheels));

  byFile = builtins.listToAttrs (map (wheel: lib.nameValuePair wheel.filename wheel) table.pypi-wheels);

  closures = builtins.listToAttrs (
    map (each: lib.nameValuePair "${each.torch} ${each.flavor}" (map (file: byFile.${file}) each.needs)) table.closures
  );

  # From 2.2 on the CUDA wheels for x86_64 leave NVIDIA's libraries to wheels of NVIDIA's; all others hold what they need.
  needs =
    version: flavor: filename:
    closures."${filename} ${flavor}" or (
      if platform == "linux-x86_64" && lib.hasPrefix "cu" flavor && lib.versionAtLeast version "2.2" then
        throw (
          "libtorch-ffi: the wheels of NVIDIA that libtorch ${version} ${flavor} needs are not pinned. "
          + "`nix run .#catalogue -- update ${version}` in a checkout pins what PyTorch and PyPI publish of it."
        )
      else
        [ ]
    );

  # The wheels of the index cpu-cxx11-abi have the compiler's default C++ ABI, so they come first, as in provisioning.
  found =
    version: flavor:
    let
      wheels = byIndex.${version} or { };
      torch = wheels."${flavor}-cxx11-abi" or wheels.${flavor} or null;
      filename = fileName torch.url;
    in
    if torch == null then
      null
    else
      {
        inherit version flavor platform;
        torch = torch // {
          inherit filename;
        };
        needs = needs version flavor filename;
        cxx11Abi =
          lib.hasPrefix "macos" platform || lib.hasSuffix "cxx11-abi" torch.index || lib.versionAtLeast version "2.7";
      };

  pinned = builtins.mapAttrs (
    version: release:
    lib.filterAttrs (_: pin: pin != null) (
      lib.genAttrs (release.flavors.${platform} or [ ]) (flavor: found version flavor)
    )
  ) table.releases;

  listed = version: lib.concatStringsSep ", " (builtins.attrNames (pinned.${version} or { }));
in
{
  inherit (table) default;
  pinned = lib.filterAttrs (_: flavors: flavors != { }) pinned;
  pin =
    version: flavor:
    pinned.${version}.${flavor} or (throw (
      "libtorch-ffi: no libtorch ${version} ${flavor} for ${platform} is pinned; of ${version}, these are: "
      + (if listed version == "" then "none" else listed version)
      + ". `python -m libtorch_ffi.provision.catalogue update ${version}` pins what PyTorch and PyPI publish."
    ));
}
