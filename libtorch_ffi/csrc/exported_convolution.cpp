// Owns the convolutions of a program that is run for inference. Two things are done once and not in each run. The batch
// normalization that alone reads a convolution's result is folded into its weights. And where convolutions follow each
// other, with nothing between them that minds the layout of its tensors (a region), their weights are laid out for
// oneDNN's kernels and their results stay in channels-last form from one to the next: libtorch's own call lays
// weights, input and result out anew each time. At a region's end the results get the strides that the plain program
// gives them, because those can be seen, and because a view may count on them.
//
// Never fuses an activation with a convolution, which oneDNN offers: its relu makes 0 of a NaN, and little is gained.
#include <ATen/NativeFunctions.h>

#include <unordered_set>

#include "exported_inference.h"
#include "missing_checks.h"

namespace ltf {
namespace {

using c10::IValue;
using Nodes = std::vector<std::shared_ptr<Node>>;
using Sizes = std::vector<int64_t>;

/// A region has at least so many convolutions of more than one point: for those of one point libtorch's own kernel,
/// which multiplies matrices as they lie, is as fast, and with fewer the two ends cost what is gained between them.
constexpr int kFewConvolutions = 4;
/// Numbers that come into a region: for fewer, what the calls of oneDNN cost is more than they gain.
constexpr int64_t kFewNumbers = 2048;
/// No real convolution has a larger stride or dilation; arithmetic with these stays within 64 bits.
constexpr int64_t kLargestStep = int64_t{1} << 20;
/// oneDNN is reached for images only: libtorch's operators take no other rank in all releases.
constexpr int64_t kImages = 4;

/// The operands of aten::conv2d and its like, and of aten::convolution up to the dilation.
enum ConvolutionArgument : size_t { kInput, kWeight, kBias, kStride, kPadding, kDilation, kGroups };
/// The other operands of aten::convolution.
constexpr size_t kTransposed = 6, kOutputPadding = 7, kGeneralGroups = 8;
/// The first operands of both batch normalizations.
enum NormArgument : size_t { kNormInput, kScale, kShift, kMean, kVariance };
/// aten::batch_norm, and what run_decompositions() makes of it.
constexpr size_t kTraining = 5, kEpsilon = 7, kDecomposedEpsilon = 6;

/// The two operators of libtorch that reach oneDNN: one lays a weight out, the other convolves with it.
struct ConvolutionKernels {
    Optional<c10::OperatorHandle> pack, convolve;

    static const ConvolutionKernels& operators() {
        static const ConvolutionKernels found{
            c10::Dispatcher::singleton().findSchema({"mkldnn::_reorder_convolution_weight", ""}),
            c10::Dispatcher::singleton().findSchema({"mkldnn::_convolution_pointwise", ""}),
        };
        return found;
    }

