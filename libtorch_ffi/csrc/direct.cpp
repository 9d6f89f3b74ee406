// Owns the readers of arguments into C++ values, and the table of common signatures.
#include "direct.h"

#include <array>
#include <functional>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "convert.h"
#include "kernel_scope.h"
#include "plan.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

/// Reads one argument of C++ type T: `read` from Python, `fall_back` from the schema's default, `get` for the kernel.
/// Whatever has no reader of its own goes through the parameter's converter and an IValue.
template <class T>
class Reader {
  public:
    bool read(const Parameter& parameter, PyObject* object, Match match, CallFacts& facts) {
        return (object == Py_None && parameter.optional) || parameter.convert(parameter, object, match, facts, value_);
    }
    void fall_back(const c10::IValue& value) { value_ = value; }
    std::decay_t<T> get() const { return value_.to<std::decay_t<T>>(); }

  private:
    c10::IValue value_;
};

template <>
class Reader<const at::Tensor&> {
  public:
    bool read(const Parameter& parameter, PyObject* object, Match match, CallFacts& facts) {
        if (is_tensor(object)) {
            tensor_ = &tensor_of(object);
            facts.note(*tensor_);
            return true;
        }
        at::Scalar scalar;
        if (match == Match::lenient && parameter.takes_numbers && read_scalar(object, scalar)) {
            number_ = number_tensor(scalar);
            tensor_ = &number_;
            return true;
        }
        return false;
    }
    void fall_back(const c10::IValue&) {}
    const at::Tensor& get() const { return *tensor_; }

  private:
    const at::Tensor* tensor_ = nullptr;  // in the Python object, which the caller keeps alive
    at::Tensor number_;
};

template <>
class Reader<at::Tensor&> {
  public:
    bool read(const Parameter&, PyObject* object, Match, CallFacts& facts) {
        if (!is_tensor(object)) {
            return false;
        }
        tensor_ = &reinterpret_cast<TensorObject*>(object)->tensor;
        facts.note(*tensor_);
        return true;
    }
    void fall_back(const c10::IValue&) {}
    at::Tensor& get() const { return *tensor_; }

  private:
    at::Tensor* tensor_ = nullptr;
};

template <>
class Reader<const std::optional<at::Tensor>&> {
  public:
    bool read(const Parameter&, PyObject* object, Match, CallFacts& facts) {
        if (object == Py_None) {
            return true;
        }
        if (!is_tensor(object)) {
            return false;
        }
        tensor_ = tensor_of(object);
        facts.note(*tensor_);
        return true;
    }
    void fall_back(const c10::IValue&) {}
    const std::optional<at::Tensor>& get() const { return tensor_; }

  private:
    std::optional<at::Tensor> tensor_;
};

template <>
class Reader<const at::Scalar&> {
  public:
    bool read(const Parameter&, PyObject* object, Match match, CallFacts&) {
        if (read_scalar(object, scalar_)) {
            return true;
        }
        if (match != Match::lenient || !stands_for_number(object)) {
            return false;
        }
        scalar_ = tensor_of(object).item();
        return true;
    }
    void fall_back(const c10::IValue& value) { scalar_ = value.toScalar(); }
    const at::Scalar& get() const { return scalar_; }

  private:
    at::Scalar scalar_;
};

/// A list of ints, without a list object in between.
class IntListReader {
  public:
    bool read(const Parameter& parameter, PyObject* object, Match, CallFacts& facts) {
        int64_t single = 0;
        if (object == Py_None && parameter.optional) {
            return true;
        }
        given_ = true;
        if (parameter.fixed_length > 0 && read_int(object, single)) {
            values_.assign(static_cast<size_t>(parameter.fixed_length), single);
            return true;
        }
        const bool fits = read_int_list(object, values_);
        facts.note_sizes(values_);
        return fits;
    }
    void fall_back(const c10::IValue& value) {
        if (!value.isNone()) {
            given_ = true;
            const std::vector<int64_t> list = value.toIntVector();
            values_.assign(list.begin(), list.end());
        }
    }

  protected:
    c10::SmallVector<int64_t, 6> values_;
    bool given_ = false;
};

