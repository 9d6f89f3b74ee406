// Memory shared with other libraries: the buffer protocol both ways.
#pragma once

#include <vector>

#include "object.h"

namespace ltf {

/// A tensor over the memory of an object that has the buffer protocol; it keeps the object alive. `shares` tells that
/// the tensor is handed out as it is: then a buffer that is read-only is worth a warning.
at::Tensor tensor_from_buffer(PyObject* object, bool shares);

/// Whether an object is an array of NumPy's kind: it has the buffer protocol, and says that it is an array. Other
/// buffers (bytearray, array.array, memoryview) are sequences of numbers.
bool is_array(PyObject* object);

/// A tensor over the memory that an object offers by DLPack or by NumPy's `__array__`; undefined where it offers none.
/// Whoever shares a buffer shares it by the function above.
at::Tensor tensor_from_offer(PyObject* object, bool shares);

/// Adds the buffer protocol to the slots of the Tensor type.
void add_interchange_slots(std::vector<PyType_Slot>& slots);

void register_interchange(pybind11::module_& module);

}  // namespace ltf
