"""CMake's side of libtorch_ffi: what `find_package(LibtorchFFI)` and `find_package(Torch)` read.

Owns a folder that goes into ``CMAKE_PREFIX_PATH``. scikit-build-core puts it there by itself, through the entry point
``cmake.prefix``, for which this has to be a package; `libtorch-ffi config --cmakedir` prints it for everyone else. It
holds no code in Python: what CMake has to be told comes from `libtorch_ffi.build.export`.
"""
