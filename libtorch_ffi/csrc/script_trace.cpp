// Owns the compilation unit and the tracer's Python callback.
#include "script_trace.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/frontend/sugared_value.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include <unordered_set>

#include "releases.h"
#include "script_function.h"
#include "script_values.h"

namespace ltf {
namespace {

using torch::jit::CompilationUnit;

/// Resolves what a source text may name beside its own functions: torch's operators, and Python's exceptions.
struct SourceResolver final : torch::jit::NativeResolver {
    std::shared_ptr<torch::jit::SugaredValue> resolveValue(const std::string& name, torch::jit::GraphFunction& function,
                                                           const torch::jit::SourceRange& where) override {
        static const std::unordered_set<std::string> exceptions = {
            "ArithmeticError",     "AssertionError", "AttributeError", "Exception", "IndexError", "KeyError",
            "NotImplementedError", "OverflowError",  "RuntimeError",   "TypeError", "ValueError", "ZeroDivisionError"};
        if (exceptions.count(name) > 0) {
            return std::make_shared<torch::jit::ExceptionValue>(name);
        }
        if (name == "fork") {  // as saved modules call it
            return torch::jit::SpecialFormValue::create(c10::prim::fork);
        }
        return NativeResolver::resolveValue(name, function, where);
    }
};

/// A type of our own: torch registers libtorch's with pybind11 too, where both share a process.
struct ScriptUnit {
    std::shared_ptr<CompilationUnit> unit = std::make_shared<CompilationUnit>();
};

std::vector<std::string> compile_into(const ScriptUnit& self, const std::string& source) {
    std::vector<std::string> names;
    for (const torch::jit::Function* function : self.unit->define(Optional<c10::QualifiedName>(), source + "\n",
                                                                  std::make_shared<SourceResolver>(), nullptr)) {
        names.push_back(function->name());
    }
    return names;
}

std::vector<std::string> function_names(const ScriptUnit& self) {
    std::vector<std::string> names;
    for (const torch::jit::Function* function : self.unit->get_functions()) {
        names.push_back(function->name());
    }
    return names;
}

ScriptFunction find_function(const ScriptUnit& self, const std::string& name) {
    torch::jit::Function* function = self.unit->find_function(c10::QualifiedName(name));
    if (function == nullptr) {
        raise(PyExc_AttributeError, "nothing was defined under the name '%s'", name.c_str());
    }
    return ScriptFunction(function, c10::IValue(), self.unit);
}

/// Calls the Python function that is traced. The tracer knows tensors by their identity, which handles keep.
torch::jit::Stack call_traced(const pybind11::function& function, const torch::jit::Stack& inputs) {
    pybind11::list arguments;
    for (const c10::IValue& input : inputs) {
        arguments.append(pybind11::reinterpret_steal<pybind11::object>(from_script(input)));
    }
    const pybind11::object result = function(*arguments);
    if (result.is_none()) {
        raise(PyExc_TypeError, "the function that is traced returned None: a trace needs tensors to end in");
    }
    return {infer_script_value(result.ptr(), "what the traced function returned")};
}

ScriptFunction trace(const pybind11::function& function, const pybind11::tuple& examples, const std::string& name,
                     bool strict, const std::vector<std::string>& argument_names) {
    torch::jit::Stack inputs;
    for (const pybind11::handle example : examples) {
        inputs.push_back(infer_script_value(example.ptr(), "an example input"));
    }
    const auto traced = torch::jit::tracer::trace(
        std::move(inputs), [&](const torch::jit::Stack& given) { return call_traced(function, given); },
        [](const torch::autograd::Variable&) { return std::string(); }, strict, /*force_outplace=*/false,
        /*self=*/nullptr, argument_names);
    auto unit = std::make_shared<CompilationUnit>();
    torch::jit::Function* made = unit->create_function(c10::QualifiedName(name), traced.first->graph);
    return ScriptFunction(made, c10::IValue(), std::move(unit));
}

/// A module whose `forward` is a function: what can be saved.
ScriptModule module_with(const ScriptFunction& function) {
    torch::jit::Module module(c10::QualifiedName("__torch__.PlaceholderModule"));
    module.register_attribute("training", c10::BoolType::get(), true);
    const auto graph = torch::jit::toGraphFunction(function.function()).graph()->copy();
    graph->insertInput(0, "self")->setType(module._ivalue()->type());
    const c10::QualifiedName name(*module.type()->name(), "forward");
    module.type()->addMethod(module._ivalue()->compilation_unit()->create_function(name, graph));
    return {module._ivalue()};
}

}  // namespace

void register_script_trace(pybind11::module_& module) {
    pybind11::class_<ScriptUnit>(module, "CompilationUnit", "Functions compiled from TorchScript's source.")
        .def(pybind11::init([](const std::string& source) {
                 ScriptUnit made;
                 compile_into(made, source);
                 return made;
             }),
             pybind11::arg("source") = "")
        .def("define", &compile_into, "Compile the functions in a source text; returns their names.")
        .def("__dir__", &function_names)
        .def("__getattr__", &find_function);
    module.def("trace_script", &trace);
    module.def("script_module_with", &module_with);
}

}  // namespace ltf
