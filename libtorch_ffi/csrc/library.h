// Operators that do not come with libtorch: those of a shared library, and those that are written in Python.
#pragma once

#include "object.h"

namespace ltf {

void register_library(pybind11::module_& module);

}  // namespace ltf
