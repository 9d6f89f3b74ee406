// Owns the nodes of a program that is run for inference: calls of aten::linear, and of aten::addmm that linear was
// decomposed into, on weights that are laid out once for oneDNN's kernels. libtorch's own kernel (MKL's sgemm) lays a
// weight out anew in each call, which for a batch of a few rows takes longer than the multiplication. A gelu that alone
// reads the product is computed with it. Never decides that a program is run so: its caller asks for it, because the
// layout is a second copy of the weights, and because results differ from the plain call's in their last bits.
#include <unordered_map>

#include "exported_inference.h"
#include "releases.h"

namespace ltf {
namespace {

using c10::IValue;

/// A smaller weight stays in the processor's cache, and what the call of oneDNN costs is more than it gains.
constexpr int64_t kFewWeights = int64_t{1} << 16;

/// The operands of aten::linear, which those of a packed layer are.
enum LinearArgument : size_t { kRows, kMatrix, kOffset };
/// The operands of aten::addmm.
enum ProductArgument : size_t { kAdded, kLeft, kRight, kBeta, kAlpha };

/// The two operators of libtorch that reach oneDNN: one lays a weight out, the other multiplies by it.
struct LinearKernels {
    Optional<c10::OperatorHandle> pack, multiply;

    static const LinearKernels& operators() {
        static const LinearKernels found{
            c10::Dispatcher::singleton().findSchema({"mkldnn::_reorder_linear_weight", ""}),
            c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""}),
        };
        return found;
    }

    bool there() const { return pack.has_value() && multiply.has_value() && at::globalContext().userEnabledMkldnn(); }
};

/// A linear layer on a packed weight. Takes the plain way where gradients or autocast are asked for, where the weight
/// has changed since it was packed, and for inputs that oneDNN's kernel is not for.
class PackedLinear final : public Node {
  public:
    PackedLinear(std::shared_ptr<Node> plain, std::shared_ptr<Node> gelu, std::vector<Operand> operands, Watched weight,
                 at::Tensor packed)
        : Node(plain->label(), std::move(operands), gelu ? gelu->targets() : plain->targets()),
          plain_(std::move(plain)),
          gelu_(std::move(gelu)),
          weight_(std::move(weight)),
          packed_(std::move(packed)) {}

    void run(Frame& frame) const override {
        if (!fits(frame)) {
            plain_->run(frame);
            return;
        }
        frame.stack.clear();
        frame.stack.push_back(operands_[kRows].read(frame));
        frame.stack.emplace_back(packed_);
        frame.stack.push_back(operands_[kOffset].read(frame));
        frame.stack.emplace_back(gelu_ ? "gelu" : "none");
        frame.stack.emplace_back(c10::List<Optional<at::Scalar>>());
        frame.stack.push_back(gelu_ ? gelu_->operands()[1].constant : IValue());
        {
            const at::AutoDispatchBelowAutograd below;
            LinearKernels::operators().multiply->callBoxed(&frame.stack);
        }
        if (gelu_) {
            Absorbed::note_done(*gelu_, frame);
        }
        pop(frame);
    }

  private:
    bool fits(const Frame& frame) const {
        return is_for_inference(frame) && at::globalContext().userEnabledMkldnn() && weight_.is_unchanged(frame) &&
               fits_input(frame.slots[operands_[kRows].index]) && fits_bias(bias(frame));
    }

    bool fits_input(const IValue& input) const {
        if (!is_plain_float(input)) {
            return false;
        }
        const at::Tensor& rows = input.toTensor();
        const bool fitting = plain_->called()->name == "aten::linear" ? rows.dim() > 0 : rows.dim() == 2;
        return fitting && rows.numel() > 0 && rows.size(-1) == weight_.tensor().size(1);
    }

    bool fits_bias(const IValue& value) const {
        return value.isNone() || (is_plain_float(value) && value.toTensor().dim() == 1 &&
                                  value.toTensor().size(0) == weight_.tensor().size(0));
    }

