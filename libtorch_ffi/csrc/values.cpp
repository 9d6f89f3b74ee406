// Owns the types of torch's vocabulary. Constants are singletons, made once when the module is loaded; they print as
// torch prints them ("torch.float32"), so that texts and programs that read them carry over.
#include "values.h"

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#if __has_include(<ATen/DeviceAccelerator.h>)  // since 2.3
#include <ATen/DeviceAccelerator.h>
#endif

#include "releases.h"

namespace ltf {

PyTypeObject* dtype_type = nullptr;
PyTypeObject* layout_type = nullptr;
PyTypeObject* memory_format_type = nullptr;
PyTypeObject* qscheme_type = nullptr;
PyTypeObject* device_type = nullptr;
PyTypeObject* size_type = nullptr;

namespace {

constexpr size_t kMaxConstants = 64;
using Constants = std::array<PyObject*, kMaxConstants>;
Constants dtypes{};
Constants layouts{};
Constants memory_formats{};
Constants qschemes{};

struct DtypeName {
    std::string_view scalar_type;  // c10's name
    const char* name;
    const char* alias;
};

/// c10's names of its scalar types beside torch's. A release may lack some of them; one that is not here (a sub-byte
/// integer, say) gets c10's name in lower case.
constexpr DtypeName kDtypeNames[] = {
    {"Byte", "uint8", nullptr},
    {"Char", "int8", nullptr},
    {"Short", "int16", "short"},
    {"Int", "int32", "int"},
    {"Long", "int64", "long"},
    {"Half", "float16", "half"},
    {"Float", "float32", "float"},
    {"Double", "float64", "double"},
    {"ComplexHalf", "complex32", "chalf"},
    {"ComplexFloat", "complex64", "cfloat"},
    {"ComplexDouble", "complex128", "cdouble"},
    {"Bool", "bool", nullptr},
    {"BFloat16", "bfloat16", nullptr},
};

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return result;
}

PyObject* constant_repr(PyObject* self) {
    return PyUnicode_FromFormat("torch.%U", reinterpret_cast<ConstantObject*>(self)->name);
}

PyObject* constant_reduce(PyObject* self, PyObject*) {
    return Py_NewRef(reinterpret_cast<ConstantObject*>(self)->name);
}

PyMethodDef constant_methods[] = {{"__reduce__", constant_reduce, METH_NOARGS, nullptr}, {}};

PyObject* dtype_itemsize(PyObject* self, void*) {
    return guarded([&] { return PyLong_FromSize_t(c10::elementSize(scalar_type_of(self))); });
}
PyObject* dtype_is_floating_point(PyObject* self, void*) { return boolean(at::isFloatingType(scalar_type_of(self))); }
PyObject* dtype_is_complex(PyObject* self, void*) { return boolean(at::isComplexType(scalar_type_of(self))); }
PyObject* dtype_is_signed(PyObject* self, void*) {
    return guarded([&] { return boolean(at::isSignedType(scalar_type_of(self))); });
}
PyObject* dtype_to_real(PyObject* self, PyObject*) {
    return guarded([&] {
        const auto dtype = scalar_type_of(self);
        return wrap(at::isComplexType(dtype) ? c10::toRealValueType(dtype) : dtype);
    });
}
PyObject* dtype_to_complex(PyObject* self, PyObject*) {
    return guarded([&] { return wrap(c10::toComplexType(scalar_type_of(self))); });
}

PyGetSetDef dtype_properties[] = {
    {"itemsize", dtype_itemsize, nullptr, "Bytes an element takes.", nullptr},
    {"is_floating_point", dtype_is_floating_point, nullptr, "Whether elements are real floating point numbers.",
     nullptr},
    {"is_complex", dtype_is_complex, nullptr, "Whether elements are complex numbers.", nullptr},
    {"is_signed", dtype_is_signed, nullptr, "Whether elements have a sign.", nullptr},
    {}};

PyMethodDef dtype_methods[] = {
    {"__reduce__", constant_reduce, METH_NOARGS, nullptr},
    {"to_real", dtype_to_real, METH_NOARGS, "The dtype of the real part."},
    {"to_complex", dtype_to_complex, METH_NOARGS, "The complex dtype whose parts have this dtype."},
    {}};

PyTypeObject* new_constant_type(const char* name, PyMethodDef* methods, PyGetSetDef* properties) {
    PyType_Slot slots[] = {{Py_tp_repr, reinterpret_cast<void*>(constant_repr)},
                           {Py_tp_methods, methods},
                           {properties != nullptr ? Py_tp_getset : 0, properties},
                           {0, nullptr}};
    PyType_Spec spec = {name, sizeof(ConstantObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};
    return reinterpret_cast<PyTypeObject*>(Ref::steal(PyType_FromSpec(&spec)).release());
}

void add_constant(pybind11::module_& module, PyTypeObject* type, Constants& table, int64_t value,
                  const std::string& name) {
    Ref object = Ref::steal(type->tp_alloc(type, 0));
    auto* constant = reinterpret_cast<ConstantObject*>(object.get());
    constant->value = value;
    constant->name = Ref::steal(PyUnicode_InternFromString(name.c_str())).release();
    check_status(PyModule_AddObjectRef(module.ptr(), name.c_str(), object.get()));
    table.at(static_cast<size_t>(value)) = object.release();
}

void add_dtype(pybind11::module_& module, at::ScalarType dtype) {
    const std::string_view scalar_type = c10::toString(dtype);
    std::string name = lower(scalar_type);
    const char* alias = nullptr;
    for (const DtypeName& entry : kDtypeNames) {
        if (entry.scalar_type == scalar_type) {
            name = entry.name;
            alias = entry.alias;
        }
    }
    const auto value = static_cast<size_t>(dtype);
    add_constant(module, dtype_type, dtypes, static_cast<int64_t>(value), name);
    if (alias != nullptr) {
        check_status(PyModule_AddObjectRef(module.ptr(), alias, dtypes.at(value)));
    }
}

PyObject* known(const Constants& table, size_t value, const char* kind) {
    if (value >= table.size() || table[value] == nullptr) {
        raise(PyExc_RuntimeError, "libtorch has no %s number %zd", kind, static_cast<Py_ssize_t>(value));
    }
    return Py_NewRef(table[value]);
}

// device

at::Device parse_device(PyObject* object, PyObject* index) {
    at::Device device(at::kCPU);
    if (!read_device(object, device)) {
        raise(PyExc_TypeError, "device(): expected a string such as 'cuda:0', a device or an index, but got %s",
              Py_TYPE(object)->tp_name);
    }
    if (index == nullptr || index == Py_None) {
        return device;
    }
    if (device.has_index()) {
        raise(PyExc_RuntimeError, "type (string) must not include an index because index was passed explicitly: %s",
              device.str().c_str());
    }
    const long number = PyLong_AsLong(index);
    if (number == -1 && PyErr_Occurred() != nullptr) {
        throw PythonError();
    }
    if (number < 0 || number > 127) {
        raise(PyExc_RuntimeError, "Device index must be between 0 and 127, but got %ld", number);
    }
    return at::Device(device.type(), static_cast<at::DeviceIndex>(number));
}

PyObject* device_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&] {
        static const char* names[] = {"type", "index", nullptr};
        PyObject* type = nullptr;
        PyObject* index = nullptr;
        if (PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:device", const_cast<char**>(names), &type, &index) == 0) {
            throw PythonError();
        }
        return wrap(parse_device(type, index));
    });
}

