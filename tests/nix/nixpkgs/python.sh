# shellcheck shell=bash
# An interpreter of this machine, with the packages of a folder of it, and without what is installed there of the
# project itself.
mkdir -p "$out/bin" "$out/site" "$out/nix-support"
for entry in "$site"/*; do
  case "${entry##*/}" in
    libtorch_ffi* | torch | torch-* | __pycache__ | *.pth | __editable__*) ;;
    *) ln -s "$entry" "$out/site/" ;;
  esac
done
cat >"$out/bin/python3" <<SCRIPT
#!/bin/bash
export PYTHONPATH="\${PYTHONPATH:+\$PYTHONPATH:}$out/site" PYTHONNOUSERSITE=1
exec "$python" "\$@"
SCRIPT
cat >"$out/bin/pytest" <<SCRIPT
#!/bin/bash
exec "$out/bin/python3" "$out/bin/.pytest.py" "\$@"
SCRIPT
echo 'import sys, pytest; sys.exit(pytest.main())' >"$out/bin/.pytest.py"
chmod +x "$out/bin/python3" "$out/bin/pytest"
ln -s python3 "$out/bin/python"
# shellcheck disable=SC2016
echo 'export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}'"$out/site\"" >"$out/nix-support/setup-hook"
