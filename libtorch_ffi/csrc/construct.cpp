// Owns the reading of Python data into tensors. Two passes: the first finds shape and dtype, the second writes each
// element into the tensor's memory.
#include "construct.h"

#include <algorithm>

#include "convert.h"
#include "interchange.h"
#include "releases.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

/// Nested deeper than this, data is taken to contain itself.
constexpr size_t kDeepest = 64;

/// Lists are not made deeper than this: each level takes some of the C stack.
constexpr int64_t kMostNested = 1000;

bool is_nested(PyObject* object) {
    if (PyList_Check(object) != 0 || PyTuple_Check(object) != 0) {
        return true;
    }
    return PySequence_Check(object) != 0 && PyUnicode_Check(object) == 0 && PyBytes_Check(object) == 0 &&
           !is_tensor(object) && !is_array(object);
}

/// An item of a list or tuple that Python code may have changed since its length was taken.
Ref nested_item(PyObject* items, Py_ssize_t index) {
    if (index >= PySequence_Fast_GET_SIZE(items)) {
        raise(PyExc_RuntimeError, "the data changed while it was read");
    }
    return Ref::borrow(PySequence_Fast_GET_ITEM(items, index));
}

at::ScalarType default_dtype() { return c10::get_default_dtype_as_scalartype(); }

[[noreturn]] void raise_no_element(PyObject* object) {
    if (PyUnicode_Check(object) != 0 || PyBytes_Check(object) != 0) {
        raise(PyExc_TypeError, "new(): invalid data type '%s'", Py_TYPE(object)->tp_name);
    }
    raise(PyExc_RuntimeError, "Could not infer dtype of %s", Py_TYPE(object)->tp_name);
}

/// The dtype that one element asks for.
at::ScalarType dtype_of_element(PyObject* object) {
    if (PyFloat_Check(object) != 0) {
        return default_dtype();
    }
    if (PyBool_Check(object) != 0) {
        return at::kBool;
    }
    if (PyLong_Check(object) != 0) {
        return at::kLong;
    }
    if (PyComplex_Check(object) != 0) {
        return default_dtype() == at::kDouble ? at::kComplexDouble : at::kComplexFloat;
    }
    if (is_tensor(object)) {
        return tensor_of(object).scalar_type();
    }
    raise_no_element(object);
}

/// A number of Python's own: NumPy's float64 and complex128 are floats and complex numbers too, with a dtype.
bool is_plain_number(PyObject* object) {
    return PyFloat_CheckExact(object) != 0 || PyLong_Check(object) != 0 || PyComplex_CheckExact(object) != 0;
}

/// An array among other data as a tensor; one that goes backwards through its memory is copied first.
at::Tensor array_of(PyObject* object) {
    try {
        return tensor_from_buffer(object, false);
    } catch (const PythonError&) {
        if (PyErr_ExceptionMatches(PyExc_ValueError) == 0) {
            throw;
        }
        PyErr_Clear();
    }
    const Ref copy = Ref::steal(PyObject_CallMethod(object, "copy", nullptr));
    return tensor_from_buffer(copy.get(), false);
}

/// Shape and dtype of nested data.
struct Survey {
    c10::SmallVector<int64_t, 5> shape;
    at::ScalarType dtype = at::ScalarType::Undefined;
    bool has_dtype = false;  // given by the caller: elements need not be looked at

    void visit(PyObject* object, size_t depth) {
        if (!is_plain_number(object) && is_array(object)) {
            visit_array(array_of(object), depth);
            return;
        }
        if (!is_nested(object)) {
            visit_element(object, depth);
            return;
        }
        if (depth >= kDeepest) {
            raise(PyExc_ValueError, "too many dimensions: data nested deeper than %zu", kDeepest);
        }
        Ref items = Ref::steal(PySequence_Fast(object, "a sequence was expected"));
        const Py_ssize_t length = PySequence_Fast_GET_SIZE(items.get());
        expect_length(length, depth, Py_TYPE(object)->tp_name);
        for (Py_ssize_t i = 0; i < length; ++i) {
            const Ref item = nested_item(items.get(), i);
            visit(item.get(), depth + 1);
        }
    }

