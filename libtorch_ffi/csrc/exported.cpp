// Owns the run of an exported program: a loop over its nodes, without the GIL. A slot is emptied when the last node
// that reads it takes its value, and a result that none reads is not kept: memory is free as early as in Python.
#include "exported.h"

#include <unordered_set>

#include "exported_inference.h"
#include "releases.h"

namespace ltf {
namespace {

void mark_last(Operand& operand, std::unordered_set<size_t>& read_later) {
    if (operand.kind == Operand::Kind::slot) {
        operand.last = read_later.insert(operand.index).second;
    }
    for (auto item = operand.items.rbegin(); item != operand.items.rend(); ++item) {
        mark_last(*item, read_later);
    }
}

void mark_last(std::vector<Operand>& operands, std::unordered_set<size_t>& read_later) {
    for (auto operand = operands.rbegin(); operand != operands.rend(); ++operand) {
        mark_last(*operand, read_later);
    }
}

/// Leaves results nowhere that nothing reads.
void drop_unread(std::vector<Target>& targets, const std::unordered_set<size_t>& read_later) {
    for (Target& target : targets) {
        drop_unread(target.items, read_later);
        if (read_later.count(target.slot) == 0) {
            target.slot = Target::kNowhere;
        }
    }
}

c10::IValue read_tensors(const std::vector<Operand>& items, Frame& frame) {
    c10::List<at::Tensor> list;
    list.reserve(items.size());
    for (const Operand& item : items) {
        list.push_back(item.read(frame).toTensor());
    }
    return list;
}

c10::IValue read_optional_tensors(const std::vector<Operand>& items, Frame& frame) {
    c10::List<Optional<at::Tensor>> list;
    list.reserve(items.size());
    for (const Operand& item : items) {
        list.push_back(item.read(frame).toOptional<at::Tensor>());
    }
    return list;
}

c10::IValue read_ints(const std::vector<Operand>& items, Frame& frame) {
    c10::List<int64_t> list;
    list.reserve(items.size());
    for (const Operand& item : items) {
        list.push_back(item.read(frame).toInt());
    }
    return list;
}

c10::IValue read_values(const Operand& operand, Frame& frame) {
    c10::impl::GenericList list(operand.element);
    for (const Operand& item : operand.items) {
        list.push_back(item.read(frame));
    }
    return list;
}

}  // namespace

c10::IValue Operand::read(Frame& frame) const {
    switch (kind) {
        case Kind::constant:
            return constant;
        case Kind::state:
            return frame.state.at(index);
        case Kind::tensors:
            return read_tensors(items, frame);
        case Kind::optional_tensors:
            return read_optional_tensors(items, frame);
        case Kind::ints:
            return read_ints(items, frame);
        case Kind::values:
            return read_values(*this, frame);
        case Kind::slot:
            break;
    }
    c10::IValue value = last ? std::move(frame.slots[index]) : frame.slots[index];
    if (number && value.isScalar()) {
        return number_tensor(value.toScalar());
    }
    TORCH_CHECK(!tensor || (value.isTensor() && value.toTensor().defined()), "a tensor is needed, there is ",
                value.tagKind());
    return floats && value.isInt() ? c10::IValue(static_cast<double>(value.toInt())) : value;
}

void Target::store(Frame& frame, c10::IValue value) const {
    if (!is_list) {
        if (slot != kNowhere) {
            frame.slots[slot] = std::move(value);
        }
        return;
    }
    TORCH_CHECK(value.isList() && value.toListRef().size() == items.size(), "the archive says that ", items.size(),
                " values come, and there is ", value.isList() ? std::to_string(value.toListRef().size()) : "no list");
    for (size_t i = 0; i < items.size(); ++i) {
        items[i].store(frame, value.toListRef()[i]);
    }
}

void Node::push(Frame& frame) const {
    frame.stack.clear();
    for (const Operand& operand : operands_) {
        frame.stack.push_back(operand.read(frame));
    }
}

void Node::pop(Frame& frame) const {
    TORCH_CHECK(frame.stack.size() >= targets_.size(), "the archive says that ", targets_.size(),
                " results come, and there are ", frame.stack.size());
    for (size_t i = 0; i < targets_.size(); ++i) {
        targets_[i].store(frame, std::move(frame.stack[i]));
    }
    frame.stack.clear();
}

void Program::finish(std::vector<Operand> outputs) {
    outputs_ = std::move(outputs);
    std::unordered_set<size_t> read_later;
    mark_last(outputs_, read_later);
    for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
        drop_unread((*node)->targets(), read_later);
        mark_last((*node)->operands(), read_later);
    }
}

std::shared_ptr<Program> Program::for_inference(const std::vector<c10::IValue>& state) const {
    auto made = std::make_shared<Program>(*this);
    replace_linear_layers(made->nodes_, state);
    replace_convolutions(made->nodes_, outputs_, state, made->slots_);
    return made;
}

std::vector<c10::IValue> Program::run(std::vector<c10::IValue> inputs, const std::vector<c10::IValue>& state,
                                      bool differentiable) const {
    TORCH_CHECK(inputs.size() == inputs_.size(), "the graph takes ", inputs_.size(), " values, not ", inputs.size());
    Frame frame{std::vector<c10::IValue>(slots_), state, {}, differentiable};
    for (size_t i = 0; i < inputs.size(); ++i) {
        frame.slots[inputs_[i]] = std::move(inputs[i]);
    }
    for (const auto& node : nodes_) {
        try {
            node->run(frame);
        } catch (c10::Error& error) {
            error.add_context(c10::str("raised by the node ", node->label(), " of an exported program"));
            throw;
        }
    }
    std::vector<c10::IValue> results;
    results.reserve(outputs_.size());
    for (const Operand& output : outputs_) {
        results.push_back(output.read(frame));
    }
    return results;
}

}  // namespace ltf