at::Device device_of(PyObject* object) { return reinterpret_cast<DeviceObject*>(object)->device; }

PyObject* device_repr(PyObject* self) {
    const at::Device device = device_of(self);
    const std::string type = c10::DeviceTypeName(device.type(), /*lower_case=*/true);
    if (!device.has_index()) {
        return PyUnicode_FromFormat("device(type='%s')", type.c_str());
    }
    return PyUnicode_FromFormat("device(type='%s', index=%d)", type.c_str(), static_cast<int>(device.index()));
}

PyObject* device_str(PyObject* self) { return PyUnicode_FromString(device_of(self).str().c_str()); }

Py_hash_t device_hash(PyObject* self) {
    const at::Device device = device_of(self);
    return static_cast<Py_hash_t>(device.type()) * 256 + device.index() + 1;
}

PyObject* device_compare(PyObject* self, PyObject* other, int operation) {
    if (Py_TYPE(other) != device_type || (operation != Py_EQ && operation != Py_NE)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return boolean((device_of(self) == device_of(other)) == (operation == Py_EQ));
}

PyObject* device_get_type(PyObject* self, void*) {
    return PyUnicode_FromString(c10::DeviceTypeName(device_of(self).type(), /*lower_case=*/true).c_str());
}

PyObject* device_get_index(PyObject* self, void*) {
    return device_of(self).has_index() ? PyLong_FromLong(device_of(self).index()) : none();
}

PyObject* device_reduce(PyObject* self, PyObject*) {
    return Py_BuildValue("O(s)", reinterpret_cast<PyObject*>(device_type), device_of(self).str().c_str());
}

PyGetSetDef device_properties[] = {{"type", device_get_type, nullptr, "The kind of device, such as 'cuda'.", nullptr},
                                   {"index", device_get_index, nullptr, "Which of its kind, or None.", nullptr},
                                   {}};
PyMethodDef device_methods[] = {{"__reduce__", device_reduce, METH_NOARGS, nullptr}, {}};

PyTypeObject* new_device_type() {
    PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(device_new)},
                           {Py_tp_repr, reinterpret_cast<void*>(device_repr)},
                           {Py_tp_str, reinterpret_cast<void*>(device_str)},
                           {Py_tp_hash, reinterpret_cast<void*>(device_hash)},
                           {Py_tp_richcompare, reinterpret_cast<void*>(device_compare)},
                           {Py_tp_getset, device_properties},
                           {Py_tp_methods, device_methods},
                           {Py_tp_doc, const_cast<char*>("device(type, index=None)\n--\n\nWhere a tensor lies.")},
                           {0, nullptr}};
    PyType_Spec spec = {"libtorch_ffi.device", sizeof(DeviceObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                        slots};
    return reinterpret_cast<PyTypeObject*>(Ref::steal(PyType_FromSpec(&spec)).release());
}

