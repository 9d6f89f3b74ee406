// Owns the calling of an autograd.Function: its forward with recording off, the node that stands for it in libtorch's
// graph, and its backward, which the engine calls through that node.
//
// How outputs are tied to the graph (views, tensors changed in place, inputs returned as they are) is libtorch's own
// doing:
// `_wrap_outputs`, which its C++ custom functions use too.
#include "python_function.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/functions/basic_ops.h>

#include <memory>
#include <string>
#include <unordered_set>

#include "function_context.h"
#include "releases.h"
#include "tensor.h"

namespace ltf {
namespace {

using torch::autograd::variable_list;
using Tensors = std::unordered_set<at::TensorImpl*>;
using Outputs = std::vector<Optional<at::Tensor>>;

std::string class_name(PyObject* function) {
    Ref name = Ref::steal(PyObject_GetAttrString(function, "__name__"));
    return pybind11::handle(name.get()).cast<std::string>();
}

Ref as_tuple(Ref result) {
    return PyTuple_Check(result.get()) != 0 ? std::move(result) : Ref::steal(PyTuple_Pack(1, result.get()));
}

/// Calls function.<method>(first, *rest).
Ref call_method(PyObject* function, const char* method, PyObject* first, PyObject* rest) {
    Ref callable = Ref::steal(PyObject_GetAttrString(function, method));
    Ref head = Ref::steal(PyTuple_Pack(1, first));
    Ref arguments = Ref::steal(PySequence_Concat(head.get(), rest));
    return Ref::steal(PyObject_Call(callable.get(), arguments.get(), nullptr));
}

// The node

/// A node that owns a context, until nobody shares the node any more.
template <class Pointer>
struct ContextOwner : torch::autograd::Node {
    ContextOwner(PyObject* ctx, torch::autograd::edge_list&& edges)
        : Node(std::move(edges)), context(std::make_unique<Held>(ctx)) {}

    std::unique_ptr<Held> context;
};

/// A node that is shared intrusively lives on while the context knows it weakly: it has to let go of the context
/// before.
template <class Node>
struct ContextOwner<c10::intrusive_ptr<Node>> : Node {
    ContextOwner(PyObject* ctx, torch::autograd::edge_list&& edges)
        : Node(std::move(edges)), context(std::make_unique<Held>(ctx)) {}

    void release_resources() override {
        Node::release_resources();
        context.reset();
    }

    std::unique_ptr<Held> context;
};

struct PythonNode final : ContextOwner<NodePointer> {
    PythonNode(PyObject* ctx, torch::autograd::edge_list&& edges)
        : ContextOwner(ctx, std::move(edges)), name_(class_name(state_of(ctx).function.get()) + "Backward") {}

    variable_list apply(variable_list&& gradients) override {
        return in_python([&] {
            Ref keep = Ref::borrow(context->get());
            Ref arguments = received(gradients);
            return given(call_method(state().function.get(), "backward", keep.get(), arguments.get()));
        });
    }

    std::string name() const override { return name_; }

    /// libtorch calls this after a backward that does not keep the graph, and before it frees the node.
    void release_variables() override {
        if (Py_IsInitialized() == 0 || context == nullptr) {
            return;
        }
        std::vector<torch::autograd::SavedVariable> dying;
        const WithGil held;
        dying.swap(state().saved);
        state().released = true;
    }

  private:
    ContextState& state() const { return state_of(context->get()); }
    Ref received(variable_list& gradients) const;
    variable_list given(Ref results) const;
    at::Tensor gradient(PyObject* result, size_t position) const;

    const std::string name_;
};

/// The arguments of backward: what arrived, or zeros.
Ref PythonNode::received(variable_list& gradients) const {
    const ContextState& own = state();
    at::OptionalDeviceGuard device_guard;
    Ref arguments = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(gradients.size())));
    for (size_t i = 0; i < gradients.size(); ++i) {
        at::Tensor gradient = std::move(gradients[i]);
        if (!gradient.defined() && own.materializes && i < own.outputs.size()) {
            gradient = own.outputs[i].zeros(device_guard);
        }
        PyTuple_SET_ITEM(arguments.get(), static_cast<Py_ssize_t>(i), Ref::steal(wrap(std::move(gradient))).release());
    }
    return arguments;
}

