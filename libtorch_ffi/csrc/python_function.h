// Operations whose forward and backward are written in Python: what torch calls autograd.Function.
#pragma once

#include "node.h"

namespace ltf {

/// The context (borrowed) of a node that is written in Python; null for any other.
PyObject* context_of(const torch::autograd::Node& node);

void register_python_function(pybind11::module_& module);

}  // namespace ltf
