// Nodes of the graph that autograd records: how libtorch shares them, and Python's form of one.
#pragma once

#include <memory>
#include <type_traits>

#include "object.h"

namespace ltf {

/// How libtorch shares a node: a std::shared_ptr, from 2.12 on an intrusive one.
using NodePointer = decltype(torch::autograd::Edge::function);

template <class Pointer>
struct WeakPointer;
template <class Target>
struct WeakPointer<std::shared_ptr<Target>> {
    using type = std::weak_ptr<Target>;
};
template <class Target>
struct WeakPointer<c10::intrusive_ptr<Target>> {
    using type = c10::weak_intrusive_ptr<Target>;
};
using WeakNode = WeakPointer<NodePointer>::type;

/// A new node, freed as libtorch frees its own: a long graph without deep recursion.
template <class Kind, class Pointer = NodePointer, class... Args>
Pointer make_node(Args&&... args) {
    if constexpr (std::is_same_v<Pointer, std::shared_ptr<torch::autograd::Node>>) {
        return Pointer(new Kind(std::forward<Args>(args)...), [](auto* node) { deleteNode(node); });
    } else {
        return c10::make_intrusive<Kind>(std::forward<Args>(args)...);
    }
}

/// Python's form of a node of the graph (new reference), or None.
PyObject* wrap_node(const NodePointer& node);

/// Lets the cycle collector see the Python objects that a node owns, where the caller is its only owner.
int visit_owned(const NodePointer& node, visitproc visit, void* arg);
/// The same for a tensor: its hooks, and the node that made it.
int visit_owned(const at::Tensor& tensor, visitproc visit, void* arg);

void register_node(pybind11::module_& module);

}  // namespace ltf