    /// Whether they are there with the arguments that are known here.
    bool there() const {
        return pack.has_value() && convolve.has_value() && pack->schema().arguments().size() == 6 &&
               convolve->schema().arguments().size() == 10 && at::globalContext().userEnabledMkldnn();
    }
};

bool has_default_strides(const at::Tensor& tensor) {
    int64_t expected = 1;
    for (int64_t dim = tensor.dim() - 1; dim >= 0; --dim) {
        if (tensor.stride(dim) != expected) {
            return false;
        }
        expected *= std::max<int64_t>(tensor.size(dim), 1);
    }
    return true;
}

// What a node says.

/// The sizes of a convolution, all that its node gives as constants.
struct Geometry {
    Sizes stride, padding, dilation;
    int64_t groups = 1;
};

bool is_convolution(const Node& node) {
    const c10::OperatorName* name = node.called();
    if (name == nullptr || !(name->overload_name.empty() || name->overload_name == "padding")) {
        return false;
    }
    return name->name == "aten::conv1d" || name->name == "aten::conv2d" || name->name == "aten::conv3d" ||
           name->name == "aten::convolution";
}

/// A constant list with one number for each dimension, or one for all; empty where it is none.
Sizes sizes_of(const Operand& operand, size_t dims) {
    if (operand.kind != Operand::Kind::constant || !operand.constant.isIntList()) {
        return {};
    }
    Sizes sizes = operand.constant.toIntVector();
    if (sizes.size() == 1) {
        sizes.resize(dims, sizes[0]);
    }
    return sizes.size() == dims ? sizes : Sizes();
}

/// The padding that aten::conv2d calls "same"; empty where one side would get more, or where there is none such.
Sizes same_padding(const at::Tensor& weight, const Sizes& stride, const Sizes& dilation) {
    Sizes padding;
    for (size_t i = 0; i < stride.size() && i < dilation.size(); ++i) {
        const int64_t reach = dilation[i] * (weight.size(static_cast<int64_t>(i) + 2) - 1);
        if (stride[i] != 1 || reach % 2 != 0) {
            return {};
        }
        padding.push_back(reach / 2);
    }
    return padding;
}

Sizes padding_of(const Operand& operand, const at::Tensor& weight, const Sizes& stride, const Sizes& dilation) {
    if (operand.kind != Operand::Kind::constant || !operand.constant.isString()) {
        return sizes_of(operand, stride.size());
    }
    const std::string& word = operand.constant.toStringRef();
    return word == "valid"  ? Sizes(stride.size(), 0)
           : word == "same" ? same_padding(weight, stride, dilation)
                            : Sizes();
}

bool is_within(const Sizes& sizes, int64_t low, int64_t high) {
    return std::all_of(sizes.begin(), sizes.end(), [=](int64_t size) { return low <= size && size <= high; });
}

/// Whether they are a step in each direction of an image.
bool are_steps(const Sizes& steps) { return steps.size() == kImages - 2 && is_within(steps, 1, kLargestStep); }

/// Whether a kernel of oneDNN's may be asked for it: the operator itself checks next to nothing.
bool is_sound(const Geometry& geometry, const at::Tensor& weight) {
    if (weight.numel() == 0 || geometry.padding.size() != kImages - 2 || geometry.groups < 1 ||
        weight.size(0) % geometry.groups != 0) {
        return false;
    }
    for (size_t i = 0; i < kImages - 2; ++i) {
        const int64_t reach = geometry.dilation[i] * (weight.size(static_cast<int64_t>(i) + 2) - 1);
        if (geometry.padding[i] < 0 || geometry.padding[i] > reach) {
            return false;
        }
    }
    return true;
}

bool is_constant(const Operand& operand, bool value) {
    return operand.kind == Operand::Kind::constant && operand.constant.isBool() && operand.constant.toBool() == value;
}

/// What a convolution's node says; nothing where it is not one of oneDNN's.
std::optional<Geometry> geometry_of(const Node& node, const at::Tensor& weight) {
    const auto& operands = node.operands();
    const bool general = calls(node, "aten::convolution");
    const Operand& groups = operands.at(general ? kGeneralGroups : size_t{kGroups});
    if (weight.dim() != kImages || !(general || node.called()->name == "aten::conv2d") ||
        groups.kind != Operand::Kind::constant || !groups.constant.isInt()) {
        return std::nullopt;
    }
    Geometry found;
    found.stride = sizes_of(operands.at(kStride), kImages - 2);
    found.dilation = sizes_of(operands.at(kDilation), kImages - 2);
    if (!are_steps(found.stride) || !are_steps(found.dilation)) {
        return std::nullopt;
    }
    found.padding = padding_of(operands.at(kPadding), weight, found.stride, found.dilation);
    found.groups = groups.constant.toInt();
    return is_sound(found, weight) ? std::optional<Geometry>(found) : std::nullopt;
}

/// Whether a node is a batch normalization by statistics that it only reads.
bool is_norm(const Node& node) {
    return calls(node, "aten::_native_batch_norm_legit_no_training") ||
           (calls(node, "aten::batch_norm") && is_constant(node.operands().at(kTraining), false));
}

std::optional<double> epsilon_of(const Node& norm) {
    const Operand& operand = norm.operands().at(calls(norm, "aten::batch_norm") ? kEpsilon : kDecomposedEpsilon);
    const bool known = operand.kind == Operand::Kind::constant && operand.constant.isDouble();
    return known ? std::optional<double>(operand.constant.toDouble()) : std::nullopt;
}

// A convolution that is replaced.

/// A convolution and the normalization that is folded into it, if there is one: their nodes, and what they have been
/// computed from.
struct Layer {
    std::shared_ptr<Node> convolution, norm;
    std::vector<Watched> watched;
    Sizes shape;              // of the weight
    at::Tensor weight, bias;  // with the normalization in them; the bias may be missing
    std::optional<Geometry> geometry;

