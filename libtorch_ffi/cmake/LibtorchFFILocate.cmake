# Which libtorch: asked of Python once a configuration, since the environment decides, and it may have to be downloaded.
#
# Sets the LIBTORCH_FFI_… variables that libtorch_ffi/build/export.py writes, or LIBTORCH_FFI_ERROR.
if(NOT DEFINED LIBTORCH_FFI_PREFIX)
  get_filename_component(_libtorch_ffi_site "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
  set(_libtorch_ffi_python "${Python_EXECUTABLE}")
  if(NOT _libtorch_ffi_python)
    set(_libtorch_ffi_python "${Python3_EXECUTABLE}")
  endif()
  if(NOT _libtorch_ffi_python)
    find_program(LIBTORCH_FFI_PYTHON NAMES python3 python HINTS "${_libtorch_ffi_site}/../../../bin")
    mark_as_advanced(LIBTORCH_FFI_PYTHON)
    set(_libtorch_ffi_python "${LIBTORCH_FFI_PYTHON}")
  endif()
  if(_libtorch_ffi_python)
    execute_process(
      COMMAND "${_libtorch_ffi_python}" -c
              "import sys; sys.path.insert(0, sys.argv[1]); from libtorch_ffi.build import export; sys.exit(export.main())"
              "${_libtorch_ffi_site}"
      RESULT_VARIABLE _libtorch_ffi_status
      OUTPUT_VARIABLE _libtorch_ffi_script
      ERROR_VARIABLE LIBTORCH_FFI_ERROR
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_STRIP_TRAILING_WHITESPACE)
    if(_libtorch_ffi_status EQUAL 0)
      unset(LIBTORCH_FFI_ERROR)
      file(WRITE "${CMAKE_BINARY_DIR}/CMakeFiles/libtorch_ffi.cmake" "${_libtorch_ffi_script}\n")
      include("${CMAKE_BINARY_DIR}/CMakeFiles/libtorch_ffi.cmake")
    endif()
  else()
    set(LIBTORCH_FFI_ERROR "libtorch-ffi needs Python to tell where libtorch is, and none was found. Set Python_EXECUTABLE.")
  endif()
endif()
