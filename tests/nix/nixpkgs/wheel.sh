# shellcheck shell=bash
runHook preBuild
python3 -m pip wheel --verbose --no-build-isolation --no-deps --no-index --no-cache-dir --wheel-dir dist .
runHook postBuild