/// One result of backward, which belongs to the argument at `position` of forward.
at::Tensor PythonNode::gradient(PyObject* result, size_t position) const {
    if (result == Py_None) {
        return {};
    }
    if (!state().tensor_inputs[position]) {
        raise(
            PyExc_RuntimeError,
            "function %s returned a gradient different from None at position %zu, but the corresponding forward input "
            "was not a Variable",
            name_.c_str(), position + 1);
    }
    if (!is_tensor(result)) {
        raise(PyExc_RuntimeError, "expected Variable or None (got %s)", Py_TYPE(result)->tp_name);
    }
    return tensor_of(result);
}

/// The results of backward, one for each argument of forward that is a tensor.
variable_list PythonNode::given(Ref answer) const {
    Ref results = as_tuple(std::move(answer));
    const std::vector<bool>& tensor_inputs = state().tensor_inputs;
    auto count = static_cast<size_t>(PyTuple_GET_SIZE(results.get()));
    while (count > tensor_inputs.size() &&
           PyTuple_GET_ITEM(results.get(), static_cast<Py_ssize_t>(count) - 1) == Py_None) {
        --count;  // torch lets a backward return more, as long as it is None
    }
    if (count != tensor_inputs.size()) {
        raise(PyExc_RuntimeError, "function %s returned an incorrect number of gradients (expected %zu, got %zu)",
              name_.c_str(), tensor_inputs.size(), count);
    }
    variable_list gradients;
    for (size_t i = 0; i < count; ++i) {
        at::Tensor value = gradient(PyTuple_GET_ITEM(results.get(), static_cast<Py_ssize_t>(i)), i);
        if (tensor_inputs[i]) {
            gradients.push_back(std::move(value));
        }
    }
    return gradients;
}

// The call

/// One call of a Function on its way.
class FunctionCall {
  public:
    FunctionCall(PyObject* function, PyObject* arguments, bool separate_setup);

    PyObject* run();

  private:
    Ref forward();
    Outputs wrap_outputs(PyObject* results) const;
    Ref python_outputs(PyObject* results, Outputs& outputs) const;
    void save(const Outputs& outputs);
    variable_list tangents(const variable_list& inputs, const variable_list& given) const;

    ContextState& state() const { return state_of(context_.get()); }

    Ref function_;
    Ref arguments_;
    const bool separate_setup_;
    Ref context_;
    variable_list inputs_;
    NodePointer node_;  // null where nothing is recorded
};

FunctionCall::FunctionCall(PyObject* function, PyObject* arguments, bool separate_setup)
    : function_(Ref::borrow(function)),
      arguments_(Ref::borrow(arguments)),
      separate_setup_(separate_setup),
      context_(new_context(function)) {
    const Py_ssize_t count = PyTuple_GET_SIZE(arguments);
    state().needs_input_grad = Ref::steal(PyTuple_New(count));
    bool requires_grad = false;
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* argument = PyTuple_GET_ITEM(arguments, i);
        const bool tensor = is_tensor(argument);
        const bool needs = tensor && tensor_of(argument).requires_grad();
        state().tensor_inputs.push_back(tensor);
        PyTuple_SET_ITEM(state().needs_input_grad.get(), i, boolean(needs));
        requires_grad = requires_grad || needs;
        if (tensor) {
            inputs_.push_back(tensor_of(argument));
        }
    }
    if (requires_grad && at::GradMode::is_enabled()) {
        node_ = make_node<PythonNode>(context_.get(), torch::autograd::collect_next_edges(inputs_));
        state().node.emplace(node_);
    }
}

