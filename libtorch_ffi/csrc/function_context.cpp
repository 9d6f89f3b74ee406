// Owns the Python type of the `ctx` that forward and backward get. Its attributes are the user's own; what libtorch has
// to know lies in the state beside them.
//
// Who owns whom: the node owns the context, and the context knows its node weakly.
#include "function_context.h"

#include <structmember.h>

#include "tensor.h"

namespace ltf {
namespace {

struct ContextObject {
    PyObject_HEAD;
    PyObject* dict;
    PyObject* weak_references;
    ContextState* state;
};

PyTypeObject* context_type = nullptr;

int context_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    auto* context = reinterpret_cast<ContextObject*>(self);
    Py_VISIT(context->dict);
    if (const ContextState* state = context->state; state != nullptr) {
        Py_VISIT(state->function.get());
        Py_VISIT(state->to_save.get());
        Py_VISIT(state->non_differentiable.get());
        Py_VISIT(state->dirty.get());
    }
    return 0;
}

int context_clear(PyObject* self) {
    auto* context = reinterpret_cast<ContextObject*>(self);
    Py_CLEAR(context->dict);
    if (ContextState* state = context->state; state != nullptr) {
        const Ref dying[] = {std::exchange(state->to_save, Ref()), std::exchange(state->non_differentiable, Ref()),
                             std::exchange(state->dirty, Ref())};
    }
    return 0;
}

void context_dealloc(PyObject* self) {
    PyObject_GC_UnTrack(self);
    auto* context = reinterpret_cast<ContextObject*>(self);
    if (context->weak_references != nullptr) {
        PyObject_ClearWeakRefs(self);
    }
    Py_CLEAR(context->dict);
    delete std::exchange(context->state, nullptr);
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

// What forward tells

template <Ref ContextState::* Member>
PyObject* keep_arguments(PyObject* self, PyObject* args) {
    return guarded([&] {
        Ref previous = std::exchange(state_of(self).*Member, Ref::borrow(args));
        return none();
    });
}

/// Changing a tensor in place counts as a new version of it, also where an operation did not count it.
PyObject* mark_dirty(PyObject* self, PyObject* args) {
    return guarded([&] {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) {
            PyObject* item = PyTuple_GET_ITEM(args, i);
            if (!is_tensor(item)) {
                raise(PyExc_TypeError, "mark_dirty can only accept Tensor arguments, but argument %zd is of type %s", i,
                      Py_TYPE(item)->tp_name);
            }
        }
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) {
            torch::autograd::impl::bump_version(tensor_of(PyTuple_GET_ITEM(args, i)));
        }
        Ref previous = std::exchange(state_of(self).dirty, Ref::borrow(args));
        return none();
    });
}

PyObject* set_materialize_grads(PyObject* self, PyObject* value) {
    return guarded([&] {
        if (PyBool_Check(value) == 0) {
            raise(PyExc_TypeError, "set_materialize_grads(): a bool was expected, not %s", Py_TYPE(value)->tp_name);
        }
        state_of(self).materializes = value == Py_True;
        return none();
    });
}

// What backward asks

PyObject* get_saved_tensors(PyObject* self, void*) {
    return guarded([&] {
        ContextState& state = state_of(self);
        if (state.released) {
            raise(PyExc_RuntimeError, "%s", torch::autograd::ERR_BACKWARD_TWICE);
        }
        NodePointer node;
        if (state.node) {
            node = state.node->lock();
        }
        if (node == nullptr && !state.saved.empty()) {
            raise(PyExc_RuntimeError, "the graph that these tensors were saved for is gone");
        }
        Ref tensors = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(state.saved.size())));
        for (size_t i = 0; i < state.saved.size(); ++i) {
            Ref tensor = Ref::steal(wrap(state.saved[i].unpack(node)));
            PyTuple_SET_ITEM(tensors.get(), static_cast<Py_ssize_t>(i), tensor.release());
        }
        return tensors.release();
    });
}

PyObject* get_needs_input_grad(PyObject* self, void*) {
    PyObject* needs = state_of(self).needs_input_grad.get();
    return needs == nullptr ? none() : Py_NewRef(needs);
}

PyObject* get_function(PyObject* self, void*) { return Py_NewRef(state_of(self).function.get()); }
PyObject* get_materialize_grads(PyObject* self, void*) { return boolean(state_of(self).materializes); }

template <Ref ContextState::* Member>
PyObject* get_kept(PyObject* self, void*) {
    PyObject* kept = (state_of(self).*Member).get();
    return kept == nullptr ? none() : Py_NewRef(kept);
}

PyMethodDef context_methods[] = {
    {"save_for_backward", keep_arguments<&ContextState::to_save>, METH_VARARGS,
     "Keeps tensors (or None) for backward, which finds them as saved_tensors."},
    {"mark_dirty", mark_dirty, METH_VARARGS, "Says which arguments forward changed in place; it must return them."},
    {"mark_non_differentiable", keep_arguments<&ContextState::non_differentiable>, METH_VARARGS,
     "Says which outputs have no gradient."},
    {"set_materialize_grads", set_materialize_grads, METH_O,
     "Whether backward gets zeros for a gradient that is missing (the default), or None."},
    {}};

PyGetSetDef context_properties[] = {
    {"saved_tensors", get_saved_tensors, nullptr, "What forward saved.", nullptr},
    {"needs_input_grad", get_needs_input_grad, nullptr, "For each argument, whether a gradient is asked for.", nullptr},
    {"materialize_grads", get_materialize_grads, nullptr, "Whether missing gradients come as zeros.", nullptr},
    {"to_save", get_kept<&ContextState::to_save>, nullptr, "What save_for_backward got, until forward has ended.",
     nullptr},
    {"non_differentiable", get_kept<&ContextState::non_differentiable>, nullptr, "Likewise of mark_non_differentiable.",
     nullptr},
    {"dirty_tensors", get_kept<&ContextState::dirty>, nullptr, "Likewise of mark_dirty.", nullptr},
    {"_forward_cls", get_function, nullptr, "The subclass of Function that was called.", nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {}};

PyMemberDef context_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(ContextObject, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ContextObject, weak_references), READONLY, nullptr},
    {}};

}  // namespace

Ref new_context(PyObject* function) {
    Ref context = Ref::steal(context_type->tp_alloc(context_type, 0));
    reinterpret_cast<ContextObject*>(context.get())->state = new ContextState();
    state_of(context.get()).function = Ref::borrow(function);
    return context;
}

ContextState& state_of(PyObject* context) { return *reinterpret_cast<ContextObject*>(context)->state; }

void register_function_context(pybind11::module_& module) {
    PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(context_dealloc)},
                           {Py_tp_traverse, reinterpret_cast<void*>(context_traverse)},
                           {Py_tp_clear, reinterpret_cast<void*>(context_clear)},
                           {Py_tp_methods, context_methods},
                           {Py_tp_getset, context_properties},
                           {Py_tp_members, context_members},
                           {Py_tp_doc, const_cast<char*>("What forward leaves for backward.")},
                           {0, nullptr}};
    PyType_Spec spec = {"libtorch_ffi.FunctionCtx", sizeof(ContextObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    context_type = reinterpret_cast<PyTypeObject*>(Ref::steal(PyType_FromSpec(&spec)).release());
    check_status(PyModule_AddType(module.ptr(), context_type));
}

}  // namespace ltf
