// The Tensor type: a CPython heap type around at::Tensor.
//
// A Python object is a handle. libtorch's own slot for a Python object is left alone, because torch uses it where both
// share one process; so two handles may stand for one tensor, and a result that is an argument comes back as that
// argument.
#pragma once

#include "object.h"

namespace ltf {

struct TensorObject {
    PyObject_HEAD;
    at::Tensor tensor;
    PyObject* weak_references;
};

extern PyTypeObject* tensor_type;

inline bool is_tensor(PyObject* object) {
    return Py_TYPE(object) == tensor_type || PyType_IsSubtype(Py_TYPE(object), tensor_type) != 0;
}

/// The tensor in a Tensor object; `object` must be one.
inline const at::Tensor& tensor_of(PyObject* object) { return reinterpret_cast<TensorObject*>(object)->tensor; }

/// A new Tensor object. An undefined tensor becomes None.
PyObject* wrap(at::Tensor tensor);

void register_tensor(pybind11::module_& module);

}  // namespace ltf

namespace pybind11::detail {

/// Passes tensors through functions that pybind11 binds.
template <>
struct type_caster<at::Tensor> {
    PYBIND11_TYPE_CASTER(at::Tensor, const_name("Tensor"));

    bool load(handle source, bool) {
        if (!ltf::is_tensor(source.ptr())) {
            return false;
        }
        value = ltf::tensor_of(source.ptr());
        return true;
    }

    static handle cast(const at::Tensor& tensor, return_value_policy, handle) { return ltf::wrap(tensor); }
};

}  // namespace pybind11::detail
