// Owns the checks by operator. The conditions were read in ATen's CPU kernels, which take a tensor's memory as so many
// elements without asking how many there are. Each is what holds of every call that means something (of a backward:
// what its forward hands it), so that none is refused that torch answers rightly. Kernels of other devices report such
// errors themselves. tests/call/test_missing_checks.py has a call for each that ends a process of torch.
#include "missing_checks.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pch.h"

namespace ltf {
namespace {

/// The value given for a parameter, or null where the overload has none of this name.
const c10::IValue* find(const Given& given, const char* name) {
    const auto index = given.schema.argumentIndexWithName(name);
    return index.has_value() ? &given.stack[static_cast<size_t>(*index)] : nullptr;
}

const c10::IValue& value(const Given& given, const char* name) {
    const c10::IValue* found = find(given, name);
    TORCH_INTERNAL_ASSERT(found != nullptr, given.schema.name(), " has no argument ", name);
    return *found;
}

/// A tensor; undefined where None is given or the overload has no such parameter.
at::Tensor tensor(const Given& given, const char* name) {
    const c10::IValue* found = find(given, name);
    return found == nullptr || !found->isTensor() ? at::Tensor() : found->toTensor();
}

int64_t integer(const Given& given, const char* name) { return value(given, name).toInt(); }

std::vector<int64_t> integers(const Given& given, const char* name) { return value(given, name).toIntVector(); }

/// From here on a difference of two int64 overflows.
constexpr double kDistances = 9223372036854775808.0;

template <class... Parts>
void require(bool holds, const Given& given, const Parts&... parts) {
    TORCH_CHECK(holds, given.schema.name(), " takes ", parts...,
                ". Otherwise libtorch, which does not check this itself, may end the process.");
}

/// Whether a tensor is memory of the CPU in strides: nothing else is looked at here.
bool is_plain(const at::Tensor& tensor) {
    return tensor.defined() && tensor.is_cpu() && tensor.layout() == at::kStrided && !tensor.is_mkldnn();
}

std::string shape_of(const at::Tensor& tensor) { return tensor.defined() ? c10::str(tensor.sizes()) : "None"; }

/// How many elements lie from a tensor's first one to the end of its storage.
int64_t room(const at::Tensor& tensor) {
    if (!tensor.has_storage()) {
        return std::numeric_limits<int64_t>::max();
    }
    const int64_t elements = static_cast<int64_t>(tensor.storage().nbytes() / tensor.element_size());
    return elements - tensor.storage_offset();
}

/// An argument that a kernel walks over as if it were contiguous, for so many elements.
void require_room(const Given& given, const char* name, int64_t elements) {
    const at::Tensor found = tensor(given, name);
    require(is_plain(found) && found.numel() >= elements && room(found) >= elements, given, name, " on the CPU with ",
            elements, " elements of its own, one after the other in memory, not of shape ", shape_of(found),
            " and with room for ", is_plain(found) ? room(found) : 0);
}

void require_shape(const Given& given, const char* name, at::IntArrayRef shape) {
    const at::Tensor found = tensor(given, name);
    require(is_plain(found) && found.sizes() == shape, given, name, " on the CPU of shape ", shape, ", not ",
            shape_of(found));
}

// Writing into what is given

/// The tensor gets the source's memory, shape and strides, and reads elements of its own dtype there.
void memory_of_another(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    const at::Tensor source = tensor(given, "source");
    if (!is_plain(self) || !is_plain(source) || source.numel() == 0 || self.itemsize() <= source.itemsize()) {
        return;
    }
    int64_t last = source.storage_offset();
    for (int64_t i = 0; i < source.dim(); ++i) {
        last += (source.size(i) - 1) * source.stride(i);
    }
    require((static_cast<size_t>(last) + 1) * self.itemsize() <= source.storage().nbytes(), given,
            "a source with room for elements of the tensor's own dtype, ", self.scalar_type(),
            ", such as one of that "
            "dtype, not of ",
            source.scalar_type());
}

/// A matrix after the other is found by the stride of the last dimension of the batch alone. What is resized becomes
/// contiguous, and in place libtorch makes a copy.
void triangle(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    const at::Tensor out = tensor(given, "out");
    if (!is_plain(self) || !is_plain(out) || out.is_same(self) || out.sizes() != self.sizes() || out.dim() < 3) {
        return;
    }
    const auto batch = out.sizes().slice(0, static_cast<size_t>(out.dim()) - 2);
    int64_t next = out.stride(-3) * out.size(-3);
    bool even = out.stride(-3) > 0;
    for (int64_t i = out.dim() - 4; i >= 0; --i) {
        even = even && (out.size(i) == 1 || out.stride(i) == next);
        next *= out.size(i);
    }
    require(even || c10::multiply_integers(batch) <= 1, given,
            "an `out` whose matrices lie at even distances, such as a contiguous one, not one of shape ", out.sizes(),
            " and strides ", out.strides());
}

void rrelu_with_noise(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    if (is_plain(self) && value(given, "training").toBool()) {
        require_room(given, "noise", self.numel());
        if (find(given, "out") != nullptr) {
            require_room(given, "out", self.numel());
        }
    }
}

void cumulative(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    if (is_plain(self)) {
        const int64_t dim = integer(given, "dim");
        require(self.numel() > 0 && dim >= 0 && dim < self.dim(), given,
                "a tensor with elements and one of its dimensions, counted from 0, not shape ", self.sizes(), " and ",
                dim);
        require_shape(given, "values", self.sizes());
        require_shape(given, "indices", self.sizes());
    }
}

/// One parameter after the other is updated, with what stands at its place in the other lists.
void fused_optimizer(const Given& given) {
    const auto parameters = value(given, "self").toTensorVector();
    for (size_t i = 1; i < given.schema.arguments().size() && given.stack[i].isTensorList(); ++i) {
        const std::string& name = given.schema.arguments()[i].name();
        const auto tensors = given.stack[i].toTensorVector();
        require(tensors.empty() || tensors.size() == parameters.size(), given, "as many tensors in ", name,
                " as in self, ", parameters.size(), ", not ", tensors.size());
        for (size_t j = 0; j < tensors.size() && is_plain(parameters[j]); ++j) {
            const bool step = name == "state_steps";
            const int64_t elements = step ? 1 : parameters[j].numel();
            require(is_plain(tensors[j]) && (step || tensors[j].sizes() == parameters[j].sizes()) &&
                        room(tensors[j]) >= elements && room(parameters[j]) >= parameters[j].numel(),
                    given, "tensors of one shape that overlap nowhere, not ", shape_of(parameters[j]), " in self and ",
                    shape_of(tensors[j]), " in ", name);
        }
    }
}

// Normalization

/// The statistics that a kernel reads, one element for each channel.
void statistics(const Given& given, std::initializer_list<const char*> needed) {
    const at::Tensor input = tensor(given, "input");
    require(input.dim() >= 2 && input.numel() > 0, given, "an input with channels and with elements, not of shape ",
            input.sizes());
    for (const char* name : needed) {
        require(tensor(given, name).defined(), given, "a tensor as ", name, ", not None");
    }
    for (const char* name : {"weight", "bias", "running_mean", "running_var", "save_mean", "save_invstd", "save_var",
                             "save_var_transform"}) {
        const bool is_read = name == std::string_view("weight") || name == std::string_view("bias") ||
                             std::find(needed.begin(), needed.end(), std::string_view(name)) != needed.end();
        if (is_read && tensor(given, name).defined()) {
            require_room(given, name, input.size(1));
        }
    }
}

void batch_norm_backward(const Given& given) {
    if (!is_plain(tensor(given, "input"))) {
        return;
    }
    const char* gradient = find(given, "grad_out") != nullptr ? "grad_out" : "grad_output";
    const char* deviation = find(given, "save_invstd") != nullptr ? "save_invstd"
                            : find(given, "save_var") != nullptr  ? "save_var"
                                                                  : "save_var_transform";
    require_shape(given, gradient, tensor(given, "input").sizes());
    if (value(given, find(given, "train") != nullptr ? "train" : "update").toBool()) {
        statistics(given, {"save_mean", deviation});
    } else {
        statistics(given, {"running_mean", "running_var"});
    }
}

void batch_norm_without_statistics(const Given& given) {
    if (is_plain(tensor(given, "input")) && given.schema.overload_name().rfind("no_stats", 0) == 0) {
        require(value(given, "training").toBool(), given, "training=True: there are no statistics to use instead");
        statistics(given, {});
    }
}

void weight_norm(const Given& given) {
    const at::Tensor weight = tensor(given, "v");
    const int64_t dim = integer(given, "dim");
    if (!is_plain(weight) || weight.dim() == 0 || (dim != 0 && dim != weight.dim() - 1)) {
        return;
    }
    require(weight.numel() > 0, given, "a weight with elements, not of shape ", weight.sizes());
    require_room(given, "g", weight.size(dim));
}

// Windows and indices

void unfold_backward(const Given& given) {
    const int64_t size = integer(given, "size");
    const int64_t step = integer(given, "step");
    int64_t dim = integer(given, "dim");
    std::vector<int64_t> shape = integers(given, "input_sizes");
    TORCH_CHECK_VALUE(step > 0, "step is ", step, " but must be > 0");  // as later releases say
    const auto rank = static_cast<int64_t>(shape.size());
    if (!is_plain(tensor(given, "grad_in")) || rank == 0 || dim < -rank || dim >= rank) {
        return;
    }
    int64_t& length = shape[static_cast<size_t>(dim < 0 ? dim + rank : dim)];
    require(size >= 0 && size <= length, given, "windows within the dimension's length, ", length, ", not of ", size);
    length = (length - size) / step + 1;
    shape.push_back(size);
    require_shape(given, "grad_in", shape);
}

template <int64_t Spatial>
void fractional_pool_backward(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    if (!is_plain(self)) {
        return;
    }
    require(self.dim() == Spatial + 1 || self.dim() == Spatial + 2, given, "an input of ", Spatial + 1, " or ",
            Spatial + 2, " dimensions, not of shape ", self.sizes());
    const std::vector<int64_t> output = integers(given, "output_size");
    std::vector<int64_t> shape = self.sizes().slice(0, static_cast<size_t>(self.dim() - Spatial)).vec();
    shape.insert(shape.end(), output.begin(), output.end());
    require_shape(given, "grad_output", shape);
    require_shape(given, "indices", shape);
    const at::Tensor indices = tensor(given, "indices");
    require_room(given, "indices", indices.numel());
    const int64_t elements = c10::multiply_integers(self.sizes().slice(static_cast<size_t>(self.dim() - Spatial)));
    require(indices.numel() == 0 || (indices.min().item<int64_t>() >= 0 && indices.max().item<int64_t>() < elements),
            given, "indices from 0 to the ", elements, " elements of a plane");
    const at::Tensor out = tensor(given, "grad_input");
    if (out.defined() && out.sizes() == self.sizes()) {
        require_room(given, "grad_input", self.numel());
    }
}

void csr_to_coo(const Given& given) {
    const at::Tensor rows = tensor(given, "crow_indices");
    const at::Tensor columns = tensor(given, "col_indices");
    if (!is_plain(rows) || !is_plain(columns)) {
        return;
    }
    const bool fits = rows.dim() > 0 && columns.dim() == rows.dim() && rows.size(-1) > 0 &&
                      rows.sizes().slice(0, static_cast<size_t>(rows.dim()) - 1) ==
                          columns.sizes().slice(0, static_cast<size_t>(rows.dim()) - 1);
    require(fits, given, "indices of the same batch, not of shapes ", rows.sizes(), " and ", columns.sizes());
    const at::Tensor wide = rows.to(at::kLong);  // a difference of unsigned numbers is never below 0
    const bool rise =
        rows.numel() == 0 || (wide.min().item<int64_t>() >= 0 && wide.max().item<int64_t>() <= columns.size(-1) &&
                              (rows.size(-1) == 1 || wide.diff().ge(0).all().item<bool>()));
    require(rise, given, "row indices that rise from 0 to the number of columns given, ", columns.size(-1));
}

void range_out(const Given& given) {
    const at::Tensor out = tensor(given, "out");
    const c10::IValue* step = find(given, "step");
    if (out.defined() && step != nullptr && at::isIntegralType(out.scalar_type(), /*includeBool=*/true)) {
        const auto number = [&](const char* name) { return value(given, name).toScalar().toDouble(); };
        require(std::abs(number("step")) >= 1.0, given, "for whole numbers a step that is not 0 as one, not ",
                number("step"));
        require(std::abs(number("end") - number("start")) < kDistances, given, "ends less than 2**63 apart");
    }
}

/// The largest element of each bag is written where the bag of each index says.
void embedding_bag(const Given& given) {
    constexpr int64_t kMax = 2;
    const at::Tensor indices = tensor(given, "indices");
    const at::Tensor offsets = tensor(given, "offsets");
    if (!is_plain(indices) || !is_plain(offsets) || integer(given, "mode") != kMax) {
        return;
    }
    require(indices.dim() == 1 && offsets.dim() == 1, given, "indices and offsets of one dimension for mode 2, not ",
            indices.sizes(), " and ", offsets.sizes());
    require(!value(given, "include_last_offset").toBool() || offsets.numel() == 0 ||
                offsets[-1].item<int64_t>() == indices.numel(),
            given, "the number of indices, ", indices.numel(), ", as its last offset");
}

void log_sigmoid(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    const at::Tensor buffer = tensor(given, "buffer");
    if (is_plain(self) && is_plain(buffer) && buffer.sizes() == self.sizes()) {  // else it is resized
        require_room(given, "buffer", self.numel());
    }
}

void padding_backward(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    const at::Tensor out = tensor(given, "grad_input");
    if (is_plain(self) && is_plain(out) && out.sizes() == self.sizes()) {
        require_room(given, "grad_input", self.numel());
    }
}

// Recurrent networks

void pad_packed_sequence(const Given& given) {
    const at::Tensor data = tensor(given, "data");
    const at::Tensor given_sizes = tensor(given, "batch_sizes");
    if (!is_plain(data) || !is_plain(given_sizes) || given_sizes.dim() != 1 || given_sizes.scalar_type() != at::kLong) {
        return;
    }
    const at::Tensor sizes = given_sizes.contiguous();
    const int64_t* first = sizes.data_ptr<int64_t>();
    const int64_t* last = first + sizes.numel();
    const bool fall = first != last && std::is_sorted(first, last, std::greater<>()) && last[-1] > 0;
    require(fall, given, "batch sizes above 0 that never rise, one at least");
}

/// The gates of all kinds lie side by side in one dimension.
template <int64_t Kinds>
void cell_backward(const Given& given) {
    const at::Tensor gates = tensor(given, "input_gates");
    if (gates.defined()) {
        require(gates.dim() >= 2 && gates.size(1) % Kinds == 0, given, "gates of ", Kinds,
                " kinds in the second dimension, not of shape ", gates.sizes());
        const at::Tensor hidden = tensor(given, "hidden_gates");
        require(hidden.defined() && hidden.sizes() == gates.sizes(), given, "hidden_gates of the same shape, ",
                gates.sizes(), ", not ", shape_of(hidden));
    }
}

/// A weight for each of an LSTM's four gates, contiguous as oneDNN takes it to be.
void require_gates(const Given& given, const char* name, std::initializer_list<int64_t> shape, at::ScalarType dtype) {
    const at::Tensor found = tensor(given, name);
    require_shape(given, name, at::IntArrayRef(shape.begin(), shape.size()));
    require(found.is_contiguous() && found.scalar_type() == dtype, given, name, " contiguous and of dtype ", dtype);
}

/// libtorch hands oneDNN nothing but LSTMs.
void onednn_lstm(const Given& given) {
    const at::Tensor input = tensor(given, "input");
    const int64_t hidden = integer(given, "hidden_size");
    require(is_plain(input) && input.dim() == 3 && input.numel() > 0 && input.is_contiguous() &&
                at::isFloatingType(input.scalar_type()) && integer(given, "mode") == 2 && hidden > 0,
            given, "an LSTM's contiguous input of 3 dimensions with elements, mode 2 and a hidden size above 0");
    const at::ScalarType dtype = input.scalar_type();
    require_gates(given, "weight0", {4 * hidden, input.size(2)}, dtype);
    require_gates(given, "weight1", {4 * hidden, hidden}, dtype);
    if (value(given, "has_biases").toBool()) {
        require_gates(given, "weight2", {4 * hidden}, dtype);
        require_gates(given, "weight3", {4 * hidden}, dtype);
    }
    for (const char* name : {"hx_", "cx_"}) {
        const at::Tensor state = tensor(given, name);
        require(is_plain(state) && state.is_contiguous() && state.scalar_type() == dtype &&
                    state.numel() == input.size(1) * hidden,
                given, name, " contiguous, of dtype ", dtype, ", with ", input.size(1) * hidden, " elements");
    }
}

/// One of a list of tensors, of the shape that a layer goes over it as.
void require_part(const Given& given, const char* name, const at::Tensor& part, at::IntArrayRef shape) {
    require(is_plain(part) && part.sizes() == shape, given, name, " with tensors on the CPU of shape ", shape,
            " where there is one of shape ", shape_of(part));
}

/// How many sequences a batch has: of one size, or packed, where the first step has all of them.
int64_t sequences(const Given& given, const at::Tensor& input) {
    if (input.dim() == 3) {
        return input.size(value(given, "batch_first").toBool() ? 0 : 1);
    }
    const at::Tensor sizes = tensor(given, "batch_sizes");
    require(is_plain(sizes) && sizes.scalar_type() == at::kLong && sizes.dim() == 1 && sizes.numel() > 0, given,
            "batch_sizes of int64 in one dimension, with elements");
    return sizes[0].item<int64_t>();
}

/// An LSTM over a batch, which libtorch hands to oneDNN without a look at the states and weights. Those of float64, and
/// those with projections, go another way.
void lstm(const Given& given) {
    const bool packed = find(given, "data") != nullptr;
    const at::Tensor input = tensor(given, packed ? "data" : "input");
    if (!is_plain(input) || input.dim() != (packed ? 2 : 3) || input.numel() == 0 ||
        input.scalar_type() == at::kDouble || !at::isFloatingType(input.scalar_type())) {
        return;
    }
    const std::vector<at::Tensor> states = value(given, "hx").toTensorVector();
    const std::vector<at::Tensor> params = value(given, "params").toTensorVector();
    require(states.size() == 2 && is_plain(states[0]) && is_plain(states[1]) && states[0].dim() == 3 &&
                states[1].dim() == 3,
            given, "hx of two tensors of 3 dimensions on the CPU");
    if (states[0].size(2) != states[1].size(2)) {
        return;  // with projections
    }
    const int64_t hidden = states[0].size(2);
    const int64_t directions = value(given, "bidirectional").toBool() ? 2 : 1;
    const int64_t rows = integer(given, "num_layers") * directions;
    const size_t each = value(given, "has_biases").toBool() ? 4 : 2;
    require(rows > 0 && params.size() == static_cast<size_t>(rows) * each, given, "params of ", rows, " times ", each,
            " tensors, not ", params.size());
    const int64_t batch = sequences(given, input);
    for (const at::Tensor& state : states) {
        require_part(given, "hx", state, {rows, batch, hidden});
    }
    for (size_t i = 0; i < params.size(); i += each) {
        const int64_t elements = i < static_cast<size_t>(directions) * each ? input.size(-1) : hidden * directions;
        require_part(given, "params", params[i], {4 * hidden, elements});
        require_part(given, "params", params[i + 1], {4 * hidden, hidden});
        for (size_t bias = i + 2; bias < i + each; ++bias) {
            require_part(given, "params", params[bias], {4 * hidden});
        }
    }
}

/// The weights of such a layer in oneDNN's own order.
void onednn_reorder(const Given& given) {
    const at::Tensor weight = tensor(given, "weight0");
    const int64_t hidden = integer(given, "hidden_size");
    require(is_plain(weight) && weight.dim() == 2 && weight.numel() > 0 && hidden > 0, given,
            "a weight of 2 dimensions with elements, and a hidden size above 0");
    require_gates(given, "weight0", {4 * hidden, weight.size(1)}, weight.scalar_type());
    require_gates(given, "weight1", {4 * hidden, hidden}, weight.scalar_type());
    if (!value(given, "input_size").isNone()) {
        const std::vector<int64_t> sizes = integers(given, "input_size");
        require(sizes.size() == 3 && sizes[2] == weight.size(1) && sizes[0] > 0 && sizes[1] > 0, given,
                "an input size of three numbers, whose last is ", weight.size(1));
    }
}

// The rest

void cholesky_solve(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    const at::Tensor factor = tensor(given, "A");
    if (!is_plain(self) || !is_plain(factor)) {
        return;
    }
    const bool fits = self.dim() >= 2 && factor.dim() == self.dim() && factor.size(-1) == factor.size(-2) &&
                      self.size(-2) == factor.size(-2) &&
                      self.sizes().slice(0, static_cast<size_t>(self.dim()) - 2) ==
                          factor.sizes().slice(0, static_cast<size_t>(self.dim()) - 2);
    require(fits, given, "a square factor and as many rows in the same batch, not ", factor.sizes(), " and ",
            self.sizes());
}

void nnpack_convolution(const Given& given) {
    const at::Tensor input = tensor(given, "input");
    const at::Tensor weight = tensor(given, "weight");
    const std::vector<int64_t> stride = integers(given, "stride");
    require(input.dim() == 4 && weight.dim() == 4, given, "an input and a weight of 4 dimensions, not of shapes ",
            input.sizes(), " and ", weight.sizes());
    require(integers(given, "padding").size() == 2 && stride.size() == 2 &&
                std::all_of(stride.begin(), stride.end(), [](int64_t one) { return one > 0; }),
            given, "a padding of two numbers and a stride of two above 0");
    if (tensor(given, "bias").defined()) {
        require_room(given, "bias", weight.size(0));
    }
}

/// oneDNN counts in 32 bits how far a kernel steps and reaches.
void convolution(const Given& given) {
    constexpr int64_t most = std::numeric_limits<int32_t>::max();
    const at::Tensor weight = tensor(given, "weight");
    const std::vector<int64_t> stride = integers(given, "stride");
    const std::vector<int64_t> dilation = integers(given, "dilation");
    require(std::all_of(stride.begin(), stride.end(), [](int64_t one) { return one <= most; }), given,
            "a stride of up to ", most, ", not ", stride);
    for (int64_t dim = 2; weight.defined() && dim < weight.dim() && !dilation.empty(); ++dim) {
        const int64_t spread = dilation[std::min(static_cast<size_t>(dim) - 2, dilation.size() - 1)];
        require(weight.size(dim) < 2 || spread < most / (weight.size(dim) - 1), given, "a kernel that reaches up to ",
                most, " elements far, not one of shape ", weight.sizes(), " with a dilation of ", dilation);
    }
}

void zeros_like_feature(const Given& given) {
    const int64_t dims = integer(given, "self_num_batch_dims");
    const at::Tensor self = tensor(given, "self");
    require(dims >= 0 && dims <= self.dim(), given, "as many dimensions of a batch as the tensor has or fewer, not ",
            dims, " of shape ", self.sizes());
}

/// Forward nothing goes wrong: it is the backward, which the engine calls, that divides by the number of rows.
void pdist(const Given& given) {
    const at::Tensor self = tensor(given, "self");
    require(!at::GradMode::is_enabled() || !self.requires_grad() || self.numel() > 0, given,
            "rows where a gradient is wanted, not shape ", self.sizes());
}

void quantized_cell(const Given& given) {
    require(value(given, "hx").toTensorVector().size() == 2, given, "two states");
}

void some_tensors(const Given& given) { require(!given.stack[0].toTensorVector().empty(), given, "a tensor or more"); }

const std::unordered_map<std::string_view, Check>& checks() {
    static const std::unordered_map<std::string_view, Check> table = {
        {"aten::_batch_norm_impl_index_backward", batch_norm_backward},
        {"aten::_cholesky_solve_helper", cholesky_solve},
        {"aten::_convert_indices_from_csr_to_coo", csr_to_coo},
        {"aten::_cummax_helper", cumulative},
        {"aten::_cummin_helper", cumulative},
        {"aten::_fused_adagrad", fused_optimizer},
        {"aten::_fused_adagrad_", fused_optimizer},
        {"aten::_fused_adam", fused_optimizer},
        {"aten::_fused_adam_", fused_optimizer},
        {"aten::_fused_adamw", fused_optimizer},
        {"aten::_fused_adamw_", fused_optimizer},
        {"aten::_fused_sgd", fused_optimizer},
        {"aten::_fused_sgd_", fused_optimizer},
        {"aten::_native_batch_norm_legit", batch_norm_without_statistics},
        {"aten::_new_zeros_with_same_feature_meta", zeros_like_feature},
        {"aten::_nnpack_spatial_convolution", nnpack_convolution},
        {"aten::_pad_packed_sequence", pad_packed_sequence},
        {"aten::_thnn_differentiable_gru_cell_backward", cell_backward<3>},
        {"aten::_thnn_differentiable_lstm_cell_backward", cell_backward<4>},
        {"aten::_weight_norm", weight_norm},
        {"aten::_weight_norm_interface", weight_norm},
        {"aten::align_tensors", some_tensors},
        {"aten::_embedding_bag", embedding_bag},
        {"aten::_embedding_bag_forward_only", embedding_bag},
        {"aten::batch_norm_backward", batch_norm_backward},
        {"aten::embedding_bag", embedding_bag},
        {"aten::fractional_max_pool2d_backward", fractional_pool_backward<2>},
        {"aten::fractional_max_pool3d_backward", fractional_pool_backward<3>},
        {"aten::log_sigmoid_forward", log_sigmoid},
        {"aten::lstm", lstm},
        {"aten::mkldnn_rnn_layer", onednn_lstm},
        {"aten::native_batch_norm_backward", batch_norm_backward},
        {"aten::pdist", pdist},
        {"aten::quantized_lstm_cell", quantized_cell},
        {"aten::range", range_out},
        {"aten::reflection_pad1d_backward", padding_backward},
        {"aten::reflection_pad2d_backward", padding_backward},
        {"aten::reflection_pad3d_backward", padding_backward},
        {"aten::replication_pad1d_backward", padding_backward},
        {"aten::replication_pad2d_backward", padding_backward},
        {"aten::replication_pad3d_backward", padding_backward},
        {"aten::rrelu_with_noise", rrelu_with_noise},
        {"aten::rrelu_with_noise_", rrelu_with_noise},
        {"aten::set", memory_of_another},
        {"aten::set_", memory_of_another},
        {"aten::tril", triangle},
        {"aten::triu", triangle},
        {"aten::unfold_backward", unfold_backward},
        {"mkldnn::_reorder_mkldnn_rnn_layer_weight", onednn_reorder},
        {"aten::_convolution", convolution},
        {"aten::_convolution_mode", convolution},
        {"aten::conv1d", convolution},
        {"aten::conv2d", convolution},
        {"aten::conv3d", convolution},
        {"aten::conv_transpose1d", convolution},
        {"aten::conv_transpose2d", convolution},
        {"aten::conv_transpose3d", convolution},
        {"aten::convolution", convolution},
        {"aten::convolution_backward", convolution},
        {"aten::mkldnn_convolution", convolution},
        {"mkldnn::_convolution_pointwise", convolution},
    };
    return table;
}

}  // namespace

Check missing_check_of(const c10::FunctionSchema& schema) {
    const auto found = checks().find(schema.name());
    return found == checks().end() ? nullptr : found->second;
}

}  // namespace ltf
