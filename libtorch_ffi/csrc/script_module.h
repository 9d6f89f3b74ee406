// Modules of TorchScript: archives, attributes, and what libtorch does to a module as a whole.
#pragma once

#include "object.h"

namespace ltf {

void register_script_module(pybind11::module_& module);

}  // namespace ltf
