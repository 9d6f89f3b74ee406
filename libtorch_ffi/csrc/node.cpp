// Owns the Python type Node: a handle of one node of libtorch's graph, to look at and to hang hooks on. A node that is
// written in Python (python_function.h) also answers the attributes of its context.
//
// What a node owns of Python (hooks, a context) is owned in C++, where the cycle collector cannot see it. So a Node or
// Tensor object shows it to the collector as its own, and only where it is: when nothing else shares the node.
#include "node.h"

#include "hooks.h"
#include "python_function.h"
#include "tensor.h"

namespace ltf {
namespace {

struct NodeObject {
    PyObject_HEAD;
    NodePointer node;
};

PyTypeObject* node_type = nullptr;

const NodePointer& node_of(PyObject* self) { return reinterpret_cast<NodeObject*>(self)->node; }

void node_dealloc(PyObject* self) {
    PyObject_GC_UnTrack(self);
    reinterpret_cast<NodeObject*>(self)->node.~NodePointer();
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

int node_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return visit_owned(node_of(self), visit, arg);
}

PyObject* node_repr(PyObject* self) {
    return guarded([&] { return PyUnicode_FromFormat("<%s>", node_of(self)->name().c_str()); });
}

Py_hash_t node_hash(PyObject* self) {
    return static_cast<Py_hash_t>(reinterpret_cast<uintptr_t>(node_of(self).get()) >> 4U);
}

PyObject* node_compare(PyObject* self, PyObject* other, int operation) {
    if (Py_TYPE(other) != node_type || (operation != Py_EQ && operation != Py_NE)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return boolean((node_of(self) == node_of(other)) == (operation == Py_EQ));
}

PyObject* node_getattro(PyObject* self, PyObject* name) {
    PyObject* value = PyObject_GenericGetAttr(self, name);
    if (value != nullptr || PyErr_ExceptionMatches(PyExc_AttributeError) == 0) {
        return value;
    }
    PyObject* context = context_of(*node_of(self));
    if (context == nullptr) {
        return nullptr;
    }
    PyErr_Clear();
    return PyObject_GetAttr(context, name);
}

int node_setattro(PyObject* self, PyObject* name, PyObject* value) {
    PyObject* context = context_of(*node_of(self));
    return context == nullptr ? PyObject_GenericSetAttr(self, name, value) : PyObject_SetAttr(context, name, value);
}

PyObject* node_name(PyObject* self, PyObject*) {
    return guarded([&] { return PyUnicode_FromString(node_of(self)->name().c_str()); });
}

PyObject* node_sequence_nr(PyObject* self, PyObject*) {
    return PyLong_FromUnsignedLongLong(node_of(self)->sequence_nr());
}

PyObject* node_next_functions(PyObject* self, void*) {
    return guarded([&] {
        const auto& edges = node_of(self)->next_edges();
        Ref answer = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(edges.size())));
        for (size_t i = 0; i < edges.size(); ++i) {
            Ref next = Ref::steal(wrap_node(edges[i].function));
            Ref pair = Ref::steal(Py_BuildValue("(OI)", next.get(), static_cast<unsigned>(edges[i].input_nr)));
            PyTuple_SET_ITEM(answer.get(), static_cast<Py_ssize_t>(i), pair.release());
        }
        return answer.release();
    });
}

/// The tensor whose gradient an AccumulateGrad node adds to.
PyObject* node_variable(PyObject* self, void*) {
    return guarded([&] { return wrap(accumulated_tensor(*node_of(self))); });
}

PyGetSetDef node_properties[] = {
    {"next_functions", node_next_functions, nullptr, "The nodes that gradients go to next, each with its input.",
     nullptr},
    {"variable", node_variable, nullptr, "The leaf whose gradient this node accumulates, or None.", nullptr},
    {}};

PyMethodDef node_methods[] = {
    {"name", node_name, METH_NOARGS, "What recorded it, such as AddBackward0."},
    {"_sequence_nr", node_sequence_nr, METH_NOARGS, "Its place in the order of recording, in its thread."},
    {}};

PyTypeObject* new_node_type() {
    PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(node_dealloc)},
                           {Py_tp_traverse, reinterpret_cast<void*>(node_traverse)},
                           {Py_tp_repr, reinterpret_cast<void*>(node_repr)},
                           {Py_tp_hash, reinterpret_cast<void*>(node_hash)},
                           {Py_tp_richcompare, reinterpret_cast<void*>(node_compare)},
                           {Py_tp_getattro, reinterpret_cast<void*>(node_getattro)},
                           {Py_tp_setattro, reinterpret_cast<void*>(node_setattro)},
                           {Py_tp_getset, node_properties},
                           {Py_tp_methods, node_methods},
                           {Py_tp_doc, const_cast<char*>("A node of the graph that autograd records.")},
                           {0, nullptr}};
    PyType_Spec spec = {"libtorch_ffi.Node", sizeof(NodeObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return reinterpret_cast<PyTypeObject*>(Ref::steal(PyType_FromSpec(&spec)).release());
}

/// The table of a kind of hooks of a node.
template <PyObject* (*Table)(torch::autograd::Node&, PyObject*)>
pybind11::object node_table(const pybind11::handle& node, const pybind11::handle& make_table) {
    if (Py_TYPE(node.ptr()) != node_type) {
        throw pybind11::type_error("a Node was expected");
    }
    return pybind11::reinterpret_borrow<pybind11::object>(Table(*node_of(node.ptr()), make_table.ptr()));
}

}  // namespace

PyObject* wrap_node(const NodePointer& node) {
    if (node == nullptr) {
        return none();
    }
    PyObject* object = Ref::steal(reinterpret_cast<PyObject*>(PyObject_GC_New(NodeObject, node_type))).release();
    new (&reinterpret_cast<NodeObject*>(object)->node) NodePointer(node);
    PyObject_GC_Track(object);
    return object;
}

int visit_owned(const NodePointer& node, visitproc visit, void* arg) {
    if (node == nullptr || node.use_count() != 1) {
        return 0;
    }
    Py_VISIT(context_of(*node));
    return visit_hooks(*node, visit, arg);
}

int visit_owned(const at::Tensor& tensor, visitproc visit, void* arg) {
    if (tensor.unsafeGetTensorImpl() == nullptr || tensor.use_count() != 1) {
        return 0;
    }
    const auto* meta = torch::autograd::impl::get_autograd_meta(tensor);
    if (meta == nullptr) {
        return 0;
    }
    const int status = visit_hooks(*meta, visit, arg);
    // Not tensor.grad_fn(), which may compute it anew for a view.
    return status != 0 ? status : visit_owned(meta->grad_fn_, visit, arg);
}

void register_node(pybind11::module_& module) {
    namespace py = pybind11;
    node_type = new_node_type();
    check_status(PyModule_AddType(module.ptr(), node_type));
    module.def("node_hooks", &node_table<&post_hooks>, py::arg("node"), py::arg("make_table"),
               "The table of a node's hooks; make_table() makes one where there is none.");
    module.def("node_prehooks", &node_table<&pre_hooks>, py::arg("node"), py::arg("make_table"),
               "The same of the hooks that run before the node.");
}

}  // namespace ltf