    const Node& last() const { return norm ? *norm : *convolution; }

    bool is_unchanged(const Frame& frame) const {
        return is_for_inference(frame) && std::all_of(watched.begin(), watched.end(), [&](const Watched& tensor) {
                   return tensor.is_unchanged(frame);
               });
    }
    void note_folded(Frame& frame) const {
        if (norm) {
            Absorbed::note_done(*norm, frame);
        }
    }
    /// The input of a run; null where it is nothing that the folded weight may be used with.
    const at::Tensor* input(const Frame& frame) const {
        const IValue& value = frame.slots[convolution->operands()[kInput].index];
        const bool fitting = is_plain_float(value) && value.toTensor().dim() == static_cast<int64_t>(shape.size()) &&
                             value.toTensor().numel() > 0;
        return fitting ? &value.toTensor() : nullptr;
    }
};

/// A convolution by libtorch's own kernel, with the batch normalization after it in its weights.
class FoldedConvolution final : public Node {
  public:
    explicit FoldedConvolution(Layer layer)
        : Node(layer.convolution->label(), layer.convolution->operands(), {layer.last().targets().at(0)}),
          layer_(std::move(layer)),
          handle_(c10::Dispatcher::singleton().findSchemaOrThrow(layer_.convolution->called()->name.c_str(),
                                                                 layer_.convolution->called()->overload_name.c_str())),
          check_(missing_check_of(handle_.schema())) {}

    void run(Frame& frame) const override {
        if (!layer_.is_unchanged(frame) || layer_.input(frame) == nullptr) {
            layer_.convolution->run(frame);
            return;
        }
        push(frame);
        frame.stack[kWeight] = layer_.weight;
        frame.stack[kBias] = layer_.bias;
        make_missing_check(check_, handle_.schema(), frame.stack);
        {
            const at::AutoDispatchBelowAutograd below;
            handle_.callBoxed(&frame.stack);
        }
        layer_.note_folded(frame);
        pop(frame);
    }

  private:
    Layer layer_;
    c10::OperatorHandle handle_;
    Check check_;
};

/// A convolution in a region, on a weight that is laid out for oneDNN. Takes the plain way where the region does.
class PackedConvolution final : public Node {
  public:
    PackedConvolution(Layer layer, at::Tensor packed, size_t region)
        : Node(layer.convolution->label(), {layer.convolution->operands()[kInput]}, {layer.last().targets().at(0)}),
          layer_(std::move(layer)),
          packed_(std::move(packed)),
          region_(region) {
        layer_.weight.reset();  // the copy that is laid out is enough
    }

    void run(Frame& frame) const override {
        if (frame.slots[region_].isNone() || !layer_.is_unchanged(frame) || !fits(layer_.input(frame))) {
            layer_.convolution->run(frame);
            return;
        }
        const Geometry& geometry = *layer_.geometry;
        frame.stack.clear();
        frame.stack.push_back(operands_[kInput].read(frame));
        frame.stack.emplace_back(packed_);
        frame.stack.emplace_back(layer_.bias.defined() ? IValue(layer_.bias) : IValue());
        frame.stack.emplace_back(geometry.padding);
        frame.stack.emplace_back(geometry.stride);
        frame.stack.emplace_back(geometry.dilation);
        frame.stack.emplace_back(geometry.groups);
        frame.stack.emplace_back("none");  // no operation is fused with it
        frame.stack.emplace_back(c10::List<Optional<at::Scalar>>());
        frame.stack.emplace_back();
        {
            const at::AutoDispatchBelowAutograd below;
            ConvolutionKernels::operators().convolve->callBoxed(&frame.stack);
        }
        layer_.note_folded(frame);
        pop(frame);
    }

