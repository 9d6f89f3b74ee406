// Generators of random numbers.
#pragma once

#include "object.h"

namespace ltf {

void register_random(pybind11::module_& module);

}  // namespace ltf
