// Owns every conversion between Python values and IValues.
#include "convert.h"

#include <algorithm>
#include <string_view>

#include "random.h"
#include "releases.h"
#include "script_object.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

bool is_numpy_scalar(PyObject* object) {
    const std::string_view name = Py_TYPE(object)->tp_name;
    return name.substr(0, 6) == "numpy." && name != "numpy.ndarray";
}

bool is_numpy_bool(PyObject* object) {
    const std::string_view name = Py_TYPE(object)->tp_name;
    return name == "numpy.bool" || name == "numpy.bool_";
}

int64_t checked_int(PyObject* object) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0) {
        raise(PyExc_OverflowError, "an int64 was expected, but %R does not fit in 64 bits", object);
    }
    if (value == -1 && PyErr_Occurred() != nullptr) {
        throw PythonError();
    }
    return value;
}

at::Scalar integer_scalar(PyObject* object) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
        return at::Scalar(static_cast<int64_t>(value));
    }
#if LTF_SINCE(3)
    const unsigned long long wide = overflow > 0 ? PyLong_AsUnsignedLongLong(object) : 0;
    if (overflow > 0 && PyErr_Occurred() == nullptr) {
        return at::Scalar(static_cast<uint64_t>(wide));
    }
    PyErr_Clear();
#endif
    raise(PyExc_OverflowError, "int too big to convert: %R fits neither int64 nor uint64", object);
}

std::string checked_string(PyObject* object) {
    Py_ssize_t length = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object, &length);
    if (text == nullptr) {
        throw PythonError();
    }
    return std::string(text, static_cast<size_t>(length));
}

bool is_sequence(PyObject* object) { return PyTuple_Check(object) != 0 || PyList_Check(object) != 0; }

/// Item `index` of a list or tuple, or nothing: reading an earlier item may have run Python code that changed the list.
Ref item_of(PyObject* sequence, Py_ssize_t index) {
    return index < PySequence_Fast_GET_SIZE(sequence) ? Ref::borrow(PySequence_Fast_GET_ITEM(sequence, index)) : Ref();
}

/// Reads one int of a list: an int, or a 0-dim integer tensor.
bool read_list_int(PyObject* object, int64_t& value) {
    return read_int(object, value) || read_int_tensor(object, value);
}

/// Reads the number of a member of a vocabulary, such as 6 for float32. It must be a member's: given another, libtorch
/// reads past the ends of its tables.
template <class Member>
bool read_number_of(PyObject* object, int64_t& number) {
    if (!read_int(object, number)) {
        return false;
    }
    const auto member = static_cast<int8_t>(number);
    Ref::steal(wrap(static_cast<Member>(member == number ? member : -1)));
    return true;
}

// Converters, one a schema type.

bool convert_tensor(const Parameter& parameter, PyObject* object, Match match, CallFacts& facts, c10::IValue& out) {
    if (is_tensor(object)) {
        const at::Tensor& tensor = tensor_of(object);
        facts.note(tensor);
        out = tensor;
        return true;
    }
    at::Scalar scalar;
    if (match == Match::lenient && parameter.takes_numbers && read_scalar(object, scalar)) {
        out = number_tensor(scalar);
        return true;
    }
    return false;
}

bool convert_scalar(const Parameter&, PyObject* object, Match match, CallFacts&, c10::IValue& out) {
    at::Scalar scalar;
    if (read_scalar(object, scalar)) {
        out = scalar;
        return true;
    }
    if (match == Match::lenient && stands_for_number(object)) {
        out = tensor_of(object).item();
        return true;
    }
    return false;
}

bool convert_int(const Parameter&, PyObject* object, Match match, CallFacts&, c10::IValue& out) {
    int64_t value = 0;
    if (match == Match::exact ? read_int(object, value) : read_list_int(object, value)) {
        out = value;
        return true;
    }
    return false;
}