  private:
    void expect_length(int64_t length, size_t depth, const char* type) {
        if (depth == shape.size()) {
            if (depth_known_) {
                raise(PyExc_TypeError, "expected a number at dim %zu (got a %s)", depth, type);
            }
            shape.push_back(length);
        }
        if (shape[depth] != length) {
            raise(PyExc_ValueError, "expected sequence of length %lld at dim %zu (got %lld)",
                  static_cast<long long>(shape[depth]), depth, static_cast<long long>(length));
        }
    }

    /// An array of any number of dimensions, 0 for one of NumPy's scalars.
    void visit_array(const at::Tensor& array, size_t depth) {
        for (const int64_t length : array.sizes()) {
            expect_length(length, depth++, "numpy.ndarray");
        }
        note_element(array.scalar_type(), depth, "numpy.ndarray");
    }

    void visit_element(PyObject* object, size_t depth) {
        if (depth > 0 && depth == shape.size() && PyUnicode_Check(object) != 0) {
            raise(PyExc_ValueError, "too many dimensions 'str'");
        }
        note_element(has_dtype ? dtype : dtype_of_element(object), depth, Py_TYPE(object)->tp_name);
    }

    void note_element(at::ScalarType found, size_t depth, const char* type) {
        if (depth != shape.size()) {
            raise(PyExc_TypeError, "expected a sequence at dim %zu (got a %s)", depth, type);
        }
        depth_known_ = true;
        if (!has_dtype) {
            dtype = dtype == at::ScalarType::Undefined ? found : c10::promoteTypes(dtype, found);
        }
    }

    bool depth_known_ = false;  // an element was met: there are no more dimensions than those of the shape
};

at::Scalar read_element(PyObject* object) {
    at::Scalar scalar;
    if (read_scalar(object, scalar)) {
        return scalar;
    }
    if (is_tensor(object)) {
        return tensor_of(object).item();
    }
    if (is_array(object)) {
        return tensor_from_buffer(object, false).item();
    }
    raise_no_element(object);
}

template <class Element>
void store(Element*& next, PyObject* object) {
    *next++ = read_element(object).to<Element>();
}

/// A float, or an int of any size.
double read_real(PyObject* object) {
    if (PyComplex_Check(object) != 0) {
        raise(PyExc_TypeError, "must be real number, not complex");
    }
    if (PyFloat_CheckExact(object) == 0 && PyLong_CheckExact(object) == 0) {
        return read_element(object).to<double>();
    }
    const double value = PyFloat_AsDouble(object);
    if (value == -1 && PyErr_Occurred() != nullptr) {
        throw PythonError();
    }
    return value;
}

template <>
void store(double*& next, PyObject* object) {
    *next++ = read_real(object);
}

template <>
void store(float*& next, PyObject* object) {
    *next++ = static_cast<float>(read_real(object));
}

template <>
void store(int64_t*& next, PyObject* object) {
    if (PyLong_CheckExact(object) == 0) {
        *next++ = read_element(object).to<int64_t>();
        return;
    }
    int overflow = 0;
    *next++ = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0) {
        raise(PyExc_ValueError, "Overflow when unpacking long long: %R does not fit in an int64", object);
    }
}

template <>
void store(uint64_t*& next, PyObject* object) {
    if (PyLong_CheckExact(object) == 0) {
        *next++ = to_unsigned(read_element(object));
        return;
    }
    *next++ = PyLong_AsUnsignedLongLong(object);
    if (PyErr_Occurred() != nullptr) {
        throw PythonError();
    }
}

template <class Element>
at::ScalarType dtype_of() {
    return c10::CppTypeToScalarType<Element>::value;
}
template <>
at::ScalarType dtype_of<uint64_t>() {
    return unsigned64;
}

/// The elements of a whole array at once.
template <class Element>
void copy_array(Element*& next, PyObject* object, at::IntArrayRef shape) {
    const at::Tensor array = array_of(object).to(dtype_of<Element>()).contiguous();
    if (array.sizes() != shape) {
        raise(PyExc_RuntimeError, "the data changed while it was read");
    }
    const auto* elements = static_cast<const Element*>(array.data_ptr());
    next = std::copy(elements, elements + array.numel(), next);
}

