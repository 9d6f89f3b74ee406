// Owns the nodes of a program that is run for inference: calls of aten::linear on weights that are laid out once for
// oneDNN's kernels. libtorch's own kernel (MKL's sgemm) lays a weight out anew in each call, which for a batch of a few
// rows takes longer than the multiplication. Never decides that a program is run so: its caller asks for it, because
// the layout is a second copy of the weights, and because results differ from the plain call's in their last bits.
#include "autocast.h"
#include "exported.h"
#include "releases.h"

namespace ltf {
namespace {

using c10::IValue;

/// A smaller weight stays in the processor's cache, and what the call of oneDNN costs is more than it gains.
constexpr int64_t kFewWeights = int64_t{1} << 16;

enum LinearArgument : size_t { kInput, kWeight, kBias };

/// Whether a kernel of oneDNN's may be given the tensor: it asks less than libtorch's own whether it is what it takes.
bool is_plain_float(const IValue& value) {
    if (!value.isTensor() || !value.toTensor().defined()) {
        return false;
    }
    CallFacts facts;
    facts.note(value.toTensor());
    return facts.on_cpu && !facts.unusual && !facts.dual && value.toTensor().scalar_type() == at::kFloat;
}

/// The two operators of libtorch that reach oneDNN: one lays a weight out, the other multiplies by it.
struct OneDnn {
    Optional<c10::OperatorHandle> pack, multiply;

    static const OneDnn& operators() {
        static const OneDnn found{
            c10::Dispatcher::singleton().findSchema({"mkldnn::_reorder_linear_weight", ""}),
            c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""}),
        };
        return found;
    }

    bool there() const { return pack.has_value() && multiply.has_value() && at::globalContext().userEnabledMkldnn(); }
};

/// aten::linear on a packed weight. Takes the plain way where gradients or autocast are asked for, where the weight has
/// changed since it was packed, and for inputs that oneDNN's kernel is not for.
class PackedLinear final : public Node {
  public:
    PackedLinear(std::shared_ptr<Node> plain, at::Tensor weight, at::Tensor packed)
        : Node(plain->label(), plain->operands(), plain->targets()),
          plain_(std::move(plain)),
          weight_(std::move(weight)),
          packed_(std::move(packed)),
          version_(weight_._version()) {}

    void run(Frame& frame) const override {
        if (!fits(frame)) {
            plain_->run(frame);
            return;
        }
        frame.stack.clear();
        frame.stack.push_back(operands_[kInput].read(frame));
        frame.stack.emplace_back(packed_);
        frame.stack.push_back(operands_[kBias].read(frame));
        frame.stack.emplace_back("none");  // no operation is fused with it
        frame.stack.emplace_back(c10::List<Optional<at::Scalar>>());
        frame.stack.emplace_back();
        {
            const at::AutoDispatchBelowAutograd below;
            OneDnn::operators().multiply->callBoxed(&frame.stack);
        }
        pop(frame);
    }

  private:
    bool fits(const Frame& frame) const {
        return !frame.differentiable && fits_weight(frame.state.at(operands_[kWeight].index)) &&
               fits_input(frame.slots[operands_[kInput].index]) && fits_bias(bias(frame)) &&
               !autocast::is_autocast_enabled(at::kCPU) && at::globalContext().userEnabledMkldnn();
    }

    bool fits_weight(const IValue& weight) const {
        return is_plain_float(weight) && weight.toTensor().is_same(weight_) && weight_._version() == version_;
    }

    bool fits_input(const IValue& input) const {
        if (!is_plain_float(input)) {
            return false;
        }
        const at::Tensor& rows = input.toTensor();
        return rows.dim() > 0 && rows.numel() > 0 && rows.size(-1) == weight_.size(1);
    }

    bool fits_bias(const IValue& value) const {
        return value.isNone() ||
               (is_plain_float(value) && value.toTensor().dim() == 1 && value.toTensor().size(0) == weight_.size(0));
    }

    const IValue& bias(const Frame& frame) const {
        const Operand& operand = operands_[kBias];
        return operand.kind == Operand::Kind::state  ? frame.state.at(operand.index)
               : operand.kind == Operand::Kind::slot ? frame.slots[operand.index]
                                                     : operand.constant;
    }

    std::shared_ptr<Node> plain_;
    at::Tensor weight_, packed_;
    uint32_t version_;
};

bool is_packable(const IValue& value) {
    return is_plain_float(value) && value.toTensor().dim() == 2 && value.toTensor().numel() >= kFewWeights &&
           !value.toTensor().is_inference();
}

at::Tensor packed(const at::Tensor& weight) {
    const at::NoGradGuard no_grad;
    torch::jit::Stack stack{weight.detach().contiguous(), IValue()};  // for any number of rows
    OneDnn::operators().pack->callBoxed(&stack);
    return std::move(stack.at(0)).toTensor();
}

}  // namespace

std::shared_ptr<Node> inference_node(const std::shared_ptr<Node>& plain, const std::vector<IValue>& state) {
    const c10::OperatorName* name = plain->called();
    if (name == nullptr || name->name != "aten::linear" || !name->overload_name.empty() ||
        !OneDnn::operators().there()) {
        return nullptr;
    }
    const Operand &input = plain->operands().at(kInput), &weight = plain->operands().at(kWeight);
    if (input.kind != Operand::Kind::slot || weight.kind != Operand::Kind::state ||
        !is_packable(state.at(weight.index))) {
        return nullptr;
    }
    const at::Tensor& tensor = state[weight.index].toTensor();
    return std::make_shared<PackedLinear>(plain, tensor, packed(tensor));
}

}  // namespace ltf
