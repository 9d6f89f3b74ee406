// Collective operations of several processes: c10d's store and its process group over Gloo.
#pragma once

#include "object.h"

namespace ltf {

void register_process_group(pybind11::module_& module);

}  // namespace ltf