  private:
    bool fits(const at::Tensor* input) const {
        const Geometry& geometry = *layer_.geometry;
        if (input == nullptr || input->size(1) != layer_.shape[1] * geometry.groups) {
            return false;
        }
        for (size_t i = 0; i < kImages - 2; ++i) {
            const int64_t padded = input->size(static_cast<int64_t>(i) + 2) + 2 * geometry.padding[i];
            if (padded <= geometry.dilation[i] * (layer_.shape[i + 2] - 1)) {
                return false;
            }
        }
        return true;
    }

    Layer layer_;
    at::Tensor packed_;
    size_t region_;
};

// Making one.

bool reads_watchable(const Operand& operand, const std::vector<IValue>& state) {
    return operand.kind == Operand::Kind::state && is_watchable(state.at(operand.index));
}

/// Whether an operand is a vector of the state, one number for each channel.
bool reads_channels(const Operand& operand, const std::vector<IValue>& state, int64_t channels) {
    return reads_watchable(operand, state) && state[operand.index].toTensor().dim() == 1 &&
           state[operand.index].toTensor().size(0) == channels;
}

bool is_zero(const Operand& operand) {
    return operand.kind == Operand::Kind::constant && operand.constant.isIntList() &&
           is_within(operand.constant.toIntVector(), 0, 0);
}

bool is_none(const Operand& operand) { return operand.kind == Operand::Kind::constant && operand.constant.isNone(); }

bool is_foldable(const Node& norm, const std::vector<IValue>& state, int64_t channels) {
    const auto& operands = norm.operands();
    const auto channelwise = [&](size_t i) { return reads_channels(operands.at(i), state, channels); };
    return channelwise(kMean) && channelwise(kVariance) && epsilon_of(norm).has_value() &&
           (is_none(operands.at(kScale)) || channelwise(kScale)) &&
           (is_none(operands.at(kShift)) || channelwise(kShift));
}

/// Whether a convolution's input comes from the run, and its weight and its bias from the state.
bool is_replaceable(const Node& node, const std::vector<IValue>& state) {
    if (!is_convolution(node) || node.operands().at(kInput).kind != Operand::Kind::slot ||
        !reads_watchable(node.operands().at(kWeight), state) || node.targets().empty()) {
        return false;
    }
    const auto& operands = node.operands();
    if (calls(node, "aten::convolution") &&
        !(is_constant(operands.at(kTransposed), false) && is_zero(operands.at(kOutputPadding)))) {
        return false;
    }
    const at::Tensor& weight = state[operands[kWeight].index].toTensor();
    return weight.dim() > 2 && weight.numel() > 0 && has_default_strides(weight) &&
           (is_none(operands.at(kBias)) || reads_channels(operands[kBias], state, weight.size(0)));
}

/// The double of a vector of the state; `otherwise` where the operand is None.
at::Tensor vector_of(const Operand& operand, const std::vector<IValue>& state, const at::Tensor& otherwise) {
    return is_none(operand) ? otherwise : state.at(operand.index).toTensor().detach().to(at::kDouble);
}

/// Folds a normalization into a layer, unless its numbers do not allow it.
void fold(Layer& layer, std::shared_ptr<Node> norm, const std::vector<IValue>& state) {
    const auto& operands = norm->operands();
    const at::Tensor variance = vector_of(operands[kVariance], state, {});
    const at::Tensor factor =
        vector_of(operands[kScale], state, at::ones_like(variance)) / (variance + epsilon_of(*norm).value()).sqrt();
    const at::Tensor zero = at::zeros_like(factor);
    const at::Tensor bias = layer.bias.defined() ? layer.bias.to(at::kDouble) : zero;
    const at::Tensor shift = (bias - vector_of(operands[kMean], state, {})) * factor;
    Sizes column(layer.shape.size(), 1);
    column[0] = -1;
    const at::Tensor weight = (layer.weight.to(at::kDouble) * factor.view(column)).to(at::kFloat);
    const at::Tensor added = (shift + vector_of(operands[kShift], state, zero)).to(at::kFloat);
    if (!weight.isfinite().all().item<bool>() || !added.isfinite().all().item<bool>()) {
        return;
    }
    for (size_t i = kScale; i <= kVariance; ++i) {
        if (!is_none(operands[i])) {
            layer.watched.emplace_back(operands[i].index, state);
        }
    }
    layer.weight = weight;
    layer.bias = added;
    layer.norm = std::move(norm);
}

Layer layer_of(std::shared_ptr<Node> node, const std::vector<IValue>& state) {
    const auto& operands = node->operands();
    Layer layer;
    layer.watched.emplace_back(operands[kWeight].index, state);
    layer.weight = layer.watched[0].tensor().detach();
    layer.shape = layer.weight.sizes().vec();
    if (!is_none(operands[kBias])) {
        layer.watched.emplace_back(operands[kBias].index, state);
        layer.bias = layer.watched[1].tensor().detach().contiguous();
    }
    layer.geometry = geometry_of(*node, layer.weight);
    layer.convolution = std::move(node);
    return layer;
}

at::Tensor packed(const Layer& layer) {
    const Geometry& geometry = *layer.geometry;
    torch::jit::Stack stack{layer.weight.contiguous(), geometry.padding, geometry.stride,
                            geometry.dilation,         geometry.groups,  IValue()};  // for images of any size
    ConvolutionKernels::operators().pack->callBoxed(&stack);
    return std::move(stack.at(0)).toTensor();
}

// Regions.

/// Calls something with each slot and each piece of the state that an operand reads.
template <class Visit>
void visit(const Operand& operand, const Visit& visitor) {
    if (operand.kind == Operand::Kind::slot || operand.kind == Operand::Kind::state) {
        visitor(operand);
    }
    for (const Operand& item : operand.items) {
        visit(item, visitor);
    }
}

/// Calls something with each slot that a target names.
template <class Visit>
void visit(const Target& target, const Visit& visitor) {
    if (target.slot != Target::kNowhere && !target.is_list) {
        visitor(target.slot);
    }
    for (const Target& item : target.items) {
        visit(item, visitor);
    }
}

/// Whether a node computes the same whatever the layout of its tensors, makes no view of them, and gives results of
/// default strides where theirs are.
bool minds_no_layout(const Node& node) {
    static const std::unordered_set<std::string> names = {
        "relu",
        "relu_",
        "relu6",
        "relu6_",
        "hardtanh",
        "hardtanh_",
        "hardswish",
        "hardswish_",
        "silu",
        "silu_",
        "gelu",
        "leaky_relu",
        "elu",
        "sigmoid",
        "sigmoid_",
        "tanh",
        "hardsigmoid",
        "clamp",
        "add",
        "add_",
        "mul",
        "mul_",
        "sub",
        "div",
        "cat",
        "max_pool2d",
        "leaky_relu_",
        "avg_pool2d",
        "clamp_",
        "hardsigmoid_",
        "mean",
        "clamp_min",
        "elu_",
        "div_",
        "adaptive_avg_pool2d",
        "sub_",
        "_adaptive_avg_pool2d",
        "max_pool2d_with_indices",
    };
    const c10::OperatorName* called = node.called();
    if (called == nullptr || called->name.rfind("aten::", 0) != 0 ||
        called->overload_name.find("out") != std::string::npos) {
        return false;
    }
    return names.count(called->name.substr(6)) != 0 || is_norm(node) ||
           (calls(node, "aten::dropout") && is_constant(node.operands().at(2), false));
}

/// Looks, at the beginning of a region, whether its first input is worth it, and whether the plain program would give
/// default strides to all that is computed in it; if so, its slot is filled.
class RegionStart final : public Node {
  public:
    /// The first entry is the input of the first convolution, a slot.
    RegionStart(std::vector<Operand> entries, size_t region)
        : Node("the beginning of convolutions", std::move(entries), {}), region_(region) {}