template <>
class Reader<at::IntArrayRef> : public IntListReader {
  public:
    at::IntArrayRef get() const { return values_; }
};

template <>
class Reader<c10::SymIntArrayRef> : public IntListReader {
  public:
    c10::SymIntArrayRef get() const { return c10::fromIntArrayRefSlow(values_); }
};

template <>
class Reader<at::OptionalIntArrayRef> : public IntListReader {
  public:
    at::OptionalIntArrayRef get() const {
        return given_ ? at::OptionalIntArrayRef(at::IntArrayRef(values_)) : at::OptionalIntArrayRef();
    }
};

class TensorListReader {
  public:
    bool read(const Parameter&, PyObject* object, Match, CallFacts& facts) {
        if (PyTuple_Check(object) == 0 && PyList_Check(object) == 0) {
            return false;
        }
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(object); ++i) {
            PyObject* item = PySequence_Fast_GET_ITEM(object, i);
            if (!is_tensor(item)) {
                return false;
            }
            facts.note(tensor_of(item));
            tensors_.push_back(tensor_of(item));
        }
        return true;
    }
    void fall_back(const c10::IValue&) {}

  protected:
    c10::SmallVector<at::Tensor, 4> tensors_;
};

template <>
class Reader<at::TensorList> : public TensorListReader {
  public:
    at::TensorList get() const { return tensors_; }
};

template <>
class Reader<const at::ITensorListRef&> : public TensorListReader {
  public:
    at::ITensorListRef get() const { return at::ITensorListRef(at::TensorList(tensors_)); }
};

// Results

PyObject* wrap_direct(Plan&, at::Tensor&& tensor, PyObject*, Lists) { return wrap(std::move(tensor)); }

PyObject* wrap_direct(Plan&, bool value, PyObject*, Lists) { return boolean(value); }

PyObject* wrap_direct(Plan&, std::vector<at::Tensor>&& tensors, PyObject*, Lists lists) {
    const auto length = static_cast<Py_ssize_t>(tensors.size());
    const bool as_tuple = lists == Lists::tuple;
    Ref result = Ref::steal(as_tuple ? PyTuple_New(length) : PyList_New(length));
    for (Py_ssize_t i = 0; i < length; ++i) {
        PyObject* item = wrap(std::move(tensors[static_cast<size_t>(i)]));
        as_tuple ? PyTuple_SET_ITEM(result.get(), i, item) : PyList_SET_ITEM(result.get(), i, item);
    }
    return result.release();
}

PyObject* wrap_direct(Plan& plan, std::tuple<at::Tensor, at::Tensor>&& tensors, PyObject*, Lists) {
    Ref first = Ref::steal(wrap(std::get<0>(std::move(tensors))));
    Ref second = Ref::steal(wrap(std::get<1>(std::move(tensors))));
    return plan.pack_results({first.get(), second.get()});
}

// Calls

template <class Signature>
class Typed;

template <class Result, class... Parameters>
class Typed<Result(Parameters...)> : public Direct {
  public:
    explicit Typed(const c10::OperatorHandle& handle) : handle_(handle.typed<Result(Parameters...)>()) {}

    PyObject* call(Plan& plan, const Arguments& arguments, Match match, Lists lists) const override {
        return call(plan, arguments, match, lists, std::index_sequence_for<Parameters...>());
    }

  private:
    template <size_t... I>
    PyObject* call(Plan& plan, const Arguments& arguments, Match match, Lists lists, std::index_sequence<I...>) const {
        std::tuple<Reader<Parameters>...> readers;
        CallFacts facts;
        Py_ssize_t used = 0;
        if (!(read(plan, arguments, match, facts, used, I, std::get<I>(readers)) && ...) ||
            used != arguments.keywords()) {
            return nullptr;
        }
        PyObject* first = arguments.positional > 0 ? arguments.values[0] : plan.find(arguments, 0, used);
        if constexpr (std::is_lvalue_reference_v<Result>) {  // in place: the answer is the object that was given
            run(plan, facts, [&]() -> Result { return handle_.call(std::get<I>(readers).get()...); });
            return Py_NewRef(first);
        } else {
            return wrap_direct(
                plan, run(plan, facts, [&]() -> Result { return handle_.call(std::get<I>(readers).get()...); }), first,
                lists);
        }
    }