/// Writes the elements in order. The shape is what the first pass found; data of another shape by now is refused, since
/// the memory is as large as that shape.
template <class Element>
void fill(Element*& next, PyObject* object, at::IntArrayRef shape) {
    if (shape.empty()) {
        store(next, object);
        return;
    }
    if (is_array(object)) {
        copy_array(next, object, shape);
        return;
    }
    Ref items = Ref::steal(PySequence_Fast(object, "the data changed while it was read"));
    if (PySequence_Fast_GET_SIZE(items.get()) != shape[0]) {
        raise(PyExc_RuntimeError, "the data changed while it was read");
    }
    for (int64_t i = 0; i < shape[0]; ++i) {
        const Ref item = nested_item(items.get(), i);
        fill(next, item.get(), shape.slice(1));
    }
}

template <class Element>
at::Tensor filled(PyObject* data, at::IntArrayRef shape) {
    at::Tensor tensor = at::empty(shape, c10::CppTypeToScalarType<Element>::value);
    auto* next = tensor.data_ptr<Element>();
    fill(next, data, shape);
    return tensor;
}

at::Tensor filled_unsigned(PyObject* data, at::IntArrayRef shape) {
    at::Tensor tensor = at::empty(shape, at::kLong);
    auto* next = reinterpret_cast<uint64_t*>(tensor.data_ptr<int64_t>());
    fill(next, data, shape);
    return tensor.view(unsigned64);
}

/// Refuses what a narrower integer dtype cannot hold. A negative number wraps in an unsigned one, as c10 lets it.
void check_range(const at::Tensor& integers, at::ScalarType dtype) {
    const bool is_signed = c10::isSignedType(dtype);
    const int bits = static_cast<int>(8 * c10::elementSize(dtype)) - (is_signed ? 1 : 0);
    const int64_t most = (int64_t{1} << bits) - 1;
    const int64_t least = is_signed ? -most - 1 : -most;
    const auto* values = integers.data_ptr<int64_t>();
    if (std::any_of(values, values + integers.numel(), [&](int64_t value) { return value < least || value > most; })) {
        raise(PyExc_RuntimeError, "value cannot be converted to type %s without overflow", c10::toString(dtype));
    }
}

/// The data in `dtype`. The rare dtypes are filled in a wider one of their kind first.
at::Tensor filled_as(PyObject* data, const Survey& survey) {
    const at::AutoDispatchBelowAutograd below;
    switch (survey.dtype) {
        case at::kFloat:
            return filled<float>(data, survey.shape);
        case at::kDouble:
            return filled<double>(data, survey.shape);
        case at::kLong:
            return filled<int64_t>(data, survey.shape);
        case at::kBool:
            return filled<bool>(data, survey.shape);
        case unsigned64:
            return filled_unsigned(data, survey.shape);
        default:
            break;
    }
    if (at::isComplexType(survey.dtype)) {
        return filled<c10::complex<double>>(data, survey.shape).to(survey.dtype);
    }
    if (at::isFloatingType(survey.dtype)) {
        return filled<double>(data, survey.shape).to(survey.dtype);
    }
    const at::Tensor integers = filled<int64_t>(data, survey.shape);
    if (at::isIntegralType(survey.dtype, /*includeBool=*/false)) {
        check_range(integers, survey.dtype);
    }
    return integers.to(survey.dtype);
}

at::Tensor tensor_from_nested(PyObject* data, std::optional<at::ScalarType> dtype) {
    Survey survey;
    survey.has_dtype = dtype.has_value();
    survey.dtype = dtype.value_or(at::ScalarType::Undefined);
    survey.visit(data, 0);
    if (survey.dtype == at::ScalarType::Undefined) {
        survey.dtype = default_dtype();  // no element at all
    }
    return filled_as(data, survey);
}

// Nested lists from tensors

template <class Element>
PyObject* number_of(Element value) {
    return wrap(at::Scalar(value));
}
template <>
PyObject* number_of(bool value) {
    return boolean(value);
}
template <>
PyObject* number_of(int64_t value) {
    return Ref::steal(PyLong_FromLongLong(value)).release();
}
template <>
PyObject* number_of(double value) {
    return Ref::steal(PyFloat_FromDouble(value)).release();
}