bool convert_float(const Parameter&, PyObject* object, Match match, CallFacts&, c10::IValue& out) {
    double value = 0;
    if (read_double(object, value)) {
        out = value;
        return true;
    }
    if (match == Match::lenient && stands_for_number(object) && !tensor_of(object).is_complex()) {
        out = tensor_of(object).item<double>();
        return true;
    }
    return false;
}

bool convert_complex(const Parameter&, PyObject* object, Match, CallFacts&, c10::IValue& out) {
    at::Scalar scalar;
    if (!read_scalar(object, scalar)) {
        return false;
    }
    out = scalar.toComplexDouble();
    return true;
}

bool convert_bool(const Parameter&, PyObject* object, Match match, CallFacts&, c10::IValue& out) {
    bool value = false;
    if (read_bool(object, value)) {
        out = value;
        return true;
    }
    if (match == Match::lenient && stands_for_number(object) && tensor_of(object).scalar_type() == at::kBool) {
        out = tensor_of(object).item<bool>();
        return true;
    }
    return false;
}

bool convert_string(const Parameter&, PyObject* object, Match, CallFacts&, c10::IValue& out) {
    if (PyUnicode_Check(object) == 0) {
        return false;
    }
    out = checked_string(object);
    return true;
}

/// A dimension's name travels as a qualified string; None names none.
bool convert_dimname(const Parameter&, PyObject* object, Match, CallFacts&, c10::IValue& out) {
    if (object == Py_None) {
        out = std::string("dimname::*");
        return true;
    }
    if (PyUnicode_Check(object) == 0) {
        return false;
    }
    out = "dimname::" + checked_string(object);
    return true;
}

bool convert_dtype(const Parameter&, PyObject* object, Match match, CallFacts&, c10::IValue& out) {
    at::ScalarType dtype{};
    if (read_dtype(object, dtype)) {
        // Python's float means the default dtype only where a tensor is made; as a dtype it is float64, as in torch.
        out = dtype;
        return true;
    }
    int64_t number = 0;
    if (match == Match::lenient && read_number_of<at::ScalarType>(object, number)) {
        out = number;
        return true;
    }
    return false;
}

template <PyTypeObject** Type, class Member>
bool convert_constant(const Parameter&, PyObject* object, Match match, CallFacts&, c10::IValue& out) {
    int64_t number = 0;
    if (Py_TYPE(object) == *Type) {
        out = constant_value(object);
        return true;
    }
    if (match == Match::lenient && read_number_of<Member>(object, number)) {
        out = number;
        return true;
    }
    return false;
}

bool convert_device(const Parameter&, PyObject* object, Match, CallFacts&, c10::IValue& out) {
    at::Device device(at::kCPU);
    if (!read_device(object, device)) {
        return false;
    }
    out = device;
    return true;
}

template <class Value>
bool convert_bound(const Parameter&, PyObject* object, Match, CallFacts&, c10::IValue& out) {
    if (!pybind11::isinstance<Value>(object)) {
        return false;
    }
    out = pybind11::handle(object).cast<Value>();
    return true;
}

bool convert_script_object(const Parameter& parameter, PyObject* object, Match, CallFacts&, c10::IValue& out) {
    if (!pybind11::isinstance<ScriptObject>(object)) {
        return false;
    }
    const c10::IValue& value = pybind11::handle(object).cast<const ScriptObject&>().value;
    if (!value.type()->isSubtypeOf(*parameter.type)) {
        return false;
    }
    out = value;
    return true;
}

bool convert_int_list(const Parameter& parameter, PyObject* object, Match, CallFacts& facts, c10::IValue& out) {
    c10::SmallVector<int64_t, 8> values;
    int64_t single = 0;
    if (parameter.fixed_length > 0 && read_list_int(object, single)) {
        values.assign(static_cast<size_t>(parameter.fixed_length), single);
    } else if (!read_int_list(object, values)) {
        return false;
    }
    facts.note_sizes(values);
    out = c10::List<int64_t>(at::IntArrayRef(values));
    return true;
}

