"""A library with operators of its own, compiled against the libtorch that the package under test runs on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import libtorch_ffi
from libtorch_ffi._binding import core
from libtorch_ffi.build import toolchain
from libtorch_ffi.build.flags import flags
from libtorch_ffi.provision.describe import describe

if TYPE_CHECKING:
    from libtorch_ffi.provision import Libtorch

SOURCE = """
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

at::Tensor scaled(const at::Tensor& x, const at::Scalar& by) { return x * by; }

std::tuple<at::Tensor, int64_t> counted(const at::Tensor& x, int64_t more) { return {x.clone(), x.numel() + more}; }

at::Tensor refused(const at::Tensor& x) {
    TORCH_CHECK_VALUE(x.dim() == 7, "refused: expected 7 dimensions, got ", x.dim());
    return x;
}

// The gradient is three times the right one, so that a test can tell who has made it.
struct Traced : torch::autograd::Function<Traced> {
    static at::Tensor forward(torch::autograd::AutogradContext*, at::Tensor x) {
        at::AutoDispatchBelowADInplaceOrView below;
        return x.clone();
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                   torch::autograd::variable_list gradients) {
        return {gradients[0] * 3};
    }
};

at::Tensor traced(const at::Tensor& x) { return Traced::apply(x); }

}  // namespace

TORCH_LIBRARY(tested, m) {
    m.def("scaled(Tensor x, *, Scalar by=2) -> Tensor", scaled);
    m.def("counted(Tensor x, int more=0) -> (Tensor copy, int number)", counted);
    m.def("refused(Tensor x) -> Tensor", refused);
    m.def("traced(Tensor x) -> Tensor");
}
TORCH_LIBRARY_IMPL(tested, Autograd, m) { m.impl("traced", traced); }
"""


def running_libtorch() -> Libtorch:
    """Return the libtorch that the extension was built against, or else the one in this process."""
    record = Path(libtorch_ffi.__file__).with_name("_built.json")
    if record.is_file():
        prefix = Path(json.loads(record.read_text(encoding="utf-8"))["prefix"])
    else:
        assert core is not None
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        prefix = next(Path(line[line.index("/") :]).parents[1] for line in lines if line.endswith("/libtorch_cpu.so"))
    return describe(prefix / "include", prefix / "lib", prefix=prefix, origin="given")


def compile_library(folder: Path, source: str, name: str, *, libtorch: Libtorch | None = None) -> Path:
    """Compile a source to a shared library; against a libtorch where one is given."""
    library = folder / f"lib{name}{'.dylib' if sys.platform == 'darwin' else '.so'}"
    path = folder / f"{name}.cpp"
    path.write_text(source, encoding="utf-8")
    words = [*toolchain.find_compiler(libtorch.cxx_standard if libtorch else 17).command, "-O0", "-fPIC", "-shared"]
    asked = flags(libtorch, system_headers=True) if libtorch else None
    compiled = [*words, *(asked.cxxflags if asked else []), str(path), "-o", str(library)]
    undefined = ["-Wl,-undefined,dynamic_lookup"] if sys.platform == "darwin" else []
    subprocess.run([*compiled, *(asked.ldflags if asked else undefined)], check=True)
    return library