/// The elements from one on, read where they lie.
template <class Element, class Stored>
PyObject* nested(const Stored* first, at::IntArrayRef sizes, at::IntArrayRef strides) {
    if (sizes.empty()) {
        return number_of<Element>(static_cast<Element>(*first));
    }
    Ref list = Ref::steal(PyList_New(static_cast<Py_ssize_t>(sizes[0])));
    for (int64_t i = 0; i < sizes[0]; ++i) {
        PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i),
                        nested<Element>(first + i * strides[0], sizes.slice(1), strides.slice(1)));
    }
    return list.release();
}

template <class Element, class Stored>
PyObject* nested_from(const at::Tensor& tensor) {
    return nested<Element>(static_cast<const Stored*>(tensor.data_ptr()), tensor.sizes(), tensor.strides());
}

template <class Element>
PyObject* nested_as(const at::Tensor& source) {
    return nested_from<Element, Element>(source.to(c10::CppTypeToScalarType<Element>::value).contiguous());
}

/// The same elements in the host's memory, as they are meant.
at::Tensor readable(const at::Tensor& tensor) {
    if (tensor.is_cpu() && tensor.layout() == at::kStrided && !tensor.is_conj() && !tensor.is_neg() &&
        !tensor._is_zerotensor()) {
        return tensor;
    }
    const at::Tensor resolved = tensor.cpu().resolve_conj().resolve_neg();
    return resolved._is_zerotensor() ? at::zeros(resolved.sizes(), resolved.options()) : resolved;  // it has no memory
}

struct Options {
    std::optional<at::ScalarType> dtype;
    std::optional<at::Device> device;
    bool requires_grad = false;
    bool pin_memory = false;
};

at::Tensor placed(at::Tensor tensor, const Options& options) {
    if (options.dtype.has_value() || options.device.has_value()) {
        tensor = tensor.to(options.device.value_or(tensor.device()), options.dtype.value_or(tensor.scalar_type()));
    }
    return options.pin_memory ? tensor.pin_memory() : tensor;
}

/// `copies`: whether memory that could be shared is copied all the same.
at::Tensor make_tensor(PyObject* data, const Options& options, bool copies) {
    at::Tensor tensor;
    if (is_tensor(data) || is_array(data)) {
        tensor = is_tensor(data) ? tensor_of(data) : tensor_from_buffer(data, !copies);
        if (copies) {
            tensor = tensor.detach().clone();
        }
    } else if (tensor = tensor_from_offer(data, !copies); tensor.defined()) {
        tensor = copies ? tensor.clone() : tensor;
    } else {
        tensor = tensor_from_nested(data, options.dtype);
    }
    return placed(std::move(tensor), options);
}

Options read_options(const pybind11::object& dtype, const pybind11::object& device, bool requires_grad, bool pin) {
    Options options;
    options.requires_grad = requires_grad;
    options.pin_memory = pin;
    at::ScalarType type{};
    at::Device place(at::kCPU);
    if (!dtype.is_none()) {
        if (!read_dtype(dtype.ptr(), type)) {
            raise(PyExc_TypeError, "tensor(): argument 'dtype' must be a dtype, not %s", Py_TYPE(dtype.ptr())->tp_name);
        }
        options.dtype = type;
    }
    if (!device.is_none()) {
        if (!read_device(device.ptr(), place)) {
            raise(PyExc_TypeError, "tensor(): argument 'device' must be a device, not %s",
                  Py_TYPE(device.ptr())->tp_name);
        }
        options.device = place;
    }
    return options;
}

