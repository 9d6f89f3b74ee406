// Owns the nodes of a program that run graphs: branches, loops, and graphs in another mode of gradients or autocast.
#include <unordered_map>

#include "autocast.h"
#include "exported.h"

namespace ltf {
namespace {

using c10::IValue;
using Values = std::vector<IValue>;

bool is_true(const IValue& value) { return value.isTensor() ? value.toTensor().is_nonzero() : value.toBool(); }

class ControlNode : public Node {
  public:
    ControlNode(std::vector<std::shared_ptr<Program>> graphs, std::string label, std::vector<Operand> operands,
                std::vector<Target> targets)
        : Node(std::move(label), std::move(operands), std::move(targets)), graphs_(std::move(graphs)) {}

    void run(Frame& frame) const override {
        push(frame);
        Values operands = std::move(frame.stack);
        Values results = evaluate(frame, std::move(operands));
        frame.stack = std::move(results);
        pop(frame);
    }

  protected:
    virtual Values evaluate(Frame& frame, Values operands) const = 0;

    const Program& graph(size_t index) const {
        TORCH_CHECK(index < graphs_.size(), "a graph is missing");
        return *graphs_[index];
    }

    /// The items of one operand, which is a list or a single value.
    static Values items(const Values& operands, size_t index) {
        if (index >= operands.size() || operands[index].isNone()) {
            return {};
        }
        if (!operands[index].isList() && !operands[index].isTuple()) {
            return {operands[index]};
        }
        if (operands[index].isTuple()) {
            const auto& elements = operands[index].toTupleRef().elements();
            return Values(elements.begin(), elements.end());  // braces would make two truths of the pointers
        }
        return operands[index].toListRef().vec();
    }

    static Values joined(Values left, const Values& right) {
        left.insert(left.end(), right.begin(), right.end());
        return left;
    }

  private:
    std::vector<std::shared_ptr<Program>> graphs_;
};

/// cond(predicate, true graph, false graph, operands)
class Cond final : public ControlNode {
  public:
    using ControlNode::ControlNode;

  protected:
    Values evaluate(Frame& frame, Values operands) const override {
        const size_t chosen = is_true(operands.at(0)) ? 0 : 1;
        return graph(chosen).run(items(operands, 1), frame.state, frame.differentiable);
    }
};

/// while_loop(condition graph, body graph, carried values, other values)
class WhileLoop final : public ControlNode {
  public:
    using ControlNode::ControlNode;

  protected:
    Values evaluate(Frame& frame, Values operands) const override {
        Values carried = items(operands, 0);
        const Values others = items(operands, 1);
        while (is_true(graph(0).run(joined(carried, others), frame.state, frame.differentiable).at(0))) {
            carried = graph(1).run(joined(carried, others), frame.state, frame.differentiable);
        }
        return carried;
    }
};

/// The slices of tensors along their first dimension, at one index.
Values slices(const Values& tensors, int64_t index) {
    Values result;
    for (const IValue& tensor : tensors) {
        result.emplace_back(tensor.toTensor().select(0, index));
    }
    return result;
}

int64_t length_of(const Values& tensors) {
    TORCH_CHECK(!tensors.empty(), "there is nothing to go over");
    for (const IValue& tensor : tensors) {
        TORCH_CHECK(tensor.toTensor().dim() > 0 && tensor.toTensor().size(0) == tensors[0].toTensor().size(0) &&
                        tensor.toTensor().size(0) > 0,
                    "what is gone over has to be of one length, which is not zero");
    }
    return tensors[0].toTensor().size(0);
}

Values stacked(const std::vector<Values>& rows, size_t first) {
    Values result;
    for (size_t column = first; column < rows[0].size(); ++column) {
        std::vector<at::Tensor> tensors;
        for (const Values& row : rows) {
            tensors.push_back(row.at(column).toTensor());
        }
        result.emplace_back(at::stack(tensors));
    }
    return result;
}

/// map_impl(graph, tensors, other values)
class Map final : public ControlNode {
  public:
    using ControlNode::ControlNode;

  protected:
    Values evaluate(Frame& frame, Values operands) const override {
        const Values over = items(operands, 0);
        const Values others = items(operands, 1);
        const int64_t length = length_of(over);
        std::vector<Values> rows;
        for (int64_t i = 0; i < length; ++i) {
            rows.push_back(graph(0).run(joined(slices(over, i), others), frame.state, frame.differentiable));
        }
        return stacked(rows, 0);
    }
};

/// scan(graph, first values, tensors, other values): the last values, then what each step gave
class Scan final : public ControlNode {
  public:
    using ControlNode::ControlNode;

