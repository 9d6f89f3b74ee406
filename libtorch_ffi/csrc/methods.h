// Tensor's methods that no operator stands for, or that are called too often to go through one.
#pragma once

#include <vector>

#include "object.h"

namespace ltf {

/// Appends size, stride, to, float, data_ptr and their kin.
void add_methods(std::vector<PyMethodDef>& methods);

}  // namespace ltf
