// Owns the life of a Tensor object and its properties. Operators are methods too, but overloads.cpp puts them on the
// type; arithmetic is in numbers.cpp, indexing in indexing.cpp.
#include "tensor.h"

#include <structmember.h>

#include <array>

#include "autograd.h"
#include "construct.h"
#include "indexing.h"
#include "interchange.h"
#include "methods.h"
#include "node.h"
#include "numbers.h"
#include "releases.h"
#include "values.h"

namespace ltf {

PyTypeObject* tensor_type = nullptr;

namespace {

/// Memory of dead handles, kept for the next ones: most handles live for one expression.
constexpr size_t kMostSpare = 64;
std::array<PyObject*, kMostSpare> spare{};
size_t spare_count = 0;

PyObject* new_handle() {
    if (spare_count > 0) {
        return PyObject_Init(spare[--spare_count], tensor_type);
    }
    TensorObject* fresh = PyObject_GC_New(TensorObject, tensor_type);
    return reinterpret_cast<PyObject*>(fresh);
}

void tensor_dealloc(PyObject* self) {
    PyObject_GC_UnTrack(self);
    auto* handle = reinterpret_cast<TensorObject*>(self);
    if (handle->weak_references != nullptr) {
        PyObject_ClearWeakRefs(self);
    }
    handle->tensor.~Tensor();
    PyTypeObject* type = Py_TYPE(self);
    if (type == tensor_type && spare_count < kMostSpare) {
        spare[spare_count++] = self;
    } else {
        type->tp_free(self);
    }
    Py_DECREF(type);
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return visit_owned(tensor_of(self), visit, arg);
}

PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        at::Tensor value = construct_tensor(args, kwargs);
        if (type == tensor_type) {
            return wrap(std::move(value));
        }
        Ref self = Ref::steal(type->tp_alloc(type, 0));
        new (&reinterpret_cast<TensorObject*>(self.get())->tensor) at::Tensor(std::move(value));
        return self.release();
    });
}

PyObject* tensor_repr(PyObject* self) {
    return guarded([&] {
        Ref module = Ref::steal(PyImport_ImportModule("libtorch_ffi._printing"));
        return PyObject_CallMethod(module.get(), "tensor_repr", "O", self);
    });
}

// Properties. Each is a function of the tensor; `property` adapts it to CPython's getter.

template <auto Function>
PyObject* property(PyObject* self, void*) {
    return guarded([&] { return Function(tensor_of(self)); });
}

PyObject* get_shape(const at::Tensor& self) { return wrap_size(self.sizes()); }
PyObject* get_dtype(const at::Tensor& self) { return wrap(self.scalar_type()); }
PyObject* get_device(const at::Tensor& self) { return wrap(self.device()); }
PyObject* get_layout(const at::Tensor& self) { return wrap(self.layout()); }
PyObject* get_ndim(const at::Tensor& self) { return PyLong_FromLongLong(self.dim()); }
PyObject* get_itemsize(const at::Tensor& self) { return PyLong_FromSize_t(self.itemsize()); }
PyObject* get_nbytes(const at::Tensor& self) { return PyLong_FromSize_t(self.nbytes()); }
PyObject* get_requires_grad(const at::Tensor& self) { return boolean(self.requires_grad()); }
PyObject* get_is_leaf(const at::Tensor& self) { return boolean(self.is_leaf()); }
PyObject* get_retains_grad(const at::Tensor& self) { return boolean(self.retains_grad()); }
PyObject* get_version(const at::Tensor& self) { return PyLong_FromLongLong(self._version()); }
PyObject* get_output_nr(const at::Tensor& self) { return PyLong_FromLongLong(self.output_nr()); }
PyObject* get_is_cpu(const at::Tensor& self) { return boolean(self.is_cpu()); }
PyObject* get_is_cuda(const at::Tensor& self) { return boolean(self.is_cuda()); }
PyObject* get_is_mps(const at::Tensor& self) { return boolean(self.is_mps()); }
PyObject* get_is_meta(const at::Tensor& self) { return boolean(self.is_meta()); }
PyObject* get_is_sparse(const at::Tensor& self) { return boolean(self.is_sparse()); }
PyObject* get_is_sparse_csr(const at::Tensor& self) { return boolean(self.is_sparse_csr()); }
PyObject* get_is_quantized(const at::Tensor& self) { return boolean(self.is_quantized()); }
PyObject* get_is_nested(const at::Tensor& self) { return boolean(self.is_nested()); }
PyObject* get_is_mkldnn(const at::Tensor& self) { return boolean(self.is_mkldnn()); }
PyObject* get_is_mtia(const at::Tensor& self) { return boolean(releases::is_mtia(releases::Rank<1>(), self)); }
PyObject* get_is_vulkan(const at::Tensor& self) { return boolean(self.is_vulkan()); }
PyObject* get_is_xla(const at::Tensor& self) { return boolean(self.is_xla()); }
PyObject* get_is_xpu(const at::Tensor& self) { return boolean(self.is_xpu()); }
PyObject* get_base(const at::Tensor& self) { return self.is_view() ? wrap(at::Tensor(self._base())) : none(); }
PyObject* get_name(const at::Tensor& self) {
    return self.name().empty() ? none() : PyUnicode_FromString(self.name().c_str());
}
PyObject* get_data(const at::Tensor& self) { return wrap(self.variable_data()); }
PyObject* get_grad(const at::Tensor& self) { return wrap(self.grad()); }
PyObject* get_T(const at::Tensor& self) { return wrap(self.numpy_T()); }
PyObject* get_mT(const at::Tensor& self) { return wrap(self.mT()); }
PyObject* get_H(const at::Tensor& self) { return wrap(self.matrix_H()); }
PyObject* get_mH(const at::Tensor& self) { return wrap(self.mH()); }
PyObject* get_real(const at::Tensor& self) { return wrap(at::real(self)); }
PyObject* get_imag(const at::Tensor& self) { return wrap(at::imag(self)); }
PyObject* get_grad_fn(const at::Tensor& self) { return wrap_node(self.grad_fn()); }