bool convert_tensor_list(const Parameter&, PyObject* object, Match, CallFacts& facts, c10::IValue& out) {
    if (!is_sequence(object)) {
        return false;
    }
    const Py_ssize_t length = PySequence_Fast_GET_SIZE(object);
    PyObject** items = PySequence_Fast_ITEMS(object);
    c10::List<at::Tensor> list;
    list.reserve(static_cast<size_t>(length));
    for (Py_ssize_t i = 0; i < length; ++i) {
        if (!is_tensor(items[i])) {
            return false;
        }
        facts.note(tensor_of(items[i]));
        list.push_back(tensor_of(items[i]));
    }
    out = std::move(list);
    return true;
}

/// A list of anything else: each element by the converter of its own type.
bool convert_list(const Parameter& parameter, PyObject* object, Match match, CallFacts& facts, c10::IValue& out) {
    const Parameter& element = *parameter.element;
    c10::impl::GenericList list(parameter.type->expectRef<c10::ListType>().getElementType());
    c10::IValue value;
    const auto append = [&](PyObject* item) {
        value = c10::IValue();
        const bool fits = (item == Py_None && element.optional) || element.convert(element, item, match, facts, value);
        if (fits) {
            list.push_back(value);
        }
        return fits;
    };
    if (!is_sequence(object)) {
        if (parameter.fixed_length == 0 || PyUnicode_Check(object) != 0 || !append(object)) {
            return false;
        }
        list.resize(static_cast<size_t>(parameter.fixed_length), value);
    } else {
        Ref item;
        for (Py_ssize_t i = 0; (item = item_of(object, i)); ++i) {
            if (!append(item.get())) {
                return false;
            }
        }
    }
    out = std::move(list);
    return true;
}

/// The value of a Python object by its own type, for parameters of type Any.
bool infer(PyObject* object, CallFacts& facts, c10::IValue& out);

bool infer_sequence(PyObject* object, CallFacts& facts, c10::IValue& out) {
    const RecursionGuard guard(" while reading nested lists");
    std::vector<c10::IValue> items;
    Ref item;
    for (Py_ssize_t i = 0; (item = item_of(object, i)); ++i) {
        items.emplace_back();
        if (!infer(item.get(), facts, items.back())) {
            return false;
        }
    }
    if (PyTuple_Check(object) != 0) {
        out = c10::ivalue::Tuple::create(std::move(items));
        return true;
    }
    c10::TypePtr type = items.empty() ? c10::TypePtr(c10::AnyType::get()) : items.front().type();
    for (const c10::IValue& item : items) {
        if (!item.type()->isSubtypeOf(*type)) {
            type = c10::AnyType::get();
        }
    }
    c10::impl::GenericList list(type);
    for (c10::IValue& item : items) {
        list.push_back(std::move(item));
    }
    out = std::move(list);
    return true;
}

bool infer(PyObject* object, CallFacts& facts, c10::IValue& out) {
    bool truth = false;
    int64_t integer = 0;
    at::Scalar scalar;
    if (object == Py_None) {
        out = c10::IValue();
    } else if (is_tensor(object)) {
        facts.note(tensor_of(object));
        out = tensor_of(object);
    } else if (read_bool(object, truth)) {
        out = truth;
    } else if (read_int(object, integer)) {
        out = integer;
    } else if (read_scalar(object, scalar)) {
        out = scalar;
    } else if (PyUnicode_Check(object) != 0) {
        out = checked_string(object);
    } else if (is_sequence(object)) {
        return infer_sequence(object, facts, out);
    } else if (Py_TYPE(object) == dtype_type || Py_TYPE(object) == layout_type ||
               Py_TYPE(object) == memory_format_type) {
        out = constant_value(object);
    } else if (pybind11::isinstance<ScriptObject>(object)) {
        out = pybind11::handle(object).cast<const ScriptObject&>().value;
    } else {
        const Parameter unused;
        return convert_device(unused, object, Match::exact, facts, out);
    }
    return true;
}

bool convert_any(const Parameter&, PyObject* object, Match, CallFacts& facts, c10::IValue& out) {
    return infer(object, facts, out);
}