    void run(Frame& frame) const override {
        const IValue& first = frame.slots[operands_.at(0).index];
        const bool fits = is_for_inference(frame) && at::globalContext().userEnabledMkldnn() && is_plain_float(first) &&
                          first.toTensor().numel() >= kFewNumbers &&
                          std::all_of(operands_.begin(), operands_.end(), [&](const Operand& operand) {
                              return is_default(operand.kind == Operand::Kind::state ? frame.state.at(operand.index)
                                                                                     : frame.slots[operand.index]);
                          });
        frame.slots[region_] = fits ? IValue(true) : IValue();
    }

  private:
    static bool is_default(const IValue& value) {
        if (!value.isTensor() || !value.toTensor().defined()) {
            return value.isScalar() || value.isNone();
        }
        CallFacts facts;
        facts.note(value.toTensor());
        return facts.on_cpu && !facts.unusual && !facts.dual && has_default_strides(value.toTensor());
    }

    size_t region_;
};

/// Gives default strides, at the end of a region, to what is read afterwards.
class RegionEnd final : public Node {
  public:
    RegionEnd(std::vector<size_t> leaving, size_t region)
        : Node("the end of convolutions", {}, {}), leaving_(std::move(leaving)), region_(region) {}

    void run(Frame& frame) const override {
        if (frame.slots[region_].isNone()) {
            return;
        }
        const at::AutoDispatchBelowAutograd below;
        for (const size_t slot : leaving_) {
            if (frame.slots[slot].isTensor() && frame.slots[slot].toTensor().defined()) {
                restore(frame.slots[slot].toTensor());
            }
        }
    }