  protected:
    Values evaluate(Frame& frame, Values operands) const override {
        Values carried = items(operands, 0);
        const Values over = items(operands, 1);
        const Values others = items(operands, 2);
        const int64_t length = length_of(over);
        std::vector<Values> rows;
        for (int64_t i = 0; i < length; ++i) {
            rows.push_back(
                graph(0).run(joined(joined(carried, slices(over, i)), others), frame.state, frame.differentiable));
            TORCH_CHECK(rows.back().size() >= carried.size(), "a step of scan gives too few values");
            carried.assign(rows.back().begin(), rows.back().begin() + static_cast<std::ptrdiff_t>(carried.size()));
        }
        return joined(carried, stacked(rows, carried.size()));
    }
};

/// wrap_with_set_grad_enabled(on, graph, operands…)
class SetGradEnabled final : public ControlNode {
  public:
    using ControlNode::ControlNode;

  protected:
    Values evaluate(Frame& frame, Values operands) const override {
        const bool on = is_true(operands.at(0));
        const at::AutoGradMode mode(on);
        operands.erase(operands.begin());
        return graph(0).run(std::move(operands), frame.state, frame.differentiable || on);
    }
};

/// Autocast of one type of device for its lifetime.
class Autocast {
  public:
    Autocast(at::DeviceType device, bool on, Optional<at::ScalarType> dtype)
        : device_(device),
          was_on_(autocast::is_autocast_enabled(device)),
          dtype_(autocast::get_autocast_dtype(device)) {
        autocast::set_autocast_enabled(device, on);
        if (dtype.has_value()) {
            autocast::set_autocast_dtype(device, *dtype);
        }
        autocast::increment_nesting();
    }
    Autocast(const Autocast&) = delete;
    Autocast& operator=(const Autocast&) = delete;
    ~Autocast() {
        if (autocast::decrement_nesting() == 0) {
            autocast::clear_cache();
        }
        autocast::set_autocast_enabled(device_, was_on_);
        autocast::set_autocast_dtype(device_, dtype_);
    }

  private:
    at::DeviceType device_;
    bool was_on_;
    at::ScalarType dtype_;
};

/// wrap_with_autocast(device type, dtype, on, caches, graph, operands…)
class WithAutocast final : public ControlNode {
  public:
    using ControlNode::ControlNode;

  protected:
    Values evaluate(Frame& frame, Values operands) const override {
        const at::DeviceType device = at::Device(operands.at(0).toStringRef()).type();
        const auto dtype = operands.at(1).toOptional<at::ScalarType>();
        const Autocast scope(device, is_true(operands.at(2)), dtype);
        operands.erase(operands.begin(), operands.begin() + 4);
        return graph(0).run(std::move(operands), frame.state, frame.differentiable);
    }
};

/// invoke_subgraph(graph, name, operands…)
class Invoke final : public ControlNode {
  public:
    using ControlNode::ControlNode;

  protected:
    Values evaluate(Frame& frame, Values operands) const override {
        if (!operands.empty() && (operands[0].isString() || operands[0].isNone())) {
            operands.erase(operands.begin());
        }
        return graph(0).run(std::move(operands), frame.state, frame.differentiable);
    }
};

/// strict_mode(graph, operands), hints_wrapper(graph, operands): nothing is different here
class Wrapped final : public ControlNode {
  public:
    using ControlNode::ControlNode;

  protected:
    Values evaluate(Frame& frame, Values operands) const override {
        return graph(0).run(items(operands, 0), frame.state, frame.differentiable);
    }
};

template <class Kind>
std::unique_ptr<Node> make_control(std::vector<std::shared_ptr<Program>> graphs, std::string label,
                                   std::vector<Operand> operands, std::vector<Target> targets) {
    return std::make_unique<Kind>(std::move(graphs), std::move(label), std::move(operands), std::move(targets));
}

}  // namespace

std::unique_ptr<Node> control_node(const std::string& name, std::string label,
                                   std::vector<std::shared_ptr<Program>> graphs, std::vector<Operand> operands,
                                   std::vector<Target> targets) {
    using Maker = decltype(&make_control<Cond>);
    static const std::unordered_map<std::string, Maker> makers = {
        {"cond", make_control<Cond>},
        {"while_loop", make_control<WhileLoop>},
        {"map_impl", make_control<Map>},
        {"scan", make_control<Scan>},
        {"wrap_with_set_grad_enabled", make_control<SetGradEnabled>},
        {"wrap_with_autocast", make_control<WithAutocast>},
        {"invoke_subgraph", make_control<Invoke>},
        {"strict_mode", make_control<Wrapped>},
        {"hints_wrapper", make_control<Wrapped>}};
    const auto found = makers.find(name);
    return found == makers.end()
               ? nullptr
               : found->second(std::move(graphs), std::move(label), std::move(operands), std::move(targets));
}

}  // namespace ltf