// Size

PyObject* size_repr(PyObject* self) {
    return guarded([&] {
        Ref list = Ref::steal(PySequence_List(self));
        return PyUnicode_FromFormat("torch.Size(%R)", list.get());
    });
}

PyObject* as_size(PyObject* tuple) {
    Ref owned = Ref::steal(tuple);
    if (PyTuple_CheckExact(tuple) == 0) {
        return owned.release();
    }
    const Py_ssize_t length = PyTuple_GET_SIZE(tuple);
    Ref size = Ref::steal(size_type->tp_alloc(size_type, length));
    for (Py_ssize_t i = 0; i < length; ++i) {
        PyTuple_SET_ITEM(size.get(), i, Py_NewRef(PyTuple_GET_ITEM(tuple, i)));
    }
    return size.release();
}

/// The items of any iterable as ints; what counts as one, a tensor of an integer too, becomes one.
PyObject* size_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&] {
        static const char* names[] = {"", nullptr};
        PyObject* iterable = nullptr;
        if (PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Size", const_cast<char**>(names), &iterable) == 0) {
            throw PythonError();
        }
        const Ref items = Ref::steal(iterable == nullptr ? PyTuple_New(0) : PySequence_Tuple(iterable));
        const Py_ssize_t length = PyTuple_GET_SIZE(items.get());
        Ref size = Ref::steal(size_type->tp_alloc(size_type, length));
        for (Py_ssize_t i = 0; i < length; ++i) {
            PyObject* item = PyTuple_GET_ITEM(items.get(), i);
            if (PyIndex_Check(item) == 0) {
                raise(PyExc_TypeError, "torch.Size() takes an iterable of 'int' (item %zd is '%s')", i,
                      Py_TYPE(item)->tp_name);
            }
            PyTuple_SET_ITEM(size.get(), i, Ref::steal(PyNumber_Index(item)).release());
        }
        return size.release();
    });
}

PyObject* size_subscript(PyObject* self, PyObject* key) {
    return guarded([&] { return as_size(PyTuple_Type.tp_as_mapping->mp_subscript(self, key)); });
}

/// A number's addition, which Python asks for before a tuple's: `(1,) + shape` is a Size as well.
PyObject* size_add(PyObject* left, PyObject* right) {
    return guarded([&]() -> PyObject* {
        if (PyTuple_Check(left) == 0 || PyTuple_Check(right) == 0) {
            Py_RETURN_NOTIMPLEMENTED;
        }
        return as_size(PyTuple_Type.tp_as_sequence->sq_concat(left, right));
    });
}

