// New functions of TorchScript: compiled from its source, or recorded while a Python function runs.
#pragma once

#include "object.h"

namespace ltf {

void register_script_trace(pybind11::module_& module);

}  // namespace ltf
