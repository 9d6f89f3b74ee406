# shellcheck shell=bash
# A Python package and what it requires, which whatever has it among its inputs can import.
"$python" -S -B "$linkPackages" "$site" "$out" "$name"
mkdir -p "$out/nix-support"
# shellcheck disable=SC2016
echo 'export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}'"$out/site\"" >"$out/nix-support/setup-hook"