Ref FunctionCall::forward() {
    const at::AutoGradMode grad_mode(false);
    const c10::AutoFwGradMode forward_mode(false);
    if (!separate_setup_) {
        return call_method(function_.get(), "forward", context_.get(), arguments_.get());
    }
    Ref callable = Ref::steal(PyObject_GetAttrString(function_.get(), "forward"));
    Ref results = Ref::steal(PyObject_Call(callable.get(), arguments_.get(), nullptr));
    Ref rest = Ref::steal(PyTuple_Pack(2, arguments_.get(), results.get()));
    call_method(function_.get(), "setup_context", context_.get(), rest.get());
    return results;
}

Tensors tensors_in(const Ref& tuple, const char* what) {
    Tensors found;
    for (Py_ssize_t i = 0; tuple && i < PyTuple_GET_SIZE(tuple.get()); ++i) {
        PyObject* item = PyTuple_GET_ITEM(tuple.get(), i);
        if (is_tensor(item)) {
            found.insert(tensor_of(item).unsafeGetTensorImpl());
        } else if (item != Py_None) {
            raise(PyExc_TypeError, "%s can only accept Tensor arguments, but argument %zd is of type %s", what, i,
                  Py_TYPE(item)->tp_name);
        }
    }
    return found;
}

/// Forward-mode tangents of the outputs, by the Function's own jvp.
variable_list FunctionCall::tangents(const variable_list& inputs, const variable_list& given) const {
    return in_python([&] {
        Ref arguments = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(state().tensor_inputs.size())));
        size_t next = 0;
        for (size_t i = 0; i < state().tensor_inputs.size(); ++i) {
            at::Tensor tangent;
            if (state().tensor_inputs[i]) {
                tangent = given[next];
                if (!tangent.defined() && state().materializes && inputs[next].is_floating_point()) {
                    tangent = at::zeros_like(inputs[next]);
                }
                ++next;
            }
            PyTuple_SET_ITEM(arguments.get(), static_cast<Py_ssize_t>(i), Ref::steal(wrap(tangent)).release());
        }
        Ref results = as_tuple(call_method(function_.get(), "jvp", context_.get(), arguments.get()));
        variable_list tensors;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(results.get()); ++i) {
            PyObject* item = PyTuple_GET_ITEM(results.get(), i);
            tensors.push_back(is_tensor(item) ? tensor_of(item) : at::Tensor());
        }
        return tensors;
    });
}

/// The results of forward, tied to the graph. What is no tensor is left out.
Outputs FunctionCall::wrap_outputs(PyObject* results) const {
    Outputs raw;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(results); ++i) {
        PyObject* item = PyTuple_GET_ITEM(results, i);
        raw.push_back(is_tensor(item) ? Outputs::value_type(tensor_of(item)) : Outputs::value_type());
    }
    const Tensors non_differentiable = tensors_in(state().non_differentiable, "mark_non_differentiable");
    const Tensors dirty = tensors_in(state().dirty, "mark_dirty");
    const Tensors saved = tensors_in(state().to_save, "save_for_backward");
    const torch::autograd::_jvp_fn_t jvp = [this](const variable_list& inputs, const variable_list& given) {
        return tangents(inputs, given);
    };
    const auto view = [](const at::Tensor& tensor) { return tensor.view_as(tensor); };
    std::decay_t<decltype(node_)> attached;
    return releases::wrap_outputs(releases::Rank<4>(), separate_setup_ ? saved : Tensors(), view, attached, inputs_,
                                  non_differentiable, dirty, at::ArrayRef<Outputs::value_type>(raw), node_, jvp);
}

