// Tensor's subscripts: x[0], x[1:3, None], x[mask] = 0, len(x), iteration and `in`.
#pragma once

#include <vector>

#include "object.h"

namespace ltf {

/// Adds the entries of Python's sequence and mapping protocols to the slots of the Tensor type.
void add_indexing_slots(std::vector<PyType_Slot>& slots);

}  // namespace ltf
