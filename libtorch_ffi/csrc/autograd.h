// Gradients: modes, the engine, and what ties Python objects to libtorch's graph.
#pragma once

#include "object.h"

namespace ltf {

/// What assigning `requires_grad` means; raises where libtorch would only fail later.
void require_grad(const at::Tensor& tensor, bool value);
/// What assigning or deleting `grad` means; `value` is a Tensor, None, or null to delete.
void assign_grad(const at::Tensor& tensor, PyObject* value);

void register_autograd(pybind11::module_& module);

}  // namespace ltf
