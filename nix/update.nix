# `nix run .#catalogue -- update 2.5.0`: refresh the pins of the checkout in which it is run.
{ python, writeShellScriptBin }:
let
  interpreter = python.withPackages (
    packages: with packages; [
      filelock
      isal
      packaging
      platformdirs
      pypi-simple
      requests
    ]
  );
in
writeShellScriptBin "libtorch-ffi-catalogue" ''
  exec ${interpreter}/bin/python3 -m libtorch_ffi.provision.catalogue "$@"
''
