// The callables that Python sees: one overload (Operator), and all overloads of a name (OverloadPacket).
#pragma once

#include "object.h"

namespace ltf {

/// Puts the types and the look-up functions into the module, and every aten operator with a `self` onto Tensor.
void register_overloads(pybind11::module_& module);

}  // namespace ltf
