// libtorch's own C++ optimizers, told before each step what the Python side's parameter groups say.
#pragma once

#include "object.h"

namespace ltf {

void register_optimizers(pybind11::module_& module);

}  // namespace ltf