/// The two arguments that nearly every call leaves out make the plain C signature worth its lines: pybind11's dispatch
/// takes longer than a small tensor.
PyObject* tensor(PyObject*, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    return guarded([&]() -> PyObject* {
        if (names == nullptr && count == 1) {
            return wrap(make_tensor(values[0], Options(), true));
        }
        if (count > 1) {
            raise(PyExc_TypeError, "tensor() takes 1 positional argument (data), but %zd were given", count);
        }
        PyObject* data = count == 1 ? values[0] : nullptr;
        pybind11::object dtype = pybind11::none();
        pybind11::object device = pybind11::none();
        bool requires_grad = false;
        bool pin_memory = false;
        for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
            const auto name = pybind11::handle(PyTuple_GET_ITEM(names, i)).cast<std::string>();
            const auto value = pybind11::reinterpret_borrow<pybind11::object>(values[count + i]);
            if (name == "dtype") {
                dtype = value;
            } else if (name == "device") {
                device = value;
            } else if (name == "requires_grad") {
                requires_grad = value.cast<bool>();
            } else if (name == "pin_memory") {
                pin_memory = value.cast<bool>();
            } else if (name == "data" && data == nullptr) {
                data = value.ptr();
            } else {
                raise(PyExc_TypeError, "tensor() got an unexpected keyword argument '%s'", name.c_str());
            }
        }
        if (data == nullptr) {
            raise(PyExc_TypeError, "tensor() missing 1 required positional argument: 'data'");
        }
        const Options options = read_options(dtype, device, requires_grad, pin_memory);
        at::Tensor result = make_tensor(data, options, true);
        result.set_requires_grad(requires_grad);
        return wrap(std::move(result));
    });
}

PyMethodDef tensor_definition = {
    "tensor", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(tensor)), METH_FASTCALL | METH_KEYWORDS,
    "tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False)\n--\n\n"
    "A new tensor with a copy of the data: a number, nested sequences of numbers, an array "
    "or a tensor."};

}  // namespace

PyObject* tensor_tolist(PyObject* self, PyObject*) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        const at::Tensor tensor = readable(tensor_of(self));
        if (tensor.dim() > kMostNested) {
            raise(PyExc_RecursionError, "a tensor of %lld dimensions makes lists nested too deep",
                  static_cast<long long>(tensor.dim()));
        }
        switch (tensor.layout() == at::kStrided ? tensor.scalar_type() : at::ScalarType::Undefined) {
            case at::kFloat:
                return nested_from<double, float>(tensor);
            case at::kDouble:
                return nested_from<double, double>(tensor);
            case at::kLong:
                return nested_from<int64_t, int64_t>(tensor);
            case at::kInt:
                return nested_from<int64_t, int32_t>(tensor);
            case at::kBool:
                return nested_from<bool, bool>(tensor);
#if LTF_SINCE(3)
            case at::kUInt64:
                return nested_as<uint64_t>(tensor);
#endif
            default:
                break;
        }
        if (tensor.is_complex()) {
            return nested_as<c10::complex<double>>(tensor);
        }
        return tensor.is_floating_point() ? nested_as<double>(tensor) : nested_as<int64_t>(tensor);
    });
}

at::Tensor tensor_from_data(PyObject* data) { return make_tensor(data, Options(), false); }

at::Tensor construct_tensor(PyObject* args, PyObject* kwargs) {
    if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0) {
        raise(PyExc_TypeError, "Tensor() takes no keyword arguments; tensor(data, dtype, device) does");
    }
    c10::SmallVector<int64_t, 5> sizes;
    const Py_ssize_t count = PyTuple_GET_SIZE(args);
    if (read_int_list(args, sizes)) {
        return count == 0 ? at::empty({0}) : at::empty(sizes);
    }
    if (count != 1) {
        raise(PyExc_TypeError, "Tensor() takes sizes, or one sequence, array or tensor");
    }
    PyObject* first = PyTuple_GET_ITEM(args, 0);
    if (is_tensor(first)) {
        return tensor_of(first).alias();
    }
    Options options;
    options.dtype = default_dtype();
    return make_tensor(first, options, true);
}

void register_construct(pybind11::module_& module) {
    namespace py = pybind11;
    Ref function = Ref::steal(PyCFunction_NewEx(&tensor_definition, nullptr, nullptr));
    check_status(PyModule_AddObjectRef(module.ptr(), "tensor", function.get()));
    module.def(
        "as_tensor",
        [](const py::object& data, const py::object& dtype, const py::object& device) {
            at::Tensor tensor = make_tensor(data.ptr(), read_options(dtype, device, false, false), false);
            const bool same = is_tensor(data.ptr()) && tensor_of(data.ptr()).is_same(tensor);
            return same ? data : py::reinterpret_steal<py::object>(wrap(std::move(tensor)));
        },
        py::arg("data"), py::arg("dtype") = py::none(), py::arg("device") = py::none(),
        "A tensor of the data, sharing its memory where dtype and device allow.");
}

}  // namespace ltf
