# `nix run .#catalogue -- update 2.5.0`: refresh the pins of the checkout in which it is run.
{ python3, writeShellScriptBin }:
let
  python = python3.withPackages (
    packages: with packages; [
      filelock
      packaging
      platformdirs
      pypi-simple
      requests
    ]
  );
in
writeShellScriptBin "libtorch-ffi-catalogue" ''
  exec ${python}/bin/python3 -m libtorch_ffi.provision.catalogue "$@"
''
