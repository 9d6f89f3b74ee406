// Owns the C++ hooks that call Python's. The engine runs without the GIL, so each takes it; an exception in a Python
// hook comes out of backward() as itself.
//
// The hooks of a tensor are one entry in libtorch's own list of C++ hooks, so that libtorch keeps what torch promises:
// the list goes with the value, and a tensor that is changed in place begins a new one.
#include "hooks.h"

#include <ATen/core/VariableHooksInterface.h>
#include <torch/csrc/autograd/cpp_hook.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <memory>
#include <string>

#include "releases.h"
#include "tensor.h"

namespace ltf {
namespace {

using torch::autograd::variable_list;

Ref new_table(PyObject* make_table) { return Ref::steal(PyObject_CallNoArgs(make_table)); }

/// The hooks of a table at this moment: a hook may remove itself, or add another.
Ref hooks_in(const Held& table) { return Ref::steal(PyDict_Values(table.get())); }

std::string name_of(PyObject* hook) {
    Ref name = Ref::steal(PyObject_Repr(hook));
    return pybind11::handle(name.get()).cast<std::string>();
}

Ref as_tuple(const variable_list& tensors) {
    Ref tuple = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(tensors.size())));
    for (size_t i = 0; i < tensors.size(); ++i) {
        PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), Ref::steal(wrap(tensors[i])).release());
    }
    return tuple;
}

/// What a hook answered in place of `original`, checked as libtorch checks its own hooks; undefined for None.
at::Tensor checked(const at::Tensor& original, PyObject* result, PyObject* hook) {
    if (result == Py_None) {
        return {};
    }
    if (!original.defined()) {
        raise(PyExc_TypeError, "can't replace a None gradient with a non-None value");
    }
    if (!is_tensor(result)) {
        raise(PyExc_TypeError, "expected Tensor, but hook returned '%s'", Py_TYPE(result)->tp_name);
    }
    torch::autograd::check_variable_result(original, tensor_of(result), name_of(hook));
    return tensor_of(result);
}

/// What a hook answered in place of a list of gradients.
variable_list checked(const variable_list& originals, PyObject* result, PyObject* hook) {
    if (result == Py_None) {
        return originals;
    }
    Ref items = PyTuple_Check(result) != 0 ? Ref::borrow(result) : Ref::steal(PyTuple_Pack(1, result));
    const Py_ssize_t count = PyTuple_GET_SIZE(items.get());
    if (count != static_cast<Py_ssize_t>(originals.size())) {
        raise(PyExc_RuntimeError, "hook '%s' has returned an incorrect number of values (got %zd, but expected %zu)",
              name_of(hook).c_str(), count, originals.size());
    }
    variable_list results;
    for (size_t i = 0; i < originals.size(); ++i) {
        PyObject* item = PyTuple_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i));
        results.push_back(checked(originals[i], item, hook));
    }
    return results;
}

/// The hooks of a tensor: each may replace the gradient.
struct TensorHooks {
    std::shared_ptr<Held> table;

    at::TensorBase operator()(const at::TensorBase& gradient) const {
        return in_python([&]() -> at::TensorBase {
            at::Tensor value(gradient);
            Ref argument = Ref::steal(wrap(value));
            Ref hooks = hooks_in(*table);
            for (Py_ssize_t i = 0; i < PyList_GET_SIZE(hooks.get()); ++i) {
                PyObject* hook = PyList_GET_ITEM(hooks.get(), i);
                Ref result = Ref::steal(PyObject_CallOneArg(hook, argument.get()));
                if (at::Tensor replacement = checked(value, result.get(), hook); replacement.defined()) {
                    value = std::move(replacement);
                    argument = std::move(result);
                }
            }
            return value;
        });
    }
};

#if LTF_SINCE(1)
/// The hooks of a leaf that run when its gradient was added to. They get the object that they were registered on, while
/// it lives, so that it can be found in a dict.
struct AccumulateHooks final : torch::autograd::PostAccumulateGradHook {
    AccumulateHooks(PyObject* tensor, PyObject* hooks)
        : table(hooks), tensor_reference(Ref::steal(PyWeakref_NewRef(tensor, nullptr)).get()) {}

