// Owns the bindings of libtorch's autograd: the modes of a thread, the engine's two entries, and nodes to look at.
#include "autograd.h"

#include <c10/core/InferenceMode.h>

#include "tensor.h"

namespace ltf {
namespace {

using torch::autograd::variable_list;

/// A node of the graph, to be looked at: name and next_functions.
struct NodeHandle {
    NodePointer node;
};

variable_list tensors_of(const pybind11::sequence& tensors, const char* what) {
    variable_list list;
    for (const pybind11::handle item : tensors) {
        if (item.is_none()) {
            list.emplace_back();
        } else if (is_tensor(item.ptr())) {
            list.push_back(tensor_of(item.ptr()));
        } else {
            raise(PyExc_TypeError, "%s must be Tensors, but one is %s", what, Py_TYPE(item.ptr())->tp_name);
        }
    }
    return list;
}

void backward(const pybind11::sequence& tensors, const pybind11::sequence& gradients, std::optional<bool> retain_graph,
              bool create_graph, const pybind11::sequence& inputs) {
    const variable_list roots = tensors_of(tensors, "the tensors to differentiate");
    const variable_list seeds = tensors_of(gradients, "gradients");
    const variable_list targets = tensors_of(inputs, "inputs");
    const WithoutGil released;
    torch::autograd::backward(roots, seeds, retain_graph, create_graph, targets);
}

pybind11::tuple grad(const pybind11::sequence& outputs, const pybind11::sequence& inputs,
                     const pybind11::sequence& gradients, std::optional<bool> retain_graph, bool create_graph,
                     bool allow_unused) {
    const variable_list roots = tensors_of(outputs, "outputs");
    const variable_list targets = tensors_of(inputs, "inputs");
    const variable_list seeds = tensors_of(gradients, "grad_outputs");
    variable_list results;
    {
        const WithoutGil released;
        results = torch::autograd::grad(roots, targets, seeds, retain_graph, create_graph, allow_unused);
    }
    pybind11::tuple answer(results.size());
    for (size_t i = 0; i < results.size(); ++i) {
        answer[i] = pybind11::reinterpret_steal<pybind11::object>(wrap(std::move(results[i])));
    }
    return answer;
}

pybind11::tuple next_functions(const NodeHandle& self) {
    const auto& edges = self.node->next_edges();
    pybind11::tuple answer(edges.size());
    for (size_t i = 0; i < edges.size(); ++i) {
        answer[i] = pybind11::make_tuple(pybind11::reinterpret_steal<pybind11::object>(wrap_node(edges[i].function)),
                                         edges[i].input_nr);
    }
    return answer;
}

}  // namespace

PyObject* wrap_node(const NodePointer& node) {
    return node == nullptr ? none() : pybind11::cast(NodeHandle{node}).release().ptr();
}

void require_grad(const at::Tensor& tensor, bool value) {
    if (!tensor.is_leaf() && !value) {
        raise(PyExc_RuntimeError,
              "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
              "subgraph that doesn't require differentiation use var_no_grad = var.detach().");
    }
    if (value && !at::isFloatingType(tensor.scalar_type()) && !at::isComplexType(tensor.scalar_type())) {
        raise(PyExc_RuntimeError, "only Tensors of floating point and complex dtype can require gradients");
    }
    tensor.set_requires_grad(value);
}

void assign_grad(const at::Tensor& tensor, PyObject* value) {
    if (value == nullptr || value == Py_None) {
        tensor.mutable_grad().reset();
        return;
    }
    if (!is_tensor(value)) {
        raise(PyExc_TypeError, "assigned grad expected to be a Tensor or None but got %s", Py_TYPE(value)->tp_name);
    }
    const at::Tensor& gradient = tensor_of(value);
    if (gradient.is_same(tensor)) {
        raise(PyExc_RuntimeError, "can't assign Variable as its own grad");
    }
    if (gradient.scalar_type() != tensor.scalar_type() && !gradient.is_sparse()) {
        raise(PyExc_RuntimeError, "assigned grad has data of a different type");
    }
    if (gradient.device().type() != tensor.device().type()) {
        raise(PyExc_RuntimeError, "assigned grad has data located on a different device");
    }
    if (!gradient.sym_sizes().equals(tensor.sym_sizes())) {
        raise(PyExc_RuntimeError, "assigned grad has data of a different size");
    }
    tensor.mutable_grad() = gradient;
}

void register_autograd(pybind11::module_& module) {
    namespace py = pybind11;
    py::class_<NodeHandle>(module, "Node", "A node of the graph that autograd records.")
        .def(
            "name", [](const NodeHandle& self) { return self.node->name(); }, "What recorded it, such as AddBackward0.")
        .def_property_readonly("next_functions", &next_functions, "The nodes that gradients go to next.")
        .def("__eq__", [](const NodeHandle& self, const NodeHandle& other) { return self.node == other.node; })
        .def("__hash__", [](const NodeHandle& self) { return std::hash<const void*>()(self.node.get()); })
        .def("__repr__", [](const NodeHandle& self) { return "<" + self.node->name() + ">"; });
    py::class_<c10::InferenceMode>(module, "InferenceGuard", "Inference mode, for as long as it lives.")
        .def(py::init<bool>(), py::arg("enabled"));
    module.def("is_grad_enabled", &at::GradMode::is_enabled, "Whether operations are recorded in this thread.");
    module.def("set_grad_enabled", &at::GradMode::set_enabled, py::arg("enabled"),
               "Sets whether operations are recorded in this thread.");
    module.def("is_inference_mode_enabled", &c10::InferenceMode::is_enabled,
               "Whether this thread is in inference mode.");
    module.def("backward", &backward, "Adds the gradients of tensors to the leaves that they depend on.");
    module.def("grad", &grad, "The gradients of outputs with respect to inputs.");
}

}  // namespace ltf