    const IValue& bias(const Frame& frame) const {
        const Operand& operand = operands_[kOffset];
        return operand.kind == Operand::Kind::state  ? frame.state.at(operand.index)
               : operand.kind == Operand::Kind::slot ? frame.slots[operand.index]
                                                     : operand.constant;
    }

    std::shared_ptr<Node> plain_, gelu_;  // the latter may be null
    Watched weight_;
    at::Tensor packed_;
};

bool is_packable(const IValue& value) {
    return is_watchable(value) && value.toTensor().dim() == 2 && value.toTensor().numel() >= kFewWeights;
}

at::Tensor packed(const at::Tensor& weight) {
    const at::NoGradGuard no_grad;
    torch::jit::Stack stack{weight.detach().contiguous(), IValue()};  // for any number of rows
    LinearKernels::operators().pack->callBoxed(&stack);
    return std::move(stack.at(0)).toTensor();
}

/// The slots in which there are transposed matrices of the state, and which.
std::unordered_map<size_t, Operand> transposed(const std::vector<std::shared_ptr<Node>>& nodes) {
    std::unordered_map<size_t, Operand> found;
    for (const auto& node : nodes) {
        const auto& operands = node->operands();
        const bool turns =
            calls(*node, "aten::t") || (calls(*node, "aten::permute") && operands.at(1).constant.isIntList() &&
                                        operands.at(1).constant.toIntVector() == std::vector<int64_t>{1, 0});
        if (turns && operands.at(0).kind == Operand::Kind::state && !node->targets().empty()) {
            found.emplace(node->targets()[0].slot, operands[0]);
        }
    }
    return found;
}

bool is_one(const Operand& operand) {
    return operand.kind == Operand::Kind::constant && operand.constant.isScalar() &&
           operand.constant.toScalar().equal(1);
}

/// Whether a node is an activation that oneDNN can do in one go with a product. (Its relu makes 0 of a NaN.)
bool is_gelu(const Node& node) {
    if (!calls(node, "aten::gelu") || node.operands().at(1).kind != Operand::Kind::constant ||
        !node.operands()[1].constant.isString()) {
        return false;
    }
    const std::string& way = node.operands()[1].constant.toStringRef();
    return way == "none" || way == "tanh";
}

/// A node's operands as those of aten::linear; nothing where it is no linear layer.
std::vector<Operand> linear_operands(const Node& node, const std::unordered_map<size_t, Operand>& turned) {
    const auto& operands = node.operands();
    if (calls(node, "aten::linear")) {
        return operands;
    }
    if (!calls(node, "aten::addmm") || !is_one(operands.at(kBeta)) || !is_one(operands.at(kAlpha)) ||
        operands.at(kRight).kind != Operand::Kind::slot || turned.count(operands[kRight].index) == 0) {
        return {};
    }
    return {operands[kLeft], turned.at(operands[kRight].index), operands[kAdded]};
}

}  // namespace

void replace_linear_layers(std::vector<std::shared_ptr<Node>>& nodes, const std::vector<IValue>& state) {
    if (!LinearKernels::operators().there()) {
        return;
    }
    const auto turned = transposed(nodes);
    for (size_t i = 0; i < nodes.size(); ++i) {
        std::vector<Operand> operands = linear_operands(*nodes[i], turned);
        if (operands.empty() || operands[kRows].kind != Operand::Kind::slot ||
            operands[kMatrix].kind != Operand::Kind::state || !is_packable(state.at(operands[kMatrix].index))) {
            continue;
        }
        std::shared_ptr<Node> gelu;
        if (i + 1 < nodes.size() && is_gelu(*nodes[i + 1]) && is_absorbable(*nodes[i + 1], *nodes[i])) {
            gelu = nodes[i + 1];
            nodes[i + 1] = std::make_shared<Absorbed>(gelu);
        }
        Watched weight(operands[kMatrix].index, state);
        at::Tensor laid_out = packed(weight.tensor());
        nodes[i] = std::make_shared<PackedLinear>(nodes[i], std::move(gelu), std::move(operands), std::move(weight),
                                                  std::move(laid_out));
    }
}

}  // namespace ltf