int set_requires_grad(PyObject* self, PyObject* value, void*) {
    return guarded_status([&] {
        if (value == nullptr || PyBool_Check(value) == 0) {
            raise(PyExc_RuntimeError, "requires_grad must be a bool");
        }
        require_grad(tensor_of(self), value == Py_True);
    });
}

int set_grad(PyObject* self, PyObject* value, void*) {
    return guarded_status([&] { assign_grad(tensor_of(self), value); });
}

int set_data(PyObject* self, PyObject* value, void*) {
    return guarded_status([&] {
        if (value == nullptr || !is_tensor(value)) {
            raise(PyExc_TypeError, "data must be set to a Tensor, but got %s",
                  value == nullptr ? "nothing" : Py_TYPE(value)->tp_name);
        }
        tensor_of(self).set_data(tensor_of(value));
    });
}

PyGetSetDef tensor_properties[] = {
    {"shape", property<get_shape>, nullptr, "The lengths of the dimensions, as a Size.", nullptr},
    {"dtype", property<get_dtype>, nullptr, "The type of an element.", nullptr},
    {"device", property<get_device>, nullptr, "Where the elements lie.", nullptr},
    {"layout", property<get_layout>, nullptr, "How the elements lie in memory.", nullptr},
    {"ndim", property<get_ndim>, nullptr, "The number of dimensions.", nullptr},
    {"itemsize", property<get_itemsize>, nullptr, "Bytes that an element takes.", nullptr},
    {"nbytes", property<get_nbytes>, nullptr, "Bytes that the elements take.", nullptr},
    {"requires_grad", property<get_requires_grad>, set_requires_grad, "Whether gradients reach it.", nullptr},
    {"is_leaf", property<get_is_leaf>, nullptr, "Whether no recorded operation made it.", nullptr},
    {"retains_grad", property<get_retains_grad>, nullptr, "Whether a non-leaf keeps its gradient.", nullptr},
    {"grad", property<get_grad>, set_grad, "The gradient accumulated so far, or None.", nullptr},
    {"grad_fn", property<get_grad_fn>, nullptr, "The node of the graph that made it, or None.", nullptr},
    {"data", property<get_data>, set_data, "The same elements, outside the graph.", nullptr},
    {"output_nr", property<get_output_nr>, nullptr, "Which output of grad_fn it is.", nullptr},
    {"_version", property<get_version>, nullptr, "How often it was changed in place.", nullptr},
    {"T", property<get_T>, nullptr, "All dimensions in reverse.", nullptr},
    {"mT", property<get_mT>, nullptr, "The last two dimensions swapped.", nullptr},
    {"H", property<get_H>, nullptr, "A matrix, transposed and conjugated.", nullptr},
    {"mH", property<get_mH>, nullptr, "The last two dimensions swapped, conjugated.", nullptr},
    {"real", property<get_real>, nullptr, "A view of the real parts.", nullptr},
    {"imag", property<get_imag>, nullptr, "A view of the imaginary parts.", nullptr},
    {"is_cpu", property<get_is_cpu>, nullptr, "Whether it lies in the host's memory.", nullptr},
    {"is_cuda", property<get_is_cuda>, nullptr, "Whether it lies on a CUDA device.", nullptr},
    {"is_mps", property<get_is_mps>, nullptr, "Whether it lies on an Apple GPU.", nullptr},
    {"is_meta", property<get_is_meta>, nullptr, "Whether it has a shape and no elements.", nullptr},
    {"is_sparse", property<get_is_sparse>, nullptr, "Whether its layout is sparse_coo.", nullptr},
    {"is_sparse_csr", property<get_is_sparse_csr>, nullptr, "Whether its layout is sparse_csr.", nullptr},
    {"is_quantized", property<get_is_quantized>, nullptr, "Whether its dtype is quantized.", nullptr},
    {"is_mkldnn", property<get_is_mkldnn>, nullptr, "Whether its layout is oneDNN's own.", nullptr},
    {"is_mtia", property<get_is_mtia>, nullptr, "Whether it lies on an MTIA device.", nullptr},
    {"is_vulkan", property<get_is_vulkan>, nullptr, "Whether it lies on a Vulkan device.", nullptr},
    {"is_xla", property<get_is_xla>, nullptr, "Whether it lies on an XLA device.", nullptr},
    {"is_xpu", property<get_is_xpu>, nullptr, "Whether it lies on an Intel GPU.", nullptr},
    {"_base", property<get_base>, nullptr, "The tensor that it is a view of, or None.", nullptr},
    {"name", property<get_name>, nullptr, "The name that C++ code gave it, or None.", nullptr},
    {"is_nested", property<get_is_nested>, nullptr, "Whether it is a nested tensor.", nullptr},
    {}};

