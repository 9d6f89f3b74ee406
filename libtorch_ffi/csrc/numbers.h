// Tensor's arithmetic, comparisons and conversions to Python numbers.
#pragma once

#include <vector>

#include "object.h"

namespace ltf {

/// Adds the entries of Python's number protocol to the slots of the Tensor type.
void add_number_slots(std::vector<PyType_Slot>& slots);
/// The methods that belong to it: item, __complex__.
extern PyMethodDef number_methods[2];

}  // namespace ltf
