# find_package(Torch): the libtorch that find_package(LibtorchFFI) gives, by its own TorchConfig.cmake.
include("${CMAKE_CURRENT_LIST_DIR}/LibtorchFFILocate.cmake")
if(DEFINED LIBTORCH_FFI_ERROR)
  set(Torch_FOUND FALSE)
  set(Torch_NOT_FOUND_MESSAGE "${LIBTORCH_FFI_ERROR}")
elseif(EXISTS "${LIBTORCH_FFI_PREFIX}/share/cmake/Torch/TorchConfig.cmake")
  include("${LIBTORCH_FFI_PREFIX}/share/cmake/Torch/TorchConfig.cmake")
else()
  set(Torch_FOUND FALSE)
  set(Torch_NOT_FOUND_MESSAGE
    "The libtorch in ${LIBTORCH_FFI_PREFIX} has no TorchConfig.cmake. Use find_package(LibtorchFFI), which needs none.")
endif()
