// A function or method of TorchScript.
#pragma once

#include <string>
#include <vector>

#include "convert.h"

namespace torch::jit {
struct CompilationUnit;
struct Function;
}  // namespace torch::jit

namespace ltf {

class ScriptFunction {
  public:
    /// A method of an object, which keeps it; or a function, which its compilation unit keeps.
    ScriptFunction(torch::jit::Function* function, c10::IValue self,
                   std::shared_ptr<torch::jit::CompilationUnit> unit = nullptr);

    pybind11::object call(const pybind11::args& positional, const pybind11::kwargs& named) const;
    torch::jit::Function& function() const { return *function_; }
    std::string name() const;
    std::string schema() const;
    /// The graph as it was compiled, or with the functions that it calls in their places.
    std::string graph(bool inlined) const;
    /// The source, as TorchScript prints it.
    std::string code() const;

  private:
    std::vector<c10::IValue> bind(const pybind11::args& positional, const pybind11::kwargs& named) const;
    c10::IValue argument(size_t index, PyObject* object) const;

    torch::jit::Function* function_;
    c10::IValue self_;
    std::shared_ptr<torch::jit::CompilationUnit> unit_;
};

void register_script_function(pybind11::module_& module);

}  // namespace ltf