bool convert_dict(const Parameter& parameter, PyObject* object, Match match, CallFacts& facts, c10::IValue& out) {
    if (PyDict_Check(object) == 0) {
        return false;
    }
    c10::impl::GenericDict dict(parameter.key->type, parameter.element->type);
    PyObject* key_object = nullptr;
    PyObject* item_object = nullptr;
    Py_ssize_t position = 0;
    while (PyDict_Next(object, &position, &key_object, &item_object) != 0) {
        const Ref held_key = Ref::borrow(key_object);
        const Ref held_item = Ref::borrow(item_object);
        c10::IValue key;
        c10::IValue item;
        if (!parameter.key->convert(*parameter.key, key_object, match, facts, key) ||
            !parameter.element->convert(*parameter.element, item_object, match, facts, item)) {
            return false;
        }
        dict.insert(std::move(key), std::move(item));
    }
    out = std::move(dict);
    return true;
}

std::shared_ptr<const Parameter> part(const c10::TypePtr& type, bool dimname) {
    auto parameter = std::make_shared<Parameter>();
    set_type(*parameter, type, dimname);
    return parameter;
}

/// A list whose elements have no converter has none itself.
Converter set_list(Parameter& parameter, bool dimname) {
    const c10::TypePtr& element = parameter.type->expectRef<c10::ListType>().getElementType();
    parameter.element = part(element, dimname);
    switch (element->kind()) {
        case c10::TypeKind::IntType:
        case c10::TypeKind::SymIntType:
            return convert_int_list;
        case c10::TypeKind::TensorType:
            return convert_tensor_list;
        default:
            return parameter.element->convert != nullptr ? convert_list : nullptr;
    }
}

Converter set_dict(Parameter& parameter) {
    const auto& type = parameter.type->expectRef<c10::DictType>();
    parameter.key = part(type.getKeyType(), false);
    parameter.element = part(type.getValueType(), false);
    return parameter.key->convert != nullptr && parameter.element->convert != nullptr ? convert_dict : nullptr;
}

Converter converter(Parameter& parameter, bool dimname) {
    switch (parameter.type->kind()) {
        case c10::TypeKind::TensorType:
            return convert_tensor;
        case c10::TypeKind::NumberType:
            return convert_scalar;
        case c10::TypeKind::IntType:
        case c10::TypeKind::SymIntType:
            return convert_int;
        case c10::TypeKind::FloatType:
        case c10::TypeKind::SymFloatType:
            return convert_float;
        case c10::TypeKind::ComplexType:
            return convert_complex;
        case c10::TypeKind::BoolType:
#if LTF_SINCE(1)
        case c10::TypeKind::SymBoolType:
#endif
            return convert_bool;
        case c10::TypeKind::StringType:
            return dimname ? convert_dimname : convert_string;
        case c10::TypeKind::ScalarTypeType:
            return convert_dtype;
        case c10::TypeKind::LayoutType:
            return convert_constant<&layout_type, at::Layout>;
        case c10::TypeKind::MemoryFormatType:
            return convert_constant<&memory_format_type, at::MemoryFormat>;
        case c10::TypeKind::QSchemeType:
            return convert_constant<&qscheme_type, at::QScheme>;
        case c10::TypeKind::DeviceObjType:
            return convert_device;
        case c10::TypeKind::GeneratorType:
            return convert_bound<at::Generator>;
        case c10::TypeKind::StorageType:
            return convert_bound<c10::Storage>;
        case c10::TypeKind::StreamObjType:
            return convert_bound<c10::Stream>;
        case c10::TypeKind::ListType:
            return set_list(parameter, dimname);
        case c10::TypeKind::DictType:
            return set_dict(parameter);
        case c10::TypeKind::AnyType:
            return convert_any;
        case c10::TypeKind::ClassType:
            return convert_script_object;
        default:
            return nullptr;
    }
}

// IValue to Python