PyMemberDef tensor_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weak_references), READONLY, nullptr}, {}};

}  // namespace

PyObject* wrap(at::Tensor tensor) {
    if (!tensor.defined()) {
        return none();
    }
    PyObject* handle = new_handle();
    if (handle == nullptr) {
        throw PythonError();
    }
    auto* object = reinterpret_cast<TensorObject*>(handle);
    new (&object->tensor) at::Tensor(std::move(tensor));
    object->weak_references = nullptr;
    return handle;
}

void register_tensor(pybind11::module_& module) {
    std::vector<PyMethodDef>& methods = *new std::vector<PyMethodDef>();  // CPython keeps the pointer
    methods.insert(methods.end(), std::begin(number_methods), std::end(number_methods));
    add_methods(methods);
    methods.push_back({"tolist", tensor_tolist, METH_NOARGS, "The elements as nested lists of Python numbers."});
    methods.push_back({});
    std::vector<PyType_Slot> slots = {
        {Py_tp_new, reinterpret_cast<void*>(tensor_new)},
        {Py_tp_dealloc, reinterpret_cast<void*>(tensor_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(tensor_traverse)},
        {Py_tp_repr, reinterpret_cast<void*>(tensor_repr)},
        // By identity of the handle: == compares elements, so equal hashes of two handles would ask for a truth value.
        {Py_tp_hash, reinterpret_cast<void*>(PyBaseObject_Type.tp_hash)},
        {Py_tp_getset, tensor_properties},
        {Py_tp_members, tensor_members},
        {Py_tp_methods, methods.data()},
        {Py_tp_doc, const_cast<char*>("An n-dimensional array of one dtype on one device.")},
    };
    add_number_slots(slots);
    add_indexing_slots(slots);
    add_interchange_slots(slots);
    slots.push_back({0, nullptr});
    PyType_Spec spec = {"libtorch_ffi.Tensor", sizeof(TensorObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots.data()};
    tensor_type = reinterpret_cast<PyTypeObject*>(Ref::steal(PyType_FromSpec(&spec)).release());
    check_status(PyModule_AddObjectRef(module.ptr(), "Tensor", reinterpret_cast<PyObject*>(tensor_type)));
}

}  // namespace ltf