  private:
    /// The tensor stays the same object: what was written in place may be in two slots. Nobody else has it, because
    /// all that came into the region has default strides.
    static void restore(const at::Tensor& tensor) {
        if (!has_default_strides(tensor)) {
            const at::Tensor made = at::clone(tensor, at::MemoryFormat::Contiguous);
            tensor.unsafeGetTensorImpl()->shallow_copy_from(made.getIntrusivePtr());
        }
    }

    std::vector<size_t> leaving_;
    size_t region_;
};

/// A node as it is, or a convolution that can be replaced.
struct Step {
    std::shared_ptr<Node> node;
    std::optional<Layer> layer;

    bool is_packable() const { return layer.has_value() && layer->geometry.has_value(); }
};

/// Makes the new nodes of a program.
class Rewriting {
  public:
    Rewriting(const Nodes& nodes, const std::vector<Operand>& outputs, const std::vector<IValue>& state, size_t& slots)
        : state_(state), slots_(slots) {
        const auto note = [this](const Operand& operand) {
            if (operand.kind == Operand::Kind::slot) {
                read_.insert(operand.index);
            }
        };
        for (const Operand& output : outputs) {
            visit(output, note);
        }
        for (const auto& node : nodes) {
            for (const Operand& operand : node->operands()) {
                visit(operand, note);
            }
        }
        find_layers(nodes);
    }

    Nodes nodes() {
        const bool packing = ConvolutionKernels::operators().there();
        for (size_t i = 0; i < steps_.size();) {
            const size_t end = packing ? region_end(i) : i;
            if (end > i) {
                add_region(i, end);
                i = end;
            } else {
                add_alone(steps_[i++]);
            }
        }
        return std::move(made_);
    }

  private:
    void find_layers(const Nodes& nodes) {
        for (size_t i = 0; i < nodes.size(); ++i) {
            steps_.push_back({nodes[i], std::nullopt});
            if (!is_replaceable(*nodes[i], state_)) {
                continue;
            }
            steps_.back().layer = layer_of(nodes[i], state_);
            if (i + 1 < nodes.size() && reads_alone(*nodes[i + 1], *nodes[i])) {
                Layer& layer = *steps_.back().layer;
                if (is_foldable(*nodes[i + 1], state_, layer.shape[0])) {
                    fold(layer, nodes[i + 1], state_);
                    i += layer.norm ? 1 : 0;
                }
            }
        }
    }

