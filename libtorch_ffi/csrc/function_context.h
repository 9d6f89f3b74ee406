// The context of one call of an autograd.Function: what its forward leaves for its backward.
#pragma once

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <optional>
#include <vector>

#include "node.h"

namespace ltf {

struct ContextState {
    Ref function;            // the subclass of Function
    Ref needs_input_grad;    // a tuple of bools
    Ref to_save;             // a tuple, until forward has ended; like the next two
    Ref non_differentiable;  // a tuple
    Ref dirty;               // a tuple
    bool materializes = true;
    bool released = false;  // backward has run, and the saved tensors are gone
    std::vector<torch::autograd::SavedVariable> saved;
    std::vector<torch::autograd::VariableInfo> outputs;
    std::vector<bool> tensor_inputs;  // which arguments are tensors
    std::optional<WeakNode> node;     // the node that owns this context
};

/// A new context of a call of `function`.
Ref new_context(PyObject* function);
ContextState& state_of(PyObject* context);

void register_function_context(pybind11::module_& module);

}  // namespace ltf
