// The small value types of torch's vocabulary: dtype, layout, memory_format, qscheme, device and Size.
#pragma once

#include "object.h"

namespace ltf {

/// One member of a closed vocabulary: a dtype, a layout, a memory format or a quantization scheme.
struct ConstantObject {
    PyObject_HEAD;
    int64_t value;
    PyObject* name;  // without "torch."
};

struct DeviceObject {
    PyObject_HEAD;
    at::Device device;
};

extern PyTypeObject* dtype_type;
extern PyTypeObject* layout_type;
extern PyTypeObject* memory_format_type;
extern PyTypeObject* qscheme_type;
extern PyTypeObject* device_type;
extern PyTypeObject* size_type;

inline int64_t constant_value(PyObject* constant) { return reinterpret_cast<ConstantObject*>(constant)->value; }
inline at::ScalarType scalar_type_of(PyObject* dtype) { return static_cast<at::ScalarType>(constant_value(dtype)); }

/// New references to the Python objects of libtorch's values.
PyObject* wrap(at::ScalarType dtype);
PyObject* wrap(at::Layout layout);
PyObject* wrap(at::MemoryFormat format);
PyObject* wrap(at::QScheme scheme);
PyObject* wrap(at::Device device);
/// A `Size` of plain ints.
PyObject* wrap_size(at::IntArrayRef sizes);
PyObject* wrap(const at::Scalar& scalar);

/// The dtype of a Python type (`float`, `int`, `bool`, `complex`) or of a dtype object; false for anything else.
bool read_dtype(PyObject* object, at::ScalarType& dtype);
/// The device of a device object, a string such as "cuda:0", or a CUDA index; false for anything else.
bool read_device(PyObject* object, at::Device& device);

void register_values(pybind11::module_& module);

}  // namespace ltf
