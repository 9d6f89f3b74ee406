"""What a tree needs besides what its archive has, so that others build against it.

Owns the last step of a tree's making: ``build-version``, which PyTorch's zips have and its wheels have not, and a
`find_package(Torch)` that works wherever the tree does. The CMake files of a wheel that was built for CUDA stop where
NVIDIA's toolkit is not installed, though nothing of it is needed to link a C++ program; and in a CPU tree cut out of
such a wheel they name libraries that are not there. There `TorchConfig.cmake` is replaced by one of ours, which defines
what PyTorch's own does for C++. In a CUDA tree PyTorch's own stays beside it, and is used where the toolkit is found.
Never touches the files of a tree that is somebody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libtorch_ffi.provision.libtorch import Libtorch
    from libtorch_ffi.provision.stage import Stage

VERSION = "build-version"
"""What states version and flavor; tch-rs compares it with the release that it was written for."""

CONFIG = "share/cmake/Torch/TorchConfig.cmake"
OF_CUDA = "share/cmake/Torch/TorchConfigOfCUDA.cmake"
"""Where PyTorch's own file goes in a CUDA tree."""

_TARGETS = "share/cmake/Caffe2/Caffe2Targets.cmake"
_MARK = "# Written by libtorch-ffi"

_TEXT = f"""\
{_MARK}: PyTorch's own file asks for a CUDA toolkit, which linking C++ does not need.
#
#   TORCH_FOUND, TORCH_LIBRARIES, TORCH_INCLUDE_DIRS, TORCH_CXX_FLAGS, TORCH_INSTALL_PREFIX
#   torch, torch_library, torch_cpu, c10 (and torch_cuda, c10_cuda where they are): imported targets
if(EXISTS "${{CMAKE_CURRENT_LIST_DIR}}/TorchConfigOfCUDA.cmake")
  find_package(CUDAToolkit QUIET)
  if(CUDAToolkit_FOUND AND CUDAToolkit_NVCC_EXECUTABLE)
    include("${{CMAKE_CURRENT_LIST_DIR}}/TorchConfigOfCUDA.cmake")
    return()
  endif()
endif()

get_filename_component(TORCH_INSTALL_PREFIX "${{CMAKE_CURRENT_LIST_DIR}}/../../.." ABSOLUTE)
set(TORCH_INCLUDE_DIRS
  "${{TORCH_INSTALL_PREFIX}}/include"
  "${{TORCH_INSTALL_PREFIX}}/include/torch/csrc/api/include")
set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=@ABI@")

set(_torch_kept)
foreach(_torch_name IN ITEMS c10 torch_cpu c10_cuda torch_cuda torch)
  set(_torch_file "${{TORCH_INSTALL_PREFIX}}/lib/lib${{_torch_name}}.so")
  if(EXISTS "${{_torch_file}}" AND NOT TARGET ${{_torch_name}})
    add_library(${{_torch_name}} SHARED IMPORTED)
    set_target_properties(${{_torch_name}} PROPERTIES
      IMPORTED_LOCATION "${{_torch_file}}"
      IMPORTED_SONAME "lib${{_torch_name}}.so"
      INTERFACE_INCLUDE_DIRECTORIES "${{TORCH_INCLUDE_DIRS}}"
      INTERFACE_COMPILE_OPTIONS "${{TORCH_CXX_FLAGS}}"
      INTERFACE_COMPILE_FEATURES cxx_std_@STANDARD@)
    if(_torch_name MATCHES "_cuda$")
      list(APPEND _torch_kept "${{_torch_file}}")
    endif()
  endif()
endforeach()
set_property(TARGET torch_cpu PROPERTY INTERFACE_LINK_LIBRARIES c10)
set_property(TARGET torch PROPERTY INTERFACE_LINK_LIBRARIES torch_cpu)

# torch_library keeps the libraries of which no symbol is called: they register kernels while they are loaded.
if(NOT TARGET torch_library)
  add_library(torch_library INTERFACE IMPORTED)
  set_property(TARGET torch_library PROPERTY INTERFACE_LINK_LIBRARIES torch)
  foreach(_torch_file IN LISTS _torch_kept)
    set_property(TARGET torch_library APPEND PROPERTY INTERFACE_LINK_LIBRARIES
      "-Wl,--push-state,--no-as-needed,${{_torch_file}},--pop-state")
  endforeach()
endif()
set(TORCH_LIBRARIES torch torch_library torch_cpu c10)
set(TORCH_LIBRARY "${{TORCH_INSTALL_PREFIX}}/lib/libtorch.so")

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Torch DEFAULT_MSG TORCH_LIBRARY TORCH_INCLUDE_DIRS)
"""


def complete(stage: Stage, libtorch: Libtorch) -> None:
    """Write what is missing in a tree.

    Parameters
    ----------
    stage
        The tree, all of it written.
    libtorch
        What it is.
    """
    if VERSION not in stage.entries:
        stage.write(VERSION, [f"{libtorch.version}+{libtorch.flavor}\n".encode()])
    _mend_cmake(stage, libtorch)


def _mend_cmake(stage: Stage, libtorch: Libtorch) -> None:
    """Replace the `TorchConfig.cmake` of a tree that came out of a wheel built for CUDA."""
    if CONFIG not in stage.entries or _TARGETS not in stage.entries:
        return
    original = (stage.path / CONFIG).read_bytes()
    if b"torch_cuda" not in (stage.path / _TARGETS).read_bytes() or original.startswith(_MARK.encode()):
        return
    stage.drop(CONFIG)
    if "torch_cuda" in libtorch.libraries:
        stage.write(OF_CUDA, [original])
    text = _TEXT.replace("@ABI@", str(int(libtorch.cxx11_abi))).replace("@STANDARD@", str(libtorch.cxx_standard))
    stage.write(CONFIG, [text.encode()])