    void operator()(const at::Tensor& tensor) override {
        in_python([&] {
            Ref argument = Ref::steal(PyObject_CallNoArgs(tensor_reference.get()));
            if (argument.get() == Py_None) {
                argument = Ref::steal(wrap(tensor));
            }
            Ref hooks = hooks_in(table);
            for (Py_ssize_t i = 0; i < PyList_GET_SIZE(hooks.get()); ++i) {
                Ref result = Ref::steal(PyObject_CallOneArg(PyList_GET_ITEM(hooks.get(), i), argument.get()));
                if (result.get() != Py_None) {
                    raise(PyExc_RuntimeError, "Tensor post accumulate grad hooks should return None.");
                }
            }
        });
    }

    Held table;
    Held tensor_reference;
};

Ref accumulate_table(const at::Tensor& tensor, PyObject* object, PyObject* make_table) {
    auto& slot = torch::autograd::impl::materialize_autograd_meta(tensor)->post_acc_grad_hooks_;
    auto* hooks = dynamic_cast<AccumulateHooks*>(slot.get());
    if (hooks == nullptr) {
        auto fresh = std::make_unique<AccumulateHooks>(object, new_table(make_table).get());
        hooks = fresh.get();
        torch::autograd::impl::set_post_acc_grad_hooks(tensor, std::move(fresh));
    }
    return Ref::borrow(hooks->table.get());
}

int visit_accumulate_table(const torch::autograd::AutogradMeta& meta, visitproc visit, void* arg) {
    if (const auto* hooks = dynamic_cast<const AccumulateHooks*>(meta.post_acc_grad_hooks_.get()); hooks != nullptr) {
        Py_VISIT(hooks->table.get());
    }
    return 0;
}
#else
Ref accumulate_table(const at::Tensor&, PyObject*, PyObject*) {
    raise(PyExc_NotImplementedError,
          "libtorch %s has no hooks that run after a gradient was added to: build against libtorch 2.1 or later "
          "(LIBTORCH_VERSION)",
          TORCH_VERSION);
}

int visit_accumulate_table(const torch::autograd::AutogradMeta&, visitproc, void*) { return 0; }
#endif

/// The hooks before a node: each may replace the gradients that the node gets.
struct NodePreHooks final : torch::autograd::FunctionPreHook {
    explicit NodePreHooks(PyObject* hooks) : table(hooks) {}

    variable_list operator()(const variable_list& gradients) override {
        return in_python([&] {
            variable_list values = gradients;
            Ref hooks = hooks_in(table);
            for (Py_ssize_t i = 0; i < PyList_GET_SIZE(hooks.get()); ++i) {
                PyObject* hook = PyList_GET_ITEM(hooks.get(), i);
                Ref result = Ref::steal(PyObject_CallOneArg(hook, as_tuple(values).get()));
                values = checked(values, result.get(), hook);
            }
            return values;
        });
    }

    Held table;
};

/// The hooks after a node: each may replace the gradients that the node gave.
struct NodePostHooks final : torch::autograd::FunctionPostHook {
    explicit NodePostHooks(PyObject* hooks) : table(hooks) {}

    variable_list operator()(const variable_list& given, const variable_list& received) override {
        return in_python([&] {
            variable_list values = given;
            Ref gradients = as_tuple(received);
            Ref hooks = hooks_in(table);
            for (Py_ssize_t i = 0; i < PyList_GET_SIZE(hooks.get()); ++i) {
                PyObject* hook = PyList_GET_ITEM(hooks.get(), i);
                Ref values_tuple = as_tuple(values);
                Ref result =
                    Ref::steal(PyObject_CallFunctionObjArgs(hook, values_tuple.get(), gradients.get(), nullptr));
                values = checked(values, result.get(), hook);
            }
            return values;
        });
    }

    Held table;
};

const TensorHooks* python_hooks(const torch::autograd::AutogradMeta& meta) {
    if (meta.cpp_hooks_list_ == nullptr) {
        return nullptr;
    }
    for (const auto& hook : *meta.cpp_hooks_list_) {
        if (const auto* found = hook.target<TensorHooks>(); found != nullptr) {
            return found;
        }
    }
    return nullptr;
}

/// The first hook of a node's list that is one of ours.
template <class Kind, class List>
Kind* find(const List& list) {
    for (const auto& hook : list) {
        if (auto* found = dynamic_cast<Kind*>(hook.get()); found != nullptr) {
            return found;
        }
    }
    return nullptr;
}

/// From now on the cycle collector looks at a tensor's object, which has owned nothing that it could see.
void track(PyObject* tensor) {
    if (PyObject_GC_IsTracked(tensor) == 0) {
        PyObject_GC_Track(tensor);
    }
}

