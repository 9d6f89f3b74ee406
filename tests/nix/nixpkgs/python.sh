# shellcheck shell=bash
# An interpreter that sees no packages but those that are named: of this machine's it takes the standard library alone.
"$python" -m venv --without-pip "$out"
rm -f "$out"/bin/[Aa]ctivate*
mkdir -p "$out/nix-support"
if [ -n "$packages" ]; then
  # shellcheck disable=SC2086
  "$python" -S -B "$linkPackages" "$site" "$TMPDIR/linked" $packages
  for entry in "$TMPDIR"/linked/site/*; do cp -d "$entry" "$out"/lib/python*/site-packages/; done
fi
