# shellcheck shell=bash
# shellcheck source=/dev/null
source "$stdenv/setup"
genericBuild