/// The outputs for the caller: the object that forward returned where it still stands for the output.
Ref FunctionCall::python_outputs(PyObject* results, Outputs& outputs) const {
    Ref answer = Ref::steal(PyTuple_New(PyTuple_GET_SIZE(results)));
    for (size_t i = 0; i < outputs.size(); ++i) {
        PyObject* original = PyTuple_GET_ITEM(results, static_cast<Py_ssize_t>(i));
        const bool same = !outputs[i] || outputs[i]->is_same(tensor_of(original));
        Ref object = same ? Ref::borrow(original) : Ref::steal(wrap(*outputs[i]));
        if (outputs[i] && PyObject_GC_IsTracked(object.get()) == 0) {
            PyObject_GC_Track(object.get());  // it may own the context now, and the context anything
        }
        PyTuple_SET_ITEM(answer.get(), static_cast<Py_ssize_t>(i), object.release());
    }
    return answer;
}

/// Saves what backward will need: only now are the outputs what they will be.
void FunctionCall::save(const Outputs& outputs) {
    ContextState& own = state();
    Ref kept = std::exchange(own.to_save, Ref());
    const Ref marks[] = {std::exchange(own.non_differentiable, Ref()), std::exchange(own.dirty, Ref())};
    if (node_ == nullptr) {
        return;
    }
    for (const auto& output : outputs) {
        own.outputs.push_back(output ? torch::autograd::VariableInfo(*output) : torch::autograd::VariableInfo());
    }
    for (Py_ssize_t i = 0; kept && i < PyTuple_GET_SIZE(kept.get()); ++i) {
        PyObject* item = PyTuple_GET_ITEM(kept.get(), i);
        if (item == Py_None) {
            own.saved.emplace_back(at::Tensor(), false);
        } else {
            const at::Tensor& tensor = tensor_of(item);
            own.saved.emplace_back(tensor, tensor.grad_fn() == node_);
        }
    }
}

PyObject* FunctionCall::run() {
    Ref answer = forward();
    const bool single = PyTuple_Check(answer.get()) == 0;
    Ref results = as_tuple(std::move(answer));
    Outputs outputs = wrap_outputs(results.get());
    Ref wrapped = python_outputs(results.get(), outputs);
    save(outputs);
    return single ? Py_NewRef(PyTuple_GET_ITEM(wrapped.get(), 0)) : wrapped.release();
}

pybind11::object apply_function(const pybind11::handle& function, const pybind11::tuple& arguments,
                                bool separate_setup) {
    FunctionCall call(function.ptr(), arguments.ptr(), separate_setup);
    return pybind11::reinterpret_steal<pybind11::object>(call.run());
}

/// The same tensors, whose differentiation fails with `message`.
pybind11::tuple delayed_error(const std::string& message, const pybind11::tuple& tensors) {
    variable_list inputs;
    for (const pybind11::handle item : tensors) {
        at::Tensor tensor = is_tensor(item.ptr()) ? tensor_of(item.ptr()).detach() : at::Tensor();
        if (tensor.defined() && torch::autograd::isDifferentiableType(tensor.scalar_type())) {
            tensor.set_requires_grad(true);
        }
        inputs.push_back(std::move(tensor));
    }
    const NodePointer node = make_node<torch::autograd::DelayedError>(message, static_cast<int64_t>(inputs.size()));
    const variable_list outputs = (*node)(std::move(inputs));
    pybind11::tuple answer(outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
        answer[i] = pybind11::reinterpret_steal<pybind11::object>(wrap(outputs[i]));
    }
    return answer;
}

}  // namespace

PyObject* context_of(const torch::autograd::Node& node) {
    const auto* python_node = dynamic_cast<const PythonNode*>(&node);
    return python_node == nullptr || python_node->context == nullptr ? nullptr : python_node->context->get();
}

void register_python_function(pybind11::module_& module) {
    namespace py = pybind11;
    module.def("apply_function", &apply_function, py::arg("function"), py::arg("arguments"), py::arg("separate_setup"),
               "Calls an autograd.Function and records its backward.");
    module.def("delayed_error", &delayed_error, py::arg("message"), py::arg("tensors"),
               "The same tensors, but to differentiate them raises RuntimeError(message).");
}

}  // namespace ltf
