// What the nodes of a program that is run for inference have in common: what they may be given, and whether what they
// were made from is still the same. The nodes themselves are exported_linear.cpp's and exported_convolution.cpp's.
#pragma once

#include "autocast.h"
#include "exported.h"

namespace ltf {

/// Whether a kernel of oneDNN's may be given the tensor: it asks less than libtorch's own whether it is what it takes.
inline bool is_plain_float(const c10::IValue& value) {
    if (!value.isTensor() || !value.toTensor().defined()) {
        return false;
    }
    CallFacts facts;
    facts.note(value.toTensor());
    return facts.on_cpu && !facts.unusual && !facts.dual && value.toTensor().scalar_type() == at::kFloat;
}

/// Whether a run asks for nothing that only the plain nodes give: gradients, or autocast.
inline bool is_for_inference(const Frame& frame) {
    return !frame.differentiable && !autocast::is_autocast_enabled(at::kCPU);
}

inline bool calls(const Node& node, const char* name) {
    return node.called() != nullptr && node.called()->name == name && node.called()->overload_name.empty();
}

/// Whether it can be noticed that the tensor is written to.
inline bool is_watchable(const c10::IValue& value) { return is_plain_float(value) && !value.toTensor().is_inference(); }

/// A tensor of the state from which something was computed once, and which may be written to afterwards.
class Watched {
  public:
    /// The tensor must be watchable.
    Watched(size_t index, const std::vector<c10::IValue>& state)
        : index_(index),
          tensor_(state.at(index).toTensor()),
          version_(tensor_._version()),
          memory_(tensor_.storage()) {}

    bool is_unchanged(const Frame& frame) const {
        const c10::IValue& value = frame.state.at(index_);
        return is_plain_float(value) && value.toTensor().is_same(tensor_) && tensor_._version() == version_ &&
               tensor_.storage().unsafeGetStorageImpl() == memory_.unsafeGetStorageImpl();
    }
    const at::Tensor& tensor() const { return tensor_; }

  private:
    size_t index_;
    at::Tensor tensor_;
    uint32_t version_;
    c10::Storage memory_;  // held, so that no other one comes to lie at its address
};

/// Whether a node reads first what the node before it gives, and nothing else reads that.
inline bool is_absorbable(const Node& node, const Node& before) {
    if (node.targets().empty() || node.targets()[0].is_list || before.targets().empty() ||
        before.targets()[0].is_list || node.targets()[0].slot == before.targets()[0].slot) {
        return false;
    }
    const Operand& input = node.operands().at(0);
    return input.kind == Operand::Kind::slot && input.index == before.targets()[0].slot && input.last;
}

/// A node whose work the node before it does, too, unless that went the plain way and left its own result.
class Absorbed final : public Node {
  public:
    explicit Absorbed(std::shared_ptr<Node> plain) : Node(plain->label(), {}, {}), plain_(std::move(plain)) {}

    void run(Frame& frame) const override {
        if (!frame.slots[plain_->operands()[0].index].isNone()) {
            plain_->run(frame);
        }
    }
    /// Says in a run that its work is done.
    static void note_done(const Node& plain, Frame& frame) { frame.slots[plain.operands()[0].index] = c10::IValue(); }

  private:
    std::shared_ptr<Node> plain_;
};

/// Puts linear layers on weights that are laid out once in place of those that do the same.
void replace_linear_layers(std::vector<std::shared_ptr<Node>>& nodes, const std::vector<c10::IValue>& state);

/// Likewise convolutions, with the batch normalization that follows folded into their weights. `outputs` are what the
/// program returns; `slots` grows by what the nodes keep within a run.
void replace_convolutions(std::vector<std::shared_ptr<Node>>& nodes, const std::vector<Operand>& outputs,
                          const std::vector<c10::IValue>& state, size_t& slots);

}  // namespace ltf