    template <class Function>
    static Result run(const Plan& plan, const CallFacts& facts, Function&& function) {
        const KernelScope scope(facts, plan.work(), plan.results());
        return function();
    }

    template <class Argument>
    static bool read(const Plan& plan, const Arguments& arguments, Match match, CallFacts& facts, Py_ssize_t& used,
                     size_t index, Argument& reader) {
        const Parameter& parameter = plan.parameters()[index];
        PyObject* object = plan.find(arguments, index, used);
        if (object != nullptr) {
            return reader.read(parameter, object, match, facts);
        }
        if (parameter.has_default) {
            reader.fall_back(parameter.fallback);
        }
        return parameter.has_default;
    }

    c10::TypedOperatorHandle<Result(Parameters...)> handle_;
};

/// The types of a schema, as text: two schemas with the same text have the same C++ signature.
std::string signature_of(const c10::FunctionSchema& schema) {
    std::ostringstream text;
    const auto write = [&](const c10::Argument& argument) {
        const bool written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
        text << argument.real_type()->str() << (written ? "!" : "") << (argument.kwarg_only() && written ? "out" : "");
        if (argument.N().has_value()) {
            text << (argument.real_type()->str() == "bool[]" ? std::to_string(*argument.N()) : "");
        }
        text << ",";
    };
    for (const c10::Argument& argument : schema.arguments()) {
        write(argument);
    }
    text << "->";
    for (const c10::Argument& result : schema.returns()) {
        write(result);
    }
    return text.str();
}

using Factory = std::unique_ptr<Direct> (*)(const c10::OperatorHandle&);
using Table = std::unordered_map<std::string, Factory>;

/// Adds the signature of a representative. A release without that operator goes without the signature.
template <class Operator>
void add(Table& table) {
    const auto handle = c10::Dispatcher::singleton().findSchema({Operator::name, Operator::overload_name});
    if (handle.has_value()) {
        table[signature_of(handle->schema())] = [](const c10::OperatorHandle& one) -> std::unique_ptr<Direct> {
            return std::make_unique<Typed<typename Operator::schema>>(one);
        };
    }
}

template <class... Operators>
Table make_table() {
    Table table;
    (add<Operators>(table), ...);
    return table;
}

Table common_signatures() {
    namespace ops = at::_ops;
    return make_table<ops::relu, ops::relu_, ops::mul_Tensor, ops::mul__Tensor, ops::add_Tensor, ops::add__Tensor,
                      ops::mul_Scalar, ops::mul__Scalar, ops::add_Scalar, ops::where_self, ops::view,
                      ops::transpose_int, ops::unsqueeze, ops::permute, ops::select_int, ops::softmax_int, ops::sum,
                      ops::sum_dim_IntList, ops::mean_dim, ops::cat, ops::stack, ops::clone, ops::copy_, ops::linear,
                      ops::argmax, ops::zeros, ops::full, ops::empty_memory_format, ops::zeros_like, ops::addmm,
                      ops::split_Tensor, ops::topk, ops::max_dim, ops::gelu, ops::cross_entropy_loss, ops::layer_norm,
                      ops::expand, ops::clamp, ops::index_select, ops::gather, ops::dropout, ops::any_dim, ops::randn,
                      ops::arange, ops::slice_Tensor, ops::lerp_Tensor, ops::addcmul, ops::masked_fill_Scalar,
                      ops::flatten_using_ints, ops::is_nonzero, ops::unbind_int, ops::pow_Scalar, ops::mse_loss,
                      ops::cumsum, ops::to_dtype>();
}

}  // namespace

std::unique_ptr<Direct> direct_call_of(const c10::OperatorHandle& handle) {
    static const auto* table = new Table(common_signatures());
    const auto found = table->find(signature_of(handle.schema()));
    if (found == table->end()) {
        return nullptr;
    }
    try {
        return found->second(handle);
    } catch (const c10::Error&) {
        return nullptr;  // a kernel was registered with another signature, a dimension's name for a text, say
    }
}

}  // namespace ltf
