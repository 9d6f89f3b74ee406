# shellcheck shell=bash
# Whatever builds against this libtorch finds it by the variables that tch-rs and libtorch-ffi share.
export LIBTORCH=@dev@
export LIBTORCH_INCLUDE=@dev@/include
export LIBTORCH_LIB=@out@/lib
