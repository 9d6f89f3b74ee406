// Tensors from Python data (numbers, nested lists, objects with the buffer protocol), and nested lists from tensors.
#pragma once

#include "object.h"

namespace ltf {

/// A new tensor of a number, a nested sequence of numbers or an array: dtype and shape by what is found in it.
at::Tensor tensor_from_data(PyObject* data);

/// What `Tensor(data)` means: as above, in the default dtype.
at::Tensor construct_tensor(PyObject* args, PyObject* kwargs);

/// A method of no arguments: the elements as nested lists of Python numbers.
PyObject* tensor_tolist(PyObject* self, PyObject*);

void register_construct(pybind11::module_& module);

}  // namespace ltf
