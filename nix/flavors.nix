# The flavors of the default release, on any platform.
let
  table = builtins.fromJSON (builtins.readFile ../libtorch_ffi/provision/catalogue.json);
  flavors = builtins.concatLists (builtins.attrValues table.releases.${table.default}.flavors);
in
builtins.attrNames (builtins.groupBy (flavor: flavor) flavors)