PyObject* list_to_python(const c10::impl::GenericList& list) {
    const c10::TypePtr type = list.elementType();
    Ref result = Ref::steal(PyList_New(static_cast<Py_ssize_t>(list.size())));
    for (size_t i = 0; i < list.size(); ++i) {
        PyList_SET_ITEM(result.get(), static_cast<Py_ssize_t>(i), to_python(list.get(i), *type));
    }
    return result.release();
}

PyObject* tuple_to_python(const c10::ivalue::Tuple& tuple) {
    const auto& elements = tuple.elements();
    Ref result = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(elements.size())));
    for (size_t i = 0; i < elements.size(); ++i) {
        PyTuple_SET_ITEM(result.get(), static_cast<Py_ssize_t>(i), to_python(elements[i]));
    }
    return result.release();
}

PyObject* dict_to_python(const c10::impl::GenericDict& dict) {
    Ref result = Ref::steal(PyDict_New());
    for (const auto& entry : dict) {
        Ref key = Ref::steal(to_python(entry.key()));
        Ref value = Ref::steal(to_python(entry.value()));
        check_status(PyDict_SetItem(result.get(), key.get(), value.get()));
    }
    return result.release();
}

PyObject* text_to_python(const std::string& text) {
    return Ref::steal(PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()))).release();
}

template <class Value>
PyObject* bound_to_python(Value value) {
    return pybind11::cast(std::move(value)).release().ptr();
}

}  // namespace

void set_type(Parameter& parameter, const c10::TypePtr& type, bool dimname) {
    const auto* optional = type->castRaw<c10::OptionalType>();
    parameter.optional = optional != nullptr;
    parameter.type = optional != nullptr ? optional->getElementType() : type;
    parameter.convert = converter(parameter, dimname);
}

PyObject* to_python(c10::IValue value, const c10::Type& type) {
    if (value.isInt()) {  // libtorch keeps enumerations as ints; only the schema knows them
        switch (type.kind()) {
            case c10::TypeKind::ScalarTypeType:
                return wrap(value.toScalarType());
            case c10::TypeKind::LayoutType:
                return wrap(value.toLayout());
            case c10::TypeKind::MemoryFormatType:
                return wrap(value.toMemoryFormat());
            case c10::TypeKind::QSchemeType:
                return wrap(value.toQScheme());
            default:
                break;
        }
    }
    return to_python(std::move(value));
}

PyObject* to_python(c10::IValue value) {
    if (value.isTensor()) {
        return wrap(std::move(value).toTensor());
    }
    if (value.isNone()) {
        return none();
    }
    if (value.isBool()) {
        return boolean(value.toBool());
    }
    if (value.isScalar()) {
        return wrap(value.toScalar());
    }
    if (value.isString()) {
        return text_to_python(value.toStringRef());
    }
    if (value.isList()) {
        return list_to_python(value.toList());
    }
    if (value.isTuple()) {
        return tuple_to_python(value.toTupleRef());
    }
    if (value.isGenericDict()) {
        return dict_to_python(value.toGenericDict());
    }
    if (value.isDevice()) {
        return wrap(value.toDevice());
    }
    if (value.isGenerator()) {
        return bound_to_python(value.toGenerator());
    }
    if (value.isStorage()) {
        return bound_to_python(value.toStorage());
    }
    if (value.isStream()) {
        return bound_to_python(value.toStream());
    }
    return bound_to_python(ScriptObject{std::move(value)});
}

void CallFacts::note(const at::Tensor& tensor) {
    constexpr c10::DispatchKeySet lazy_keys(
        {c10::DispatchKey::Conjugate, c10::DispatchKey::Negative, c10::DispatchKey::ZeroTensor});
    const c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
    ++tensors;
    if (impl->autograd_meta() != nullptr) {
        requires_grad = requires_grad || impl->requires_grad();
        dual = dual || tensor._fw_grad(/*level=*/0).defined();
    }
    // Sparse kernels change `_values()` of a result in place, which reaches it only where ADInplaceOrView is left out
    // as well, as Autograd's own kernels see to: below Autograd, softmax of a sparse tensor was empty. An operator that
    // is composed of others is found at Autograd first, and only there passes a lazy conjugation on; below, the
    // conjugation is carried out, and what should be a view is a copy.
    const bool usual = impl->layout() == at::kStrided && !impl->is_nested() && !impl->key_set().has_any(lazy_keys);
    unusual = unusual || !usual;
    if (impl->is_cpu() && usual) {
        elements += impl->numel();
    } else {
        on_cpu = false;
    }
}

