# shellcheck shell=bash
runHook preInstall
site="$out/lib/$(python3 -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')/site-packages"
python3 -m pip install --no-deps --no-index --no-compile --target "$site" dist/*.whl
mv "$site/bin" "$out/bin"
runHook postInstall