    /// Whether a node is a normalization of a convolution's result that nothing else reads, and nothing reads what it
    /// gives besides.
    bool reads_alone(const Node& norm, const Node& convolution) const {
        bool alone = is_norm(norm) && is_absorbable(norm, convolution);
        for (size_t i = 1; alone && i < norm.targets().size(); ++i) {
            visit(norm.targets()[i], [&](size_t slot) { alone = alone && read_.count(slot) == 0; });
        }
        return alone;
    }

    /// Where the region ends that begins with a step; where it begins if none does.
    size_t region_end(size_t begin) const {
        if (!steps_[begin].is_packable()) {
            return begin;
        }
        int convolutions = 0;
        size_t end = begin;
        for (; end < steps_.size() && (steps_[end].is_packable() || is_neutral(steps_[end])); ++end) {
            convolutions += steps_[end].is_packable() && is_wide(*steps_[end].layer) ? 1 : 0;
        }
        return convolutions >= kFewConvolutions ? end : begin;
    }

    static bool is_wide(const Layer& layer) { return layer.shape[2] > 1 || layer.shape[3] > 1; }

    static bool is_neutral(const Step& step) { return !step.layer.has_value() && minds_no_layout(*step.node); }

    void add_alone(Step& step) {
        if (step.layer.has_value() && step.layer->norm) {
            auto norm = std::make_shared<Absorbed>(step.layer->norm);
            made_.push_back(std::make_shared<FoldedConvolution>(std::move(*step.layer)));
            made_.push_back(std::move(norm));
        } else {
            made_.push_back(std::move(step.node));
        }
    }

    void add_region(size_t begin, size_t end) {
        const size_t region = slots_++;
        Nodes members;
        for (size_t i = begin; i < end; ++i) {
            if (steps_[i].is_packable()) {
                const std::shared_ptr<Node> norm = steps_[i].layer->norm;
                at::Tensor weight = packed(*steps_[i].layer);
                members.push_back(
                    std::make_shared<PackedConvolution>(std::move(*steps_[i].layer), std::move(weight), region));
                if (norm) {
                    members.push_back(std::make_shared<Absorbed>(norm));
                }
            } else {
                members.push_back(std::move(steps_[i].node));
            }
        }
        std::vector<Operand> entries;
        std::unordered_set<size_t> written, leaving;
        for (const auto& member : members) {
            note_member(*member, entries, written, leaving);
        }
        made_.push_back(std::make_shared<RegionStart>(std::move(entries), region));
        made_.insert(made_.end(), members.begin(), members.end());
        made_.push_back(std::make_shared<RegionEnd>(std::vector<size_t>(leaving.begin(), leaving.end()), region));
    }

    /// Notes what a member of a region reads that was there before, what it writes, and what of that stays.
    static void note_member(const Node& member, std::vector<Operand>& entries, std::unordered_set<size_t>& written,
                            std::unordered_set<size_t>& leaving) {
        for (const Operand& operand : member.operands()) {
            visit(operand, [&](const Operand& read) {
                if (read.kind == Operand::Kind::state || written.count(read.index) == 0) {
                    entries.push_back(read);
                } else if (read.last) {
                    leaving.erase(read.index);
                }
            });
        }
        for (const Target& target : member.targets()) {
            visit(target, [&](size_t slot) {
                written.insert(slot);
                leaving.insert(slot);
            });
        }
    }

    const std::vector<IValue>& state_;
    size_t& slots_;
    std::unordered_set<size_t> read_;
    std::vector<Step> steps_;
    Nodes made_;
};

}  // namespace

void replace_convolutions(Nodes& nodes, const std::vector<Operand>& outputs, const std::vector<IValue>& state,
                          size_t& slots) {
    const at::NoGradGuard no_grad;
    nodes = Rewriting(nodes, outputs, state, slots).nodes();
}

}  // namespace ltf