PyObject* size_repeat(PyObject* self, Py_ssize_t times) {
    return guarded([&] { return as_size(PyTuple_Type.tp_as_sequence->sq_repeat(self, times)); });
}

PyObject* size_numel(PyObject* self, PyObject*) {
    return guarded([&] {
        int64_t product = 1;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
            const int64_t length = PyLong_AsLongLong(PyTuple_GET_ITEM(self, i));
            if (length == -1 && PyErr_Occurred() != nullptr) {
                throw PythonError();
            }
            product *= length;
        }
        return PyLong_FromLongLong(product);
    });
}

PyMethodDef size_methods[] = {{"numel", size_numel, METH_NOARGS, "How many elements a tensor of this shape has."}, {}};

PyTypeObject* new_size_type() {
    PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(size_new)},
                           {Py_tp_repr, reinterpret_cast<void*>(size_repr)},
                           {Py_mp_subscript, reinterpret_cast<void*>(size_subscript)},
                           {Py_nb_add, reinterpret_cast<void*>(size_add)},
                           {Py_sq_repeat, reinterpret_cast<void*>(size_repeat)},
                           {Py_tp_methods, size_methods},
                           {Py_tp_doc, const_cast<char*>("The shape of a tensor: a tuple of ints.")},
                           {0, nullptr}};
    PyType_Spec spec = {"libtorch_ffi.Size", 0, 0, Py_TPFLAGS_DEFAULT, slots};
    Ref bases = Ref::steal(PyTuple_Pack(1, reinterpret_cast<PyObject*>(&PyTuple_Type)));
    return reinterpret_cast<PyTypeObject*>(Ref::steal(PyType_FromSpecWithBases(&spec, bases.get())).release());
}

void add_type(pybind11::module_& module, const char* name, PyTypeObject* type) {
    check_status(PyModule_AddObjectRef(module.ptr(), name, reinterpret_cast<PyObject*>(type)));
}

void set_default_dtype(const pybind11::object& object) {
    at::ScalarType dtype{};
    if (!read_dtype(object.ptr(), dtype)) {
        raise(PyExc_TypeError, "set_default_dtype(): argument 'd' must be a dtype, not %s",
              Py_TYPE(object.ptr())->tp_name);
    }
    if (!at::isFloatingType(dtype)) {
        raise(PyExc_TypeError, "only floating-point types are supported as the default type");
    }
    c10::set_default_dtype(c10::scalarTypeToTypeMeta(dtype));
}

/// The kind of device that a number alone stands for; libtorch raises where there is none.
at::DeviceType accelerator() {
#if __has_include(<ATen/DeviceAccelerator.h>)
    return at::getAccelerator(/*checked=*/true).value();
#else
    return at::kCUDA;
#endif
}

}  // namespace

PyObject* wrap(at::ScalarType dtype) { return known(dtypes, static_cast<size_t>(dtype), "dtype"); }
PyObject* wrap(at::Layout layout) { return known(layouts, static_cast<size_t>(layout), "layout"); }
PyObject* wrap(at::MemoryFormat format) { return known(memory_formats, static_cast<size_t>(format), "memory format"); }
PyObject* wrap(at::QScheme scheme) { return known(qschemes, static_cast<size_t>(scheme), "qscheme"); }

PyObject* wrap(at::Device device) {
    Ref object = Ref::steal(device_type->tp_alloc(device_type, 0));
    reinterpret_cast<DeviceObject*>(object.get())->device = device;
    return object.release();
}

PyObject* wrap_size(at::IntArrayRef sizes) {
    Ref size = Ref::steal(size_type->tp_alloc(size_type, static_cast<Py_ssize_t>(sizes.size())));
    for (size_t i = 0; i < sizes.size(); ++i) {
        PyTuple_SET_ITEM(size.get(), static_cast<Py_ssize_t>(i), Ref::steal(PyLong_FromLongLong(sizes[i])).release());
    }
    return size.release();
}

PyObject* wrap(const at::Scalar& scalar) {
    if (scalar.isBoolean()) {
        return boolean(scalar.toBool());
    }
    if (scalar.isFloatingPoint()) {
        return PyFloat_FromDouble(scalar.toDouble());
    }
    if (scalar.isComplex()) {
        const auto value = scalar.toComplexDouble();
        return PyComplex_FromDoubles(value.real(), value.imag());
    }
    if (scalar.type() == unsigned64) {
        return PyLong_FromUnsignedLongLong(to_unsigned(scalar));
    }
    return PyLong_FromLongLong(scalar.toLong());
}

