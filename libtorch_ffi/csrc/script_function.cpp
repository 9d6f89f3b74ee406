// Owns the call of a compiled function of TorchScript, and its texts. The GIL is released while it runs.
#include "script_function.h"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/jit_exception.h>
#include <torch/csrc/jit/serialization/python_print.h>

#include <algorithm>
#include <sstream>
#include <unordered_set>

#include "script_object.h"
#include "script_values.h"

namespace ltf {
namespace {

PyObject* script_error = nullptr;

/// Runs `body`; what a script raised becomes ScriptError, the rest is left to `set_python_error`.
template <class Body>
auto as_script_errors(Body&& body) {
    try {
        return body();
    } catch (const torch::jit::JITException& error) {
        const std::string kind = error.getPythonClassName().value_or("");
        raise(script_error, "%s%s%s", kind.c_str(), kind.empty() ? "" : ": ",
              error.getOriginalMsg().value_or(error.what()).c_str());
    }
}

const torch::jit::GraphFunction& with_graph(torch::jit::Function* function) {
    if (!function->isGraphFunction()) {
        raise(PyExc_RuntimeError, "%s is written in C++ and has no graph", function->name().c_str());
    }
    return torch::jit::toGraphFunction(*function);
}

bool may_hold_future(const c10::Type& type) {
    if (type.kind() == c10::TypeKind::FutureType || type.kind() == c10::TypeKind::AnyType) {
        return true;
    }
    const auto parts = type.containedTypes();
    return std::any_of(parts.begin(), parts.end(), [](const c10::TypePtr& part) { return may_hold_future(*part); });
}

/// Keeps compiled code until the process ends. A fork that nobody has waited for runs it, and does not hold it.
void keep(const std::shared_ptr<torch::jit::CompilationUnit>& unit) {
    static auto* kept = new std::unordered_set<std::shared_ptr<torch::jit::CompilationUnit>>();
    kept->insert(unit);
}

std::string python_type_of(PyObject* object) { return Py_TYPE(object)->tp_name; }

}  // namespace

ScriptFunction::ScriptFunction(torch::jit::Function* function, c10::IValue self,
                               std::shared_ptr<torch::jit::CompilationUnit> unit)
    : function_(function), self_(std::move(self)), unit_(std::move(unit)) {}

c10::IValue ScriptFunction::argument(size_t index, PyObject* object) const {
    const c10::Argument& described = function_->getSchema().arguments()[index];
    c10::IValue value;
    if (!read_script_value(object, described.type(), value)) {
        raise(PyExc_TypeError, "%s(): argument '%s' takes %s, not %s. The signature is %s", name().c_str(),
              described.name().c_str(), described.type()->repr_str().c_str(), python_type_of(object).c_str(),
              schema().c_str());
    }
    return value;
}

std::vector<c10::IValue> ScriptFunction::bind(const pybind11::args& positional, const pybind11::kwargs& named) const {
    const auto& described = function_->getSchema().arguments();
    std::vector<c10::IValue> stack;
    stack.reserve(described.size());
    if (!self_.isNone()) {
        stack.push_back(self_);
    }
    const size_t own = stack.size();
    if (positional.size() + own > described.size()) {
        raise(PyExc_TypeError, "%s() takes %zu arguments, not %zu. The signature is %s", name().c_str(),
              described.size() - own, positional.size(), schema().c_str());
    }
    size_t used = 0;
    for (size_t i = own; i < described.size(); ++i) {
        PyObject* keyword = named.empty() ? nullptr : PyDict_GetItemString(named.ptr(), described[i].name().c_str());
        const bool given = i - own < positional.size();
        used += keyword != nullptr && !given ? 1 : 0;
        if (given) {
            stack.push_back(argument(i, PyTuple_GET_ITEM(positional.ptr(), static_cast<Py_ssize_t>(i - own))));
        } else if (keyword != nullptr) {
            stack.push_back(argument(i, keyword));
        } else if (described[i].default_value().has_value()) {
            stack.push_back(*described[i].default_value());
        } else {
            raise(PyExc_TypeError, "%s(): argument '%s' is missing. The signature is %s", name().c_str(),
                  described[i].name().c_str(), schema().c_str());
        }
    }
    if (used != named.size()) {
        raise(PyExc_TypeError,
              "%s(): an argument is given twice, or has no such name: it was given %R by name. "
              "The signature is %s",
              name().c_str(), Ref::steal(PyDict_Keys(named.ptr())).get(), schema().c_str());
    }
    return stack;
}

pybind11::object ScriptFunction::call(const pybind11::args& positional, const pybind11::kwargs& named) const {
    return as_script_errors([&] {
        std::vector<c10::IValue> stack = bind(positional, named);
        const auto& returns = function_->getSchema().returns();
        if (!returns.empty() && may_hold_future(*returns[0].type())) {
            keep(unit_ != nullptr ? unit_ : self_.toObject()->compilation_unit());
        }
        {
            const WithoutGil released;
            function_->run(stack);
        }
        return pybind11::reinterpret_steal<pybind11::object>(from_script(std::move(stack.back())));
    });
}

std::string ScriptFunction::name() const { return function_->name(); }

std::string ScriptFunction::schema() const {
    std::ostringstream text;
    text << function_->getSchema();
    return text.str();
}

std::string ScriptFunction::graph(bool inlined) const {
    const auto& function = with_graph(function_);
    if (!inlined) {
        return function.graph()->toString();
    }
    const auto copied = function.graph()->copy();
    torch::jit::Inline(*copied);
    return copied->toString();
}

std::string ScriptFunction::code() const {
    with_graph(function_);
    std::vector<c10::IValue> constants;
    torch::jit::PrintDepsTable dependencies;
    torch::jit::PythonPrint printer(constants, dependencies);
    if (self_.isNone()) {
        printer.printFunction(*function_);
    } else {
        printer.printMethod(*function_);
    }
    return printer.str();
}

void register_script_function(pybind11::module_& module) {
    Ref type = Ref::steal(PyErr_NewExceptionWithDoc("libtorch_ffi.jit.Error", "What a TorchScript program raised.",
                                                    PyExc_RuntimeError, nullptr));
    check_status(PyModule_AddObjectRef(module.ptr(), "ScriptError", type.get()));
    script_error = type.release();
    pybind11::class_<ScriptFunction>(module, "ScriptFunction", "A compiled function or method of TorchScript.")
        .def("__call__", &ScriptFunction::call, "Run it, without the GIL.")
        .def_property_readonly("name", &ScriptFunction::name, "Its name in the source.")
        .def_property_readonly("schema", &ScriptFunction::schema, "Its signature, as text.")
        .def_property_readonly(
            "graph", [](const ScriptFunction& self) { return self.graph(false); }, "Its graph, as text.")
        .def_property_readonly(
            "inlined_graph", [](const ScriptFunction& self) { return self.graph(true); },
            "Its graph with the functions that it calls in their places, as text.")
        .def_property_readonly("code", &ScriptFunction::code, "Its source, as TorchScript prints it.")
        .def("__repr__",
             [](const ScriptFunction& self) { return "<libtorch_ffi.jit.ScriptFunction " + self.schema() + ">"; });
}

}  // namespace ltf