const at::Tensor& checked_tensor(const pybind11::handle& object) {
    if (!is_tensor(object.ptr())) {
        throw pybind11::type_error("a Tensor was expected");
    }
    return tensor_of(object.ptr());
}

pybind11::object tensor_hooks(const pybind11::handle& object, const pybind11::handle& make_table) {
    const at::Tensor& tensor = checked_tensor(object);
    if (!tensor.requires_grad()) {
        raise(PyExc_RuntimeError, "cannot register a hook on a tensor that doesn't require gradient");
    }
    tensor.grad_fn();  // a view that was changed through its base gets its new node, and its new list, now
    const TensorHooks* hooks = python_hooks(*torch::autograd::impl::materialize_autograd_meta(tensor));
    std::shared_ptr<Held> table = hooks == nullptr ? nullptr : hooks->table;
    if (table == nullptr) {
        table = std::make_shared<Held>(new_table(make_table.ptr()).get());
        at::impl::GetVariableHooks()->_register_hook(tensor, TensorHooks{table});
    }
    track(object.ptr());
    return pybind11::reinterpret_borrow<pybind11::object>(table->get());
}

pybind11::object accumulate_hooks(const pybind11::handle& object, const pybind11::handle& make_table) {
    const at::Tensor& tensor = checked_tensor(object);
    if (!tensor.requires_grad()) {
        raise(PyExc_RuntimeError, "cannot register a hook on a tensor that doesn't require gradient");
    }
    if (tensor.grad_fn() != nullptr) {
        raise(PyExc_RuntimeError, "post accumulate grad hooks cannot be registered on non-leaf tensors");
    }
    Ref table = accumulate_table(tensor, object.ptr(), make_table.ptr());
    track(object.ptr());
    return pybind11::reinterpret_steal<pybind11::object>(table.release());
}

}  // namespace

PyObject* post_hooks(torch::autograd::Node& node, PyObject* make_table) {
    auto* hooks = find<NodePostHooks>(node.post_hooks());
    if (hooks == nullptr) {
        auto fresh = std::make_unique<NodePostHooks>(new_table(make_table).get());
        hooks = fresh.get();
        node.add_post_hook(std::move(fresh));
    }
    return hooks->table.get();
}

PyObject* pre_hooks(torch::autograd::Node& node, PyObject* make_table) {
    auto* hooks = find<NodePreHooks>(node.pre_hooks());
    if (hooks == nullptr) {
        auto fresh = std::make_unique<NodePreHooks>(new_table(make_table).get());
        hooks = fresh.get();
        node.add_pre_hook(std::move(fresh));
    }
    return hooks->table.get();
}

at::Tensor accumulated_tensor(const torch::autograd::Node& node) {
    const auto* accumulate = dynamic_cast<const torch::autograd::AccumulateGrad*>(&node);
    return accumulate == nullptr ? at::Tensor() : accumulate->variable;
}

int visit_hooks(torch::autograd::Node& node, visitproc visit, void* arg) {
    if (const auto* hooks = find<NodePostHooks>(node.post_hooks()); hooks != nullptr) {
        Py_VISIT(hooks->table.get());
    }
    if (const auto* hooks = find<NodePreHooks>(node.pre_hooks()); hooks != nullptr) {
        Py_VISIT(hooks->table.get());
    }
    return 0;
}

int visit_hooks(const torch::autograd::AutogradMeta& meta, visitproc visit, void* arg) {
    // The list of hooks has three owners at most: the tensor, the hook that runs it for a leaf, and the one of the
    // node.
    const bool owns_node = meta.grad_fn_ != nullptr && meta.grad_fn_.use_count() == 1;
    if (meta.cpp_hooks_list_.use_count() <= (owns_node ? 3 : 2)) {
        if (const TensorHooks* hooks = python_hooks(meta); hooks != nullptr && hooks->table.use_count() == 1) {
            Py_VISIT(hooks->table->get());
        }
    }
    return visit_accumulate_table(meta, visit, arg);
}

void register_hooks(pybind11::module_& module) {
    namespace py = pybind11;
    module.def("tensor_hooks", &tensor_hooks, py::arg("tensor"), py::arg("make_table"),
               "The table of the hooks on a tensor's gradient; make_table() makes one where there is none.");
    module.def("accumulate_hooks", &accumulate_hooks, py::arg("tensor"), py::arg("make_table"),
               "The same of the hooks that run after a leaf's gradient was added to.");
}

}  // namespace ltf
