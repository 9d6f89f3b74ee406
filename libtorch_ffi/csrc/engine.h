// What libtorch's engine leaves open to a language: the stack that a node was recorded in, and hooks on saved tensors.
#pragma once

#include "node.h"

namespace ltf {

void register_engine(pybind11::module_& module);

}  // namespace ltf
