// Owns the capsule through which an extension of somebody else takes and returns Tensors. What stands in it may be
// compiled into programs of years ago: a change of `Table` is a new `kLayout`.
#include "table.h"

#include "../include/libtorch_ffi/table.h"
#include "tensor.h"

namespace ltf {
namespace {

const at::Tensor* tensor_in(PyObject* object) { return is_tensor(object) ? &tensor_of(object) : nullptr; }

PyObject* wrapped(const at::Tensor& tensor) {
    return guarded([&] { return wrap(tensor); });
}

const libtorch_ffi::Table table{libtorch_ffi::kLayout, libtorch_ffi::kAbi, tensor_in, wrapped, set_python_error};

}  // namespace

void register_table(pybind11::module_& module) {
    void* address = const_cast<libtorch_ffi::Table*>(&table);
    Ref capsule = Ref::steal(PyCapsule_New(address, libtorch_ffi::kCapsule, nullptr));
    check_status(PyModule_AddObjectRef(module.ptr(), "_table", capsule.get()));
}

}  // namespace ltf