bool read_dtype(PyObject* object, at::ScalarType& dtype) {
    if (Py_TYPE(object) == dtype_type) {
        dtype = scalar_type_of(object);
    } else if (object == reinterpret_cast<PyObject*>(&PyFloat_Type)) {
        dtype = at::kDouble;
    } else if (object == reinterpret_cast<PyObject*>(&PyBool_Type)) {
        dtype = at::kBool;
    } else if (object == reinterpret_cast<PyObject*>(&PyLong_Type)) {
        dtype = at::kLong;
    } else if (object == reinterpret_cast<PyObject*>(&PyComplex_Type)) {
        dtype = at::kComplexDouble;
    } else {
        return false;
    }
    return true;
}

bool read_device(PyObject* object, at::Device& device) {
    if (Py_TYPE(object) == device_type) {
        device = device_of(object);
        return true;
    }
    if (PyUnicode_Check(object) != 0) {
        const char* text = PyUnicode_AsUTF8(object);
        if (text == nullptr) {
            throw PythonError();
        }
        device = at::Device(std::string(text));
        return true;
    }
    if (PyLong_CheckExact(object) != 0) {
        const long index = PyLong_AsLong(object);
        if (index < 0 || index > 127) {
            PyErr_Clear();
            raise(PyExc_RuntimeError, "Device index must be between 0 and 127, but got %R", object);
        }
        device = at::Device(accelerator(), static_cast<at::DeviceIndex>(index));
        return true;
    }
    return false;
}

void register_values(pybind11::module_& module) {
    dtype_type = new_constant_type("libtorch_ffi.dtype", dtype_methods, dtype_properties);
    layout_type = new_constant_type("libtorch_ffi.layout", constant_methods, nullptr);
    memory_format_type = new_constant_type("libtorch_ffi.memory_format", constant_methods, nullptr);
    qscheme_type = new_constant_type("libtorch_ffi.qscheme", constant_methods, nullptr);
    device_type = new_device_type();
    size_type = new_size_type();
    add_type(module, "dtype", dtype_type);
    add_type(module, "layout", layout_type);
    add_type(module, "memory_format", memory_format_type);
    add_type(module, "qscheme", qscheme_type);
    add_type(module, "device", device_type);
    add_type(module, "Size", size_type);
    for (int value = 0; value < static_cast<int>(at::ScalarType::Undefined); ++value) {
        add_dtype(module, static_cast<at::ScalarType>(value));
    }
    const std::pair<at::Layout, const char*> layout_names[] = {
        {at::kStrided, "strided"},      {at::kSparse, "sparse_coo"},    {at::kSparseCsr, "sparse_csr"},
        {at::kSparseCsc, "sparse_csc"}, {at::kSparseBsr, "sparse_bsr"}, {at::kSparseBsc, "sparse_bsc"},
        {at::kMkldnn, "_mkldnn"},
#if LTF_SINCE(2)
        {at::kJagged, "jagged"},
#endif
    };
    for (const auto& [layout, name] : layout_names) {
        add_constant(module, layout_type, layouts, static_cast<int64_t>(layout), name);
    }
    const std::pair<at::MemoryFormat, const char*> format_names[] = {
        {at::MemoryFormat::Contiguous, "contiguous_format"},
        {at::MemoryFormat::Preserve, "preserve_format"},
        {at::MemoryFormat::ChannelsLast, "channels_last"},
        {at::MemoryFormat::ChannelsLast3d, "channels_last_3d"},
    };
    for (const auto& [format, name] : format_names) {
        add_constant(module, memory_format_type, memory_formats, static_cast<int64_t>(format), name);
    }
    for (int value = 0; value < at::COMPILE_TIME_NUM_QSCHEMES; ++value) {
        const auto scheme = static_cast<at::QScheme>(value);
        add_constant(module, qscheme_type, qschemes, value, at::toString(scheme));
    }
    module.def(
        "get_default_dtype",
        [] { return pybind11::reinterpret_steal<pybind11::object>(wrap(c10::get_default_dtype_as_scalartype())); },
        "The dtype of floating point numbers where none is named.");
    module.def("set_default_dtype", &set_default_dtype, pybind11::arg("d"), "Sets that dtype.");
}

}  // namespace ltf
