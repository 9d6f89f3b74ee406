// The graph of an exported program, ready to run: operators found, constants converted, values in numbered slots.
//
// `libtorch_ffi.export` builds one from an archive; a graph within it (a branch of cond) is a program of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "convert.h"

namespace ltf {

/// What a run has at hand.
struct Frame {
    std::vector<c10::IValue> slots;
    const std::vector<c10::IValue>& state;  // parameters, buffers and constants
    torch::jit::Stack stack;                // its memory is used again by each node
    bool differentiable;                    // gradients may be asked for: nothing is left out below Autograd
};

/// Where a node takes one of its arguments from.
struct Operand {
    enum class Kind { constant, slot, state, tensors, optional_tensors, ints, values };

    Kind kind = Kind::constant;
    c10::IValue constant;
    c10::TypePtr element;  // of `values`
    size_t index = 0;
    bool last = false;    // nothing reads the slot afterwards
    bool floats = false;  // an int that is computed stands for a float
    bool tensor = false;  // what is read must be a tensor,
    bool number = false;  // or a number, for which one then stands
    std::vector<Operand> items;

    c10::IValue read(Frame& frame) const;
};

/// Where a node leaves one of its results: a slot, nowhere, or the slots of a list's items.
struct Target {
    static constexpr size_t kNowhere = static_cast<size_t>(-1);

    size_t slot = kNowhere;
    bool is_list = false;
    std::vector<Target> items;

    void store(Frame& frame, c10::IValue value) const;
};

/// One step of a program.
class Node {
  public:
    Node(std::string label, std::vector<Operand> operands, std::vector<Target> targets)
        : label_(std::move(label)), operands_(std::move(operands)), targets_(std::move(targets)) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    virtual ~Node() = default;

    /// Needs no GIL.
    virtual void run(Frame& frame) const = 0;
    /// The name of the operator that it calls, or null.
    virtual const c10::OperatorName* called() const { return nullptr; }
    const std::string& label() const { return label_; }
    std::vector<Operand>& operands() { return operands_; }
    const std::vector<Operand>& operands() const { return operands_; }
    std::vector<Target>& targets() { return targets_; }
    const std::vector<Target>& targets() const { return targets_; }

  protected:
    /// Puts the operands onto the frame's stack.
    void push(Frame& frame) const;
    /// Takes the results off the frame's stack.
    void pop(Frame& frame) const;

    std::string label_;
    std::vector<Operand> operands_;
    std::vector<Target> targets_;
};

class Program {
  public:
    Program(size_t slots, std::vector<size_t> inputs) : slots_(slots), inputs_(std::move(inputs)) {}

    void add(std::shared_ptr<Node> node) { nodes_.push_back(std::move(node)); }
    /// Says what the program returns; from then on it can run.
    void finish(std::vector<Operand> outputs);
    std::vector<c10::IValue> run(std::vector<c10::IValue> inputs, const std::vector<c10::IValue>& state,
                                 bool differentiable) const;
    /// A program that does the same with nodes that are faster where no gradients are asked for; those that stay are
    /// shared.
    std::shared_ptr<Program> for_inference(const std::vector<c10::IValue>& state) const;
    size_t input_count() const { return inputs_.size(); }
    size_t slot_count() const { return slots_; }

  private:
    size_t slots_;
    std::vector<size_t> inputs_;
    std::vector<std::shared_ptr<Node>> nodes_;
    std::vector<Operand> outputs_;
};

/// A node that computes with Python's numbers (`_operator.add`, `math.floor`); null where there is no such function.
std::unique_ptr<Node> number_node(const std::string& function, std::string label, std::vector<Operand> operands,
                                  std::vector<Target> targets);
/// A node that runs graphs (cond, map_impl, while_loop); null where it is not known.
std::unique_ptr<Node> control_node(const std::string& name, std::string label,
                                   std::vector<std::shared_ptr<Program>> graphs, std::vector<Operand> operands,
                                   std::vector<Target> targets);

void register_exported(pybind11::module_& module);

}  // namespace ltf