void CallFacts::note_sizes(at::IntArrayRef sizes) {
    constexpr int64_t kMany = int64_t{1} << 31;
    requested = 1;
    for (const int64_t size : sizes) {
        requested = std::min(kMany, requested * std::clamp<int64_t>(size, 0, kMany));
    }
}

bool read_scalar(PyObject* object, at::Scalar& scalar) {
    if (PyFloat_Check(object) != 0) {
        scalar = PyFloat_AS_DOUBLE(object);
    } else if (PyBool_Check(object) != 0) {
        scalar = object == Py_True;
    } else if (PyLong_Check(object) != 0) {
        scalar = integer_scalar(object);
    } else if (PyComplex_Check(object) != 0) {
        const Py_complex value = PyComplex_AsCComplex(object);
        scalar = c10::complex<double>(value.real, value.imag);
    } else if (is_numpy_scalar(object)) {
        Ref number = Ref::steal(PyObject_CallMethod(object, "item", nullptr));
        return !is_numpy_scalar(number.get()) && read_scalar(number.get(), scalar);
    } else {
        return false;
    }
    return true;
}

bool read_int(PyObject* object, int64_t& value) {
    if (PyLong_CheckExact(object) != 0) {
        value = checked_int(object);
        return true;
    }
    if (PyBool_Check(object) != 0 || is_tensor(object) || PyIndex_Check(object) == 0 ||
        std::string_view(Py_TYPE(object)->tp_name) == "numpy.ndarray" || is_numpy_bool(object)) {
        return false;
    }
    Ref index = Ref::steal(PyNumber_Index(object));
    value = checked_int(index.get());
    return true;
}

bool read_double(PyObject* object, double& value) {
    if (PyFloat_Check(object) != 0) {
        value = PyFloat_AS_DOUBLE(object);
        return true;
    }
    if (PyLong_Check(object) == 0 && !(is_numpy_scalar(object) && PyNumber_Check(object) != 0)) {
        return false;
    }
    value = PyFloat_AsDouble(object);
    if (value == -1.0 && PyErr_Occurred() != nullptr) {
        throw PythonError();
    }
    return true;
}

bool read_bool(PyObject* object, bool& value) {
    if (PyBool_Check(object) != 0) {
        value = object == Py_True;
        return true;
    }
    if (!is_numpy_bool(object)) {
        return false;
    }
    value = PyObject_IsTrue(object) == 1;
    return true;
}

bool read_int_list(PyObject* object, c10::SmallVectorImpl<int64_t>& values) {
    if (!is_sequence(object)) {
        return false;
    }
    values.reserve(static_cast<size_t>(PySequence_Fast_GET_SIZE(object)));
    Ref item;
    for (Py_ssize_t i = 0; (item = item_of(object, i)); ++i) {
        int64_t value = 0;
        if (!read_list_int(item.get(), value)) {
            return false;
        }
        values.push_back(value);
    }
    return true;
}

bool read_int_tensor(PyObject* object, int64_t& value) {
    if (!stands_for_number(object) || !at::isIntegralType(tensor_of(object).scalar_type(), /*includeBool=*/false)) {
        return false;
    }
    value = tensor_of(object).item<int64_t>();
    return true;
}

bool stands_for_number(PyObject* object) {
    return is_tensor(object) && tensor_of(object).dim() == 0 && !tensor_of(object).requires_grad();
}

at::Tensor number_tensor(const at::Scalar& scalar) {
    at::Tensor tensor = at::scalar_to_tensor(scalar);
    tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
    return tensor;
}

}  // namespace ltf
