"""`libtorch_ffi.build.flags`: what is said to compilers and linkers, word for word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libtorch_ffi.build.flags import flags

if TYPE_CHECKING:
    from libtorch_ffi.provision import Libtorch


def test_the_words_for_linux(libtorch: Libtorch) -> None:
    words = flags(libtorch)
    assert words.includes == ["-I/opt/libtorch/include", "-I/opt/libtorch/include/torch/csrc/api/include"]
    assert words.cxxflags == [*words.includes, "-D_GLIBCXX_USE_CXX11_ABI=0", "-std=c++17"]
    assert words.rpath == ["-Wl,-rpath,/opt/libtorch/lib"]
    assert words.ldflags == ["-L/opt/libtorch/lib", "-ltorch", "-ltorch_cpu", "-lc10", *words.rpath]


@pytest.mark.parametrize(("abi", "word"), [(True, "-D_GLIBCXX_USE_CXX11_ABI=1"), (False, "-D_GLIBCXX_USE_CXX11_ABI=0")])
def test_the_abi_is_said_both_ways(libtorch: Libtorch, abi: bool, word: str) -> None:
    assert word in flags(replace(libtorch, cxx11_abi=abi)).cxxflags


def test_another_standard_library_has_no_abi_to_choose(libtorch: Libtorch) -> None:
    assert not [word for word in flags(libtorch, libstdcxx=False).cxxflags if "ABI" in word]


def test_the_release_chooses_the_standard(libtorch: Libtorch) -> None:
    assert flags(replace(libtorch, cxx_standard=20)).cxxflags[-1] == "-std=c++20"


def test_cuda_libraries_are_kept_and_the_linker_is_left_as_it_was(libtorch: Libtorch) -> None:
    names = ("torch", "torch_cuda", "torch_cpu", "c10_cuda", "c10")
    assert flags(replace(libtorch, libraries=names)).ldflags[1:-1] == [
        "-Wl,--push-state,--no-as-needed",
        "-ltorch_cuda",
        "-lc10_cuda",
        "-Wl,--pop-state",
        "-ltorch",
        "-ltorch_cpu",
        "-lc10",
    ]


def test_macos(libtorch: Libtorch) -> None:
    macos = replace(libtorch, platform="macos-arm64", cxx11_abi=True)
    assert flags(macos).cxxflags[-1] == "-std=c++17"
    assert not [word for word in flags(macos).cxxflags if "ABI" in word]
    assert "-Wl,-ld_classic" not in flags(macos).ldflags
    assert flags(macos, ld_classic=True).ldflags[0] == "-Wl,-ld_classic"


def test_ld_classic_is_apple_s_alone(libtorch: Libtorch) -> None:
    assert "-Wl,-ld_classic" not in flags(libtorch, ld_classic=True).ldflags


def test_system_headers_are_quiet_and_the_compiler_s_own_folder_is_left_out(libtorch: Libtorch) -> None:
    folders = (Path("/usr/include"), Path("/usr/include/torch/csrc/api/include"))
    words = flags(replace(libtorch, include_dirs=folders), system_headers=True)
    assert words.includes == ["-isystem", "/usr/include/torch/csrc/api/include"]


def test_a_path_with_a_space_stays_one_word(libtorch: Libtorch) -> None:
    words = flags(replace(libtorch, library_dirs=(Path("/opt/my libs"),)))
    assert words.ldflags[0] == "-L/opt/my libs"
    assert words.rpath == ["-Wl,-rpath,/opt/my libs"]
