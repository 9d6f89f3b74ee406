# find_package(LibtorchFFI)
#
#   LibtorchFFI::torch    libtorch: headers, C++ ABI, C++ standard, libraries (CUDA's too), rpath
#   LibtorchFFI::caster   that, and the headers <libtorch_ffi/caster.h> and <libtorch_ffi/nanobind.h>
#   LibtorchFFI_PREFIX    the folder that holds lib and include; LibtorchFFI_TORCH_VERSION is its release
include("${CMAKE_CURRENT_LIST_DIR}/LibtorchFFILocate.cmake")
if(DEFINED LIBTORCH_FFI_ERROR)
  set(LibtorchFFI_FOUND FALSE)
  set(LibtorchFFI_NOT_FOUND_MESSAGE "${LIBTORCH_FFI_ERROR}")
  return()
endif()

set(LibtorchFFI_PREFIX "${LIBTORCH_FFI_PREFIX}")
set(LibtorchFFI_TORCH_VERSION "${LIBTORCH_FFI_TORCH_VERSION}")

if(NOT TARGET LibtorchFFI::torch)
  add_library(LibtorchFFI::torch INTERFACE IMPORTED)
  set_target_properties(LibtorchFFI::torch PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${LIBTORCH_FFI_INCLUDE_DIRS}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${LIBTORCH_FFI_INCLUDE_DIRS}"
    INTERFACE_COMPILE_DEFINITIONS "${LIBTORCH_FFI_DEFINITIONS}"
    INTERFACE_COMPILE_FEATURES "cxx_std_${LIBTORCH_FFI_STANDARD}")
  # Libraries of an accelerator are kept though no symbol of theirs is called: they register kernels while they load.
  foreach(_libtorch_ffi_file IN LISTS LIBTORCH_FFI_KEPT)
    set_property(TARGET LibtorchFFI::torch APPEND PROPERTY INTERFACE_LINK_LIBRARIES
      "-Wl,--push-state,--no-as-needed,${_libtorch_ffi_file},--pop-state")
  endforeach()
  set_property(TARGET LibtorchFFI::torch APPEND PROPERTY INTERFACE_LINK_LIBRARIES ${LIBTORCH_FFI_LIBRARIES})
  # CMake takes the rpath of its own making away when a program is installed; this one stays.
  foreach(_libtorch_ffi_folder IN LISTS LIBTORCH_FFI_LIBRARY_DIRS)
    set_property(TARGET LibtorchFFI::torch APPEND PROPERTY INTERFACE_LINK_OPTIONS "LINKER:-rpath,${_libtorch_ffi_folder}")
  endforeach()

  add_library(LibtorchFFI::caster INTERFACE IMPORTED)
  get_filename_component(_libtorch_ffi_headers "${CMAKE_CURRENT_LIST_DIR}/../include" ABSOLUTE)
  set_target_properties(LibtorchFFI::caster PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${_libtorch_ffi_headers}"
    INTERFACE_LINK_LIBRARIES LibtorchFFI::torch)
endif()

include(FindPackageHandleStandardArgs)
set(LibtorchFFI_CONFIG "${CMAKE_CURRENT_LIST_FILE}")
find_package_handle_standard_args(LibtorchFFI CONFIG_MODE)
