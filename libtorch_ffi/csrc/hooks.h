// Hooks written in Python, on tensors and on nodes of the graph.
//
// A set of hooks is one Python mapping from ids to callables, the table. libtorch holds one C++ hook a table, which
// calls what the table holds at that moment: registering and removing is all done on the table.
#pragma once

#include "node.h"

namespace ltf {

/// The table (borrowed) of the hooks on a node's gradients-out, and on its gradients-in; made by calling `make_table`
/// where there is none yet.
PyObject* post_hooks(torch::autograd::Node& node, PyObject* make_table);
PyObject* pre_hooks(torch::autograd::Node& node, PyObject* make_table);

/// The leaf of an AccumulateGrad node; undefined for any other.
at::Tensor accumulated_tensor(const torch::autograd::Node& node);

/// Let the cycle collector see the tables.
int visit_hooks(torch::autograd::Node& node, visitproc visit, void* arg);
int visit_hooks(const torch::autograd::AutogradMeta& meta, visitproc visit, void* arg);

void register_hooks(pybind11::module_& module);

}  // namespace ltf
