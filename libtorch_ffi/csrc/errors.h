// The exception types that libtorch has and Python does not.
#pragma once

#include "object.h"

namespace ltf {

/// `linalg.LinAlgError`, a RuntimeError: a matrix that an algorithm cannot take (singular, not positive definite).
PyObject* linalg_error();
/// `OutOfMemoryError`, a RuntimeError: a device has no memory left.
PyObject* out_of_memory_error();

/// Creates the types above and adds them to the module.
void register_errors(pybind11::module_& module);

}  // namespace ltf
