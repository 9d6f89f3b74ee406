// The Python face of libtorch's storages: the memory that tensors are views of.
#pragma once

#include "object.h"

namespace ltf {

void register_storage(pybind11::module_& module);

}  // namespace ltf
