# Whether the libtorch is as new as the version that find_package(Torch …) asks for.
include("${CMAKE_CURRENT_LIST_DIR}/LibtorchFFILocate.cmake")
set(PACKAGE_VERSION "${LIBTORCH_FFI_TORCH_VERSION}")
if(DEFINED LIBTORCH_FFI_ERROR)
  set(PACKAGE_VERSION_COMPATIBLE TRUE) # so that TorchConfig.cmake is read, which says what is wrong
elseif(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
