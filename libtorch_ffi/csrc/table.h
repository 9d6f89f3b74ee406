// What extensions of others reach of the Tensor: the other side of <libtorch_ffi/table.h>.
#pragma once

#include "object.h"

namespace ltf {

void register_table(pybind11::module_& module);

}  // namespace ltf
