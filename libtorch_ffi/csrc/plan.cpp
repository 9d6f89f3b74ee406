// Owns the way from a vectorcall's arguments to a kernel and back.
#include "plan.h"

#include <structmember.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <unordered_set>

#include "kernel_scope.h"
#include "tensor.h"

namespace ltf {
namespace {

PyObject* intern(const std::string& text) { return Ref::steal(PyUnicode_InternFromString(text.c_str())).release(); }

/// torch's second name of a parameter.
PyObject* alias_of(std::string_view name) {
    static const std::pair<std::string_view, PyObject*> aliases[] = {
        {"self", intern("input")}, {"dim", intern("axis")}, {"keepdim", intern("keepdims")}, {"other", intern("x2")}};
    for (const auto& [original, alias] : aliases) {
        if (original == name) {
            return alias;
        }
    }
    return nullptr;
}

/// Whether a str of this name is a dimension's name. The schema says str for both.
bool names_dimension(const std::string& name) {
    static const std::unordered_set<std::string> names = {"dim",     "dims",    "names", "start_dim",
                                                          "end_dim", "out_dim", "dim0",  "dim1"};
    return names.count(name) > 0;
}

/// Whether a parameter of this name can make a result larger than the arguments are.
bool enlarges(const std::string& name) {
    static const std::unordered_set<std::string> names = {
        "size",        "repeats",   "pad",          "output_size", "shape",         "n",    "steps",
        "num_classes", "minlength", "scale_factor", "num_samples", "scale_factors", "dims", "upscale_factor",
        "bins",        "bin_ct",    "end",          "length",      "padding",       "r",    "indices"};
    return names.count(name) > 0;
}

/// The operators whose Tensor arguments torch also takes as Python numbers.
bool takes_numbers(std::string name) {
    static const std::unordered_set<std::string> names = {
        "add",  "sub",   "subtract", "mul",      "multiply",     "div",  "divide", "true_divide",
        "copy", "_conj", "to",       "_to_copy", "floor_divide", "fmod", "copy_",  "remainder"};
    if (!name.empty() && name.back() == '_') {
        name.pop_back();
    }
    return names.count(name) > 0;
}

Parameter make_parameter(const c10::Argument& argument, bool numbers) {
    Parameter parameter;
    parameter.name = intern(argument.name());
    parameter.alias = alias_of(argument.name());
    set_type(parameter, argument.real_type(), names_dimension(argument.name()));
    parameter.keyword_only = argument.kwarg_only();
    parameter.has_default = argument.default_value().has_value();
    parameter.fallback = argument.default_value().value_or(c10::IValue());
    parameter.written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
    parameter.takes_numbers = numbers && !parameter.written;
    parameter.fixed_length = argument.N().value_or(0);
    parameter.none_is_default =
        !parameter.optional && parameter.fallback.isIntList() && parameter.fallback.toIntVector().empty();
    return parameter;
}

bool is_factory(const c10::FunctionSchema& schema) {
    int found = 0;
    for (const c10::Argument& argument : schema.arguments()) {
        const std::string& name = argument.name();
        found += name == "dtype" || name == "layout" || name == "device" || name == "pin_memory" ? 1 : 0;
    }
    return found == 4;
}

/// Whether the result may share an argument's memory.
bool may_alias(const c10::FunctionSchema& schema) {
    return !schema.returns().empty() && schema.returns()[0].alias_info() != nullptr &&
           !schema.returns()[0].alias_info()->isWrite();
}

Work work_of(const c10::OperatorHandle& handle) {
    const c10::FunctionSchema& schema = handle.schema();
    if (may_alias(schema)) {
        // A true view has a kernel that ties it to its base. Without one, as reshape and contiguous, it may copy.
        return handle.hasKernelForDispatchKey(c10::DispatchKey::ADInplaceOrView) ? Work::view : Work::bounded;
    }
    if (is_factory(schema)) {
        return Work::factory;
    }
    for (const c10::Argument& argument : schema.arguments()) {
        if (enlarges(argument.name())) {
            return Work::unbounded;
        }
    }
    return Work::bounded;
}

bool holds_tensors(const c10::Type& type) {
    const auto contained = type.containedTypes();
    return type.kind() == c10::TypeKind::TensorType ||
           std::any_of(contained.begin(), contained.end(), [](const auto& each) { return holds_tensors(*each); });
}

/// New results are those of an operator that changes and returns no argument, where torch says so: it has a kernel for
/// Autograd, or makes tensors out of nothing. Of what is composed of other operators each one says it for itself.
Results results_of(const c10::OperatorHandle& handle) {
    const c10::FunctionSchema& schema = handle.schema();
    bool from_tensors = false;
    for (const c10::Argument& argument : schema.arguments()) {
        from_tensors = from_tensors || holds_tensors(*argument.type());
        if (argument.alias_info() != nullptr) {
            return Results::any;
        }
    }
    const bool is_new =
        handle.hasKernelForDispatchKey(c10::DispatchKey::Autograd) || (is_factory(schema) && !from_tensors);
    return is_new ? Results::new_ : Results::any;
}

/// Whether an operator's work is autograd's own, whatever its arguments are: those of forward-mode differentiation, and
/// the engine, which may call Python from other threads.
bool works_in_autograd(const std::string& name) {
    static const std::unordered_set<std::string> names = {"_make_dual",      "_make_dual_copy", "_unpack_dual",
                                                          "_fw_primal_copy", "_fw_primal",      "_backward"};
    return names.count(name) > 0;
}

/// The parameter that a return is, by the alias annotations `(a!)`; or -1.
int returned_argument(const c10::FunctionSchema& schema, const c10::Argument& result) {
    const c10::AliasInfo* alias = result.alias_info();
    if (alias == nullptr || !alias->isWrite()) {
        return -1;
    }
    for (size_t i = 0; i < schema.arguments().size(); ++i) {
        const c10::AliasInfo* other = schema.arguments()[i].alias_info();
        if (other != nullptr && other->isWrite() && other->beforeSets() == alias->beforeSets()) {
            return static_cast<int>(i);
        }
    }
    return -1;
}

std::string type_name(PyObject* object) { return Py_TYPE(object)->tp_name; }

std::string text_of(PyObject* unicode) { return pybind11::handle(unicode).cast<std::string>(); }

bool same_name(PyObject* left, PyObject* right) { return left == right || PyUnicode_Compare(left, right) == 0; }

/// What a parameter takes, in the words of whoever calls.
std::string expected(const Parameter& parameter) {
    static const std::pair<std::string_view, const char*> words[] = {
        {"ScalarType", "a dtype (such as libtorch_ffi.float32)"},
        {"Layout", "a layout (such as libtorch_ffi.strided)"},
        {"MemoryFormat", "a memory format (such as libtorch_ffi.channels_last)"},
        {"Generator", "a libtorch_ffi.Generator"},
    };
    const std::string type = parameter.type->annotation_str();
    for (const auto& [name, text] : words) {
        if (type == name) {
            return text;
        }
    }
    return type;
}

/// A value's type, and what it is where that is short.
std::string described(PyObject* object) {
    constexpr size_t kLongest = 60;
    std::string text = type_name(object);
    if (PyUnicode_CheckExact(object) != 0 || PyLong_CheckExact(object) != 0 || PyFloat_CheckExact(object) != 0) {
        const Ref value = Ref::steal(PyObject_Repr(object));
        const std::string shown = text_of(value.get());
        text += shown.size() <= kLongest ? " " + shown : "";
    }
    return text;
}

bool fits(const Parameter& element, PyObject* object) {
    CallFacts facts;
    c10::IValue value;
    return (object == Py_None && element.optional) || element.convert == nullptr ||
           element.convert(element, object, Match::lenient, facts, value);
}

/// What came instead: of a sequence, the first element that does not fit.
std::string found(const Parameter& parameter, PyObject* object) {
    const bool is_sequence = PyList_Check(object) != 0 || PyTuple_Check(object) != 0;
    for (Py_ssize_t i = 0; is_sequence && parameter.element != nullptr && i < PySequence_Fast_GET_SIZE(object); ++i) {
        const Ref item = Ref::borrow(PySequence_Fast_GET_ITEM(object, i));
        if (!fits(*parameter.element, item.get())) {
            return std::string("a ") + type_name(object) + " whose element " + std::to_string(i) + " is " +
                   described(item.get());
        }
    }
    return described(object);
}

std::string wrong_type(const Parameter& parameter, PyObject* object) {
    return "argument '" + text_of(parameter.name) + "' takes " + expected(parameter) +
           (parameter.optional ? " or None" : "") + ", not " + found(parameter, object);
}

std::string wrong_names(const std::vector<Parameter>& parameters, const Arguments& arguments) {
    for (Py_ssize_t i = 0; i < arguments.keywords(); ++i) {
        bool known = false;
        for (size_t p = 0; p < parameters.size(); ++p) {
            const Parameter& parameter = parameters[p];
            if (!same_name(parameter.name, arguments.keyword_name(i)) &&
                (parameter.alias == nullptr || !same_name(parameter.alias, arguments.keyword_name(i)))) {
                continue;
            }
            known = true;
            if (p < static_cast<size_t>(arguments.positional)) {
                return "argument '" + text_of(parameter.name) + "' is given twice";
            }
        }
        if (!known) {
            return "it has no argument '" + text_of(arguments.keyword_name(i)) + "'";
        }
    }
    return "an argument is given twice";
}

/// As torch prints named results: one a line.
PyObject* results_repr(PyObject* self) {
    return guarded([&] {
        std::string text = std::string(Py_TYPE(self)->tp_name) + "(\n";
        const Py_ssize_t count = PyTuple_GET_SIZE(self);
        for (Py_ssize_t i = 0; i < count; ++i) {
            Ref value = Ref::steal(PyObject_Repr(PyTuple_GET_ITEM(self, i)));
            text += std::string(Py_TYPE(self)->tp_members[i].name) + "=" + text_of(value.get());
            text += i + 1 < count ? ",\n" : ")";
        }
        return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
    });
}

/// Lets pickle and copy take results apart by the operator's name: the type has no module that it could be found in.
void make_picklable(PyTypeObject* type, const c10::FunctionSchema& schema) {
    auto* object = reinterpret_cast<PyObject*>(type);
    Ref operator_name = Ref::steal(Py_BuildValue("(ss)", schema.name().c_str(), schema.overload_name().c_str()));
    Ref module = Ref::steal(PyImport_ImportModule("libtorch_ffi._pickling"));
    Ref reduce = Ref::steal(PyObject_GetAttrString(module.get(), "reduce_results"));
    check_status(PyObject_SetAttrString(object, "_operator", operator_name.get()));
    check_status(PyObject_SetAttrString(object, "__reduce__", reduce.get()));
}

bool refuse(std::string* reason, std::string (*say)(const Parameter&, PyObject*), const Parameter& parameter,
            PyObject* object) {
    if (reason != nullptr) {
        *reason = say(parameter, object);
    }
    return false;
}

}  // namespace

Call::Call(Plan& owner) : plan(owner), stack(std::move(owner.spare_)) { stack.clear(); }

Call::~Call() {
    stack.clear();
    plan.spare_ = std::move(stack);
}

Plan::Plan(const c10::OperatorHandle& handle) : handle_(handle) {
    const c10::FunctionSchema& schema = handle.schema();
    std::ostringstream text;
    text << schema;
    text_ = text.str();
    TORCH_CHECK(schema.arguments().size() <= kMostParameters, "too many parameters: ", text_);
    std::string name = schema.name();
    const bool native = name.rfind("aten::", 0) == 0;
    name = name.substr(name.find("::") + 2);
    factory_ = ltf::is_factory(schema);
    const bool numbers = native && takes_numbers(name);
    for (const c10::Argument& argument : schema.arguments()) {
        parameters_.push_back(make_parameter(argument, numbers));
        positional_ += argument.kwarg_only() ? 0 : 1;
        required_ += argument.default_value().has_value() ? 0 : 1;
    }
    work_ = native && !works_in_autograd(name) ? work_of(handle) : Work::foreign;
    results_ = results_of(handle);
    check_ = missing_check_of(schema);
    direct_ = native && check_ == nullptr ? direct_call_of(handle) : nullptr;
    changes_list_ = native && name.rfind("_foreach_", 0) == 0 && schema.returns().empty();
    named_results_ = schema.returns().size() > 1;
    for (const c10::Argument& result : schema.returns()) {
        returned_argument_.push_back(returned_argument(schema, result));
        named_results_ = named_results_ && !result.name().empty();
    }
}

const Parameter* Plan::unsupported() const {
    for (const Parameter& parameter : parameters_) {
        if (parameter.convert == nullptr) {
            return &parameter;
        }
    }
    return nullptr;
}

PyObject* Plan::find(const Arguments& arguments, size_t index, Py_ssize_t& used) const {
    const Parameter& parameter = parameters_[index];
    const auto given = [&](PyObject* value) { return value == Py_None && parameter.none_is_default ? nullptr : value; };
    if (static_cast<Py_ssize_t>(index) < arguments.positional) {
        return given(arguments.values[index]);
    }
    for (Py_ssize_t i = 0; i < arguments.keywords(); ++i) {
        PyObject* name = arguments.keyword_name(i);
        if (same_name(name, parameter.name) || (parameter.alias != nullptr && same_name(name, parameter.alias))) {
            ++used;
            return given(arguments.keyword_value(i));
        }
    }
    return nullptr;
}

bool Plan::bind(const Arguments& arguments, Match match, Call& call, std::string* reason) const {
    call.stack.clear();
    call.facts = CallFacts();
    if (arguments.positional > static_cast<Py_ssize_t>(positional_)) {
        if (reason != nullptr) {
            *reason = "it takes " + std::to_string(positional_) + " positional arguments, not " +
                      std::to_string(arguments.positional);
        }
        return false;
    }
    Py_ssize_t used = 0;
    for (size_t i = 0; i < parameters_.size(); ++i) {
        const Parameter& parameter = parameters_[i];
        PyObject* object = find(arguments, i, used);
        call.given[i] = object;
        if (object == nullptr) {
            if (!parameter.has_default) {
                return refuse(
                    reason,
                    [](const Parameter& p, PyObject*) { return "argument '" + text_of(p.name) + "' is missing"; },
                    parameter, nullptr);
            }
            call.stack.push_back(parameter.fallback);
            continue;
        }
        call.stack.emplace_back();
        if (object == Py_None && parameter.optional) {
            continue;
        }
        if (parameter.convert == nullptr ||
            !parameter.convert(parameter, object, match, call.facts, call.stack.back())) {
            return refuse(reason, wrong_type, parameter, object);
        }
    }
    if (used != arguments.keywords()) {
        if (reason != nullptr) {
            *reason = wrong_names(parameters_, arguments);
        }
        return false;
    }
    return true;
}

PyObject* Plan::try_call(const Arguments& arguments, Match match, Lists lists) {
    if (direct_ != nullptr) {
        return direct_->call(*this, arguments, match, lists);
    }
    Call call(*this);
    return bind(arguments, match, call) ? invoke(call, lists) : nullptr;
}

std::string Plan::refusal(const Arguments& arguments) {
    std::string reason;
    Call call(*this);
    bind(arguments, Match::lenient, call, &reason);
    return reason;
}

PyObject* Plan::invoke(Call& call, Lists lists) {
    {
        const KernelScope scope(call.facts, work_, results_);
        make_missing_check(check_, schema(), call.stack);
        handle_.callBoxed(&call.stack);
    }
    return wrap_results(call, lists);
}

PyObject* Plan::wrap_result(Call& call, size_t index, Lists lists) const {
    c10::IValue& value = call.stack[index];
    const int argument = returned_argument_[index];
    if (argument >= 0 && value.isTensor()) {
        PyObject* given = call.given[static_cast<size_t>(argument)];
        if (given != nullptr && is_tensor(given) && tensor_of(given).is_same(value.toTensor())) {
            return Py_NewRef(given);
        }
    }
    const bool is_list = value.isList();
    Ref result = Ref::steal(to_python(std::move(value), *schema().returns()[index].real_type()));
    return is_list && lists == Lists::tuple ? Ref::steal(PyList_AsTuple(result.get())).release() : result.release();
}

PyObject* Plan::wrap_results(Call& call, Lists lists) {
    const size_t count = returned_argument_.size();
    if (schema().is_varret()) {
        return to_python(c10::IValue(c10::ivalue::Tuple::create(std::move(call.stack))));
    }
    if (call.stack.size() != count) {
        raise(PyExc_RuntimeError, "%s left %zu values where its schema says %zu", text_.c_str(), call.stack.size(),
              count);
    }
    if (count == 1) {
        return wrap_result(call, 0, lists);
    }
    if (count == 0) {
        return changes_list_ && lists == Lists::tuple ? Py_NewRef(call.given[0]) : none();
    }
    Ref results = Ref::steal(new_results());
    for (size_t i = 0; i < count; ++i) {
        PyTuple_SET_ITEM(results.get(), static_cast<Py_ssize_t>(i), wrap_result(call, i, lists));
    }
    return results.release();
}

/// An empty tuple for the results; one with names is a tuple underneath.
PyObject* Plan::new_results() {
    return named_results_ ? PyStructSequence_New(result_type())
                          : PyTuple_New(static_cast<Py_ssize_t>(returned_argument_.size()));
}

PyObject* Plan::pack_results(std::initializer_list<PyObject*> results) {
    Ref packed = Ref::steal(new_results());
    Py_ssize_t i = 0;
    for (PyObject* result : results) {
        PyTuple_SET_ITEM(packed.get(), i++, Py_NewRef(result));
    }
    return packed.release();
}

PyTypeObject* Plan::result_type() {
    if (!named_results_) {
        return nullptr;
    }
    if (result_type_ == nullptr) {
        std::vector<PyStructSequence_Field> fields;
        for (const c10::Argument& result : schema().returns()) {
            fields.push_back({result.name().c_str(), nullptr});
        }
        const int count = static_cast<int>(fields.size());
        fields.push_back({nullptr, nullptr});
        // CPython keeps the pointer to the name: it lives as long as the plan, which is never freed.
        auto* name = new std::string("torch.return_types." + schema().name().substr(schema().name().find("::") + 2));
        PyStructSequence_Desc description = {name->c_str(), "What an operator answers, by name.", fields.data(), count};
        PyTypeObject* type = PyStructSequence_NewType(&description);
        if (type == nullptr) {
            throw PythonError();
        }
        type->tp_repr = results_repr;
        make_picklable(type, schema());
        result_type_ = result_type_ == nullptr ? type : result_type_;  // another thread may have come first meanwhile
    }
    return result_type_;
}

}  // namespace ltf
