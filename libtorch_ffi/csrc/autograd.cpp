// Owns the bindings of libtorch's autograd: the modes of a thread, the engine's two entries, and what may be assigned
// to `requires_grad` and `grad`.
#include "autograd.h"

#include <c10/core/AutogradState.h>
#include <c10/core/InferenceMode.h>

#include "node.h"
#include "releases.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

using torch::autograd::variable_list;

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

std::string shape_text(const at::Tensor& tensor) {
    Ref size = Ref::steal(wrap_size(tensor.sizes()));
    return pybind11::str(pybind11::handle(size.get()));
}

/// torch's checks of the gradients that backward starts from. libtorch would take what can be summed to the shape.
void check_seeds(const variable_list& outputs, const variable_list& seeds) {
    if (seeds.empty()) {
        return;
    }
    if (seeds.size() != outputs.size()) {
        raise(PyExc_RuntimeError, "got %zu tensors and %zu gradients", outputs.size(), seeds.size());
    }
    for (size_t i = 0; i < seeds.size(); ++i) {
        if (!seeds[i].defined() || !outputs[i].defined() || outputs[i].is_nested() || seeds[i].is_nested()) {
            continue;
        }
        if (!seeds[i].sym_sizes().equals(outputs[i].sym_sizes())) {
            raise(PyExc_RuntimeError,
                  "Mismatch in shape: grad_output[%zu] has a shape of %s and output[%zu] has a shape of %s.", i,
                  shape_text(seeds[i]).c_str(), i, shape_text(outputs[i]).c_str());
        }
        if (seeds[i].is_complex() != outputs[i].is_complex()) {
            raise(PyExc_RuntimeError,
                  "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in "
                  "dtype: "
                  "grad_output[%zu] has a dtype of torch.%s and output[%zu] has a dtype of torch.%s.",
                  i, c10::toString(seeds[i].scalar_type()), i, c10::toString(outputs[i].scalar_type()));
        }
    }
}

void backward(const pybind11::sequence& tensors, const pybind11::sequence& gradients, std::optional<bool> retain_graph,
              bool create_graph, const pybind11::sequence& inputs) {
    const variable_list roots = tensors_of(tensors, "the tensors to differentiate");
    const variable_list seeds = tensors_of(gradients, "gradients");
    const variable_list targets = tensors_of(inputs, "inputs");
    check_seeds(roots, seeds);
    {
        const WithoutGil released;
        torch::autograd::backward(roots, seeds, as_optional(retain_graph), create_graph, targets);
    }
    check_status(may_return() ? 0 : -1);
}

pybind11::tuple grad(const pybind11::sequence& outputs, const pybind11::sequence& inputs,
                     const pybind11::sequence& gradients, std::optional<bool> retain_graph, bool create_graph,
                     bool allow_unused) {
    const variable_list roots = tensors_of(outputs, "outputs");
    const variable_list targets = tensors_of(inputs, "inputs");
    const variable_list seeds = tensors_of(gradients, "grad_outputs");
    check_seeds(roots, seeds);
    variable_list results;
    {
        const WithoutGil released;
        results = torch::autograd::grad(roots, targets, seeds, as_optional(retain_graph), create_graph,
                                        /*allow_unused=*/true);
    }
    check_status(may_return() ? 0 : -1);
    pybind11::tuple answer(results.size());
    for (size_t i = 0; i < results.size(); ++i) {
        if (!allow_unused && !results[i].defined()) {
            raise(PyExc_RuntimeError,
                  "The differentiated Tensor at index %zu appears to not have been used in the graph. Set "
                  "allow_unused=True "
                  "if this is the desired behavior.",
                  i);
        }
        answer[i] = pybind11::reinterpret_steal<pybind11::object>(wrap(std::move(results[i])));
    }
    return answer;
}

}  // namespace

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
    py::class_<c10::InferenceMode>(module, "InferenceGuard", "Inference mode, for as long as it lives.")
        .def(py::init<bool>(), py::arg("enabled"));
    module.def("is_grad_enabled", &at::GradMode::is_enabled, "Whether operations are recorded in this thread.");
    module.def("set_grad_enabled", &at::GradMode::set_enabled, py::arg("enabled"),
               "Sets whether operations are recorded in this thread.");
    module.def("is_inference_mode_enabled", &c10::InferenceMode::is_enabled,
               "Whether this thread is in inference mode.");
    module.def("enter_dual_level", &torch::autograd::forward_ad::enter_dual_level,
               "Begins a level of forward-mode tangents.");
    module.def("exit_dual_level", &torch::autograd::forward_ad::exit_dual_level, py::arg("level"),
               "Ends it: its tangents are dropped.");
    module.def(
        "is_forward_grad_enabled", [] { return c10::AutogradState::get_tls_state().get_fw_grad_mode(); },
        "Whether tangents are carried along in this thread.");
    module.def(
        "set_forward_grad_enabled", [](bool enabled) { c10::AutogradState::get_tls_state().set_fw_grad_mode(enabled); },
        py::arg("enabled"), "Sets whether tangents are carried along in this thread.");
    module.def(
        "is_multithreading_enabled", [] { return c10::AutogradState::get_tls_state().get_multithreading_enabled(); },
        "Whether backward uses a thread for each device.");
    module.def(
        "set_multithreading_enabled",
        [](bool enabled) { c10::AutogradState::get_tls_state().set_multithreading_enabled(enabled); },
        py::arg("enabled"), "Sets whether backward uses a thread for each device.");
    module.def("backward", &backward, "Adds the gradients of tensors to the leaves that they depend on.");
    module.def("grad", &grad, "The gradients of outputs with respect to inputs.");
}

}  // namespace ltf
