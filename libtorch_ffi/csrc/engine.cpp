// Owns our subclass of libtorch's engine. It is put in place when the module is loaded, before any backward: libtorch
// starts the threads of the first engine that is used, and of no other. Where torch has brought its own engine already,
// that stays, and knows anomaly mode by itself.
#include "engine.h"

#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>
#include <string>
#include <typeinfo>
#include <vector>

#include "tensor.h"

namespace ltf {
namespace {

// Anomaly mode

/// The Python stack that a node was recorded in, told as a warning when the node fails.
struct PythonStack final : torch::autograd::AnomalyMetadata {
    void store_stack() override {
        in_python([&] {
            Ref module = Ref::steal(PyImport_ImportModule("traceback"));
            Ref lines = Ref::steal(PyObject_CallMethod(module.get(), "format_stack", nullptr));
            Ref nothing = Ref::steal(PyUnicode_FromString(""));
            Ref joined = Ref::steal(PyUnicode_Join(nothing.get(), lines.get()));
            text = pybind11::handle(joined.get()).cast<std::string>();
        });
    }

    void assign_parent(const NodePointer& node) override { parent = node; }

    void print_stack(const std::string& current_node_name) override {
        warn("Error detected in " + current_node_name + ". " +
             story("Traceback of forward call that caused the error"));
        for (NodePointer node = parent; node != nullptr;) {
            const auto* stack = dynamic_cast<const PythonStack*>(node->metadata());
            if (stack == nullptr) {
                return;
            }
            warn("\n\nPrevious calculation was induced by " + node->name() + ". " +
                 stack->story("Traceback of forward call that induced the previous calculation"));
            node = stack->parent;
        }
    }

  private:
    std::string story(const char* title) const {
        return text.empty()
                   ? "No forward pass information available. Enable detect anomaly during forward pass for more "
                     "information."
                   : std::string(title) + ":\n" + text;
    }

    /// An error is under way already: where warnings are errors too, this one only goes to stderr.
    static void warn(const std::string& message) {
        const WithGil held;
        if (PyErr_WarnEx(PyExc_UserWarning, message.c_str(), 1) != 0) {
            PyErr_WriteUnraisable(nullptr);
        }
    }

    std::string text;
    NodePointer parent;
};

// Hooks on saved tensors

/// A pair of functions: what to keep in place of a tensor, and the tensor again.
struct Packing {
    std::shared_ptr<Held> pack;
    std::shared_ptr<Held> unpack;
};

/// The pairs that this thread is in, the innermost last.
thread_local std::vector<Packing> packings;

struct PackedTensor final : torch::autograd::SavedVariableHooks {
    explicit PackedTensor(Packing functions) : packing(std::move(functions)) {}

    void call_pack_hook(const at::Tensor& tensor) override {
        in_python([&] {
            Ref argument = Ref::steal(wrap(tensor));
            Ref result = Ref::steal(PyObject_CallOneArg(packing.pack->get(), argument.get()));
            packed = std::make_unique<Held>(result.get());
        });
    }

    at::Tensor call_unpack_hook() override {
        return in_python([&] {
            Ref result = Ref::steal(PyObject_CallOneArg(packing.unpack->get(), packed->get()));
            if (!is_tensor(result.get())) {
                raise(PyExc_TypeError,
                      "Output of saved tensor unpack_hook expected to be a Tensor but got result of type %s",
                      Py_TYPE(result.get())->tp_name);
            }
            return tensor_of(result.get());
        });
    }

    Packing packing;
    std::unique_ptr<Held> packed;
};

// The engine

struct PythonEngine final : torch::autograd::Engine {
    std::unique_ptr<torch::autograd::AnomalyMetadata> make_anomaly_metadata() override {
        return std::make_unique<PythonStack>();
    }

    std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
        return packings.empty() ? nullptr : std::make_unique<PackedTensor>(packings.back());
    }
};

/// Never destroyed: its threads may outlive the static objects.
torch::autograd::Engine& python_engine() {
    static auto* engine = new PythonEngine();
    return *engine;
}

/// Puts our engine in the place of libtorch's own, and of no other.
void install_engine() {
    using torch::autograd::Engine;
    if (const Engine& current = Engine::get_default_engine(); typeid(current) == typeid(Engine)) {
        torch::autograd::set_default_engine_stub(&python_engine);
    }
}

bool engine_is_ours() { return &torch::autograd::Engine::get_default_engine() == &python_engine(); }

void push_packing(const pybind11::object& pack, const pybind11::object& unpack) {
    if (!engine_is_ours()) {
        raise(
            PyExc_RuntimeError,
            "hooks on saved tensors need an engine of ours, but torch, which this process has imported, brought its "
            "own: "
            "use torch.autograd.graph.saved_tensors_hooks for torch's tensors, and a process without torch for these");
    }
    packings.push_back({std::make_shared<Held>(pack.ptr()), std::make_shared<Held>(unpack.ptr())});
}

void pop_packing() {
    if (!packings.empty()) {
        packings.pop_back();
    }
}

}  // namespace

void register_engine(pybind11::module_& module) {
    namespace py = pybind11;
    using torch::autograd::AnomalyMode;
    install_engine();
    module.def(
        "set_anomaly_enabled", &AnomalyMode::set_enabled, py::arg("enabled"), py::arg("check_nan") = true,
        "Sets whether nodes remember the stack that they were recorded in, and gradients are looked through for NaN.");
    module.def("is_anomaly_enabled", &AnomalyMode::is_enabled, "Whether nodes remember their stack.");
    module.def("is_anomaly_check_nan_enabled", &AnomalyMode::should_check_nan,
               "Whether NaN in a gradient is an error.");
    module.def("push_saved_tensor_hooks", &push_packing, py::arg("pack"), py::arg("unpack"),
               "From now on, in this thread, what is saved for backward passes through these two.");
    module.def("pop_saved_tensor_hooks", &pop_packing, "Ends the innermost pair.");
}

}  // namespace ltf
