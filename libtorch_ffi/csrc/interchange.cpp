// Owns the sharing of memory through Python's buffer protocol, which NumPy, array and memoryview speak, and the choice
// of a protocol where an object has others. DLPack itself is dlpack.cpp's.
#include "interchange.h"

#include <memory>
#include <string_view>

#include "releases.h"
#include "tensor.h"

namespace ltf {
namespace {

// Importing

at::ScalarType integer_dtype(bool is_signed, Py_ssize_t bytes) {
    switch (bytes) {
        case 1:
            return is_signed ? at::kChar : at::kByte;
        case 2:
            return is_signed ? at::kShort : unsigned16;
        case 4:
            return is_signed ? at::kInt : unsigned32;
        default:
            return is_signed ? at::kLong : unsigned64;
    }
}

/// The dtype of a format of PEP 3118.
at::ScalarType dtype_of_format(const char* text, Py_ssize_t bytes) {
    std::string_view format = text == nullptr ? "B" : text;
    const bool swapped = !format.empty() && (format[0] == '>' || format[0] == '!');
    if (!format.empty() && std::string_view("@=<>!").find(format[0]) != std::string_view::npos) {
        format.remove_prefix(1);
    }
    if (!swapped || bytes == 1) {
        if (format.size() == 1 && std::string_view("bhilqn").find(format[0]) != std::string_view::npos) {
            return integer_dtype(true, bytes);
        }
        const bool is_unsigned = format.size() == 1 && std::string_view("BHILQN").find(format[0]) != format.npos;
        if (is_unsigned && integer_dtype(false, bytes) != at::ScalarType::Undefined) {
            return integer_dtype(false, bytes);
        }
        const std::pair<std::string_view, at::ScalarType> others[] = {
            {"?", at::kBool},         {"e", at::kHalf},          {"f", at::kFloat},          {"d", at::kDouble},
            {"Ze", at::kComplexHalf}, {"Zf", at::kComplexFloat}, {"Zd", at::kComplexDouble},
        };
        for (const auto& [name, dtype] : others) {
            if (format == name) {
                return dtype;
            }
        }
    }
    raise(PyExc_TypeError,
          "can't convert a buffer of format '%s'. The supported types are: float64, float32, float16, complex64, "
          "complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool, in native byte order",
          text == nullptr ? "B" : text);
}

/// Gives a buffer back, from whatever thread drops the last tensor over it.
void release(Py_buffer* buffer) {
    if (Py_IsInitialized() != 0) {
        const WithGil held;
        PyBuffer_Release(buffer);
        delete buffer;
    }
}

struct PendingBuffer {
    explicit PendingBuffer(PyObject* object) : buffer(new Py_buffer()) {
        if (PyObject_GetBuffer(object, buffer, PyBUF_FULL_RO) < 0) {
            delete buffer;
            throw PythonError();
        }
    }
    PendingBuffer(const PendingBuffer&) = delete;
    PendingBuffer& operator=(const PendingBuffer&) = delete;
    ~PendingBuffer() {
        if (buffer != nullptr) {
            PyBuffer_Release(buffer);
            delete buffer;
        }
    }
    Py_buffer* buffer;
};

int64_t element_stride(const Py_buffer& buffer, int dimension) {
    const Py_ssize_t stride = buffer.strides[dimension];
    if (stride < 0) {
        raise(PyExc_ValueError,
              "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
              "currently supported. (You can probably work around this by making a copy of your array with "
              "array.copy().)");
    }
    if (stride % buffer.itemsize != 0) {
        raise(
            PyExc_ValueError,
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the "
            "memory.");
    }
    return stride / buffer.itemsize;
}

at::Tensor tensor_over(PendingBuffer& pending, bool shares) {
    const Py_buffer& buffer = *pending.buffer;
    const at::ScalarType dtype = dtype_of_format(buffer.format, buffer.itemsize);
    c10::SmallVector<int64_t, 5> sizes;
    c10::SmallVector<int64_t, 5> strides;
    for (int i = 0; i < buffer.ndim; ++i) {
        sizes.push_back(buffer.shape[i]);
        strides.push_back(element_stride(buffer, i));
    }
    const bool is_number = buffer.ndim == 0 && buffer.readonly != 0;  // one of NumPy's, which nobody means to share
    if (shares && buffer.readonly != 0 && !is_number) {
        check_status(PyErr_WarnEx(PyExc_UserWarning,
                                  "The given buffer is not writable, and tensors do not know that: writing to the "
                                  "tensor writes to the buffer. "
                                  "Copy it first to protect its data.",
                                  1));
    }
    Py_buffer* owned = std::exchange(pending.buffer, nullptr);
    const at::Tensor view =
        at::from_blob(owned->buf, sizes, strides, [owned](void*) { release(owned); }, at::TensorOptions(dtype));
    return is_number ? view.clone() : view;
}

bool type_has(PyObject* object, const char* name) {
    return PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object)), name) != 0;
}

at::Tensor tensor_from_dlpack(PyObject* object, bool shares) {
    const auto view = pybind11::module_::import("libtorch_ffi._dlpack").attr("view");
    return view(pybind11::handle(object), shares).cast<at::Tensor>();
}

// Exporting

/// What a reader of a buffer looks at. It holds the storage itself: the tensor may get another one (`data =`, `set_`).
struct Exported {
    c10::Storage storage;
    c10::SmallVector<Py_ssize_t, 5> shape;
    c10::SmallVector<Py_ssize_t, 5> strides;
};

/// The format of PEP 3118 for a dtype, or null where there is none (bfloat16, quantized, …).
const char* format_of(at::ScalarType dtype) {
    // C's long where it has 64 bits: NumPy's int64 is that one, and its longlong another type of the same size.
    constexpr bool wide = sizeof(long) == sizeof(int64_t);
    const std::pair<at::ScalarType, const char*> formats[] = {
        {at::kBool, "?"},
        {at::kChar, "b"},
        {at::kByte, "B"},
        {at::kShort, "h"},
        {at::kInt, "i"},
        {at::kLong, wide ? "l" : "q"},
        {at::kHalf, "e"},
        {at::kFloat, "f"},
        {at::kDouble, "d"},
        {at::kComplexFloat, "Zf"},
        {at::kComplexDouble, "Zd"},
        {unsigned16, "H"},
        {unsigned32, "I"},
        {unsigned64, wide ? "L" : "Q"},
    };
    for (const auto& [known, format] : formats) {
        if (known == dtype) {
            return format;
        }
    }
    return nullptr;
}

/// Raises what torch's numpy() raises where a tensor's memory is not what a reader of a buffer would take it for.
void check_exportable(const at::Tensor& tensor) {
    if (!tensor.is_cpu()) {
        raise(PyExc_TypeError,
              "can't convert %s device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.",
              tensor.device().str().c_str());
    }
    if (tensor.layout() != at::kStrided) {
        raise(PyExc_TypeError, "can't convert a sparse tensor to numpy. Use Tensor.to_dense() first.");
    }
    if (tensor.requires_grad() && at::GradMode::is_enabled()) {
        raise(PyExc_RuntimeError,
              "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.");
    }
    if (tensor.is_conj()) {
        raise(PyExc_RuntimeError,
              "Can't call numpy() on Tensor that has conjugate bit set. Use tensor.resolve_conj().numpy() instead.");
    }
    if (tensor.is_neg()) {
        raise(PyExc_RuntimeError,
              "Can't call numpy() on Tensor that has negative bit set. Use tensor.resolve_neg().numpy() instead.");
    }
    if (tensor._is_zerotensor()) {
        raise(PyExc_RuntimeError, "Cannot convert a ZeroTensor to numpy. Set force=True if you need the zero array.");
    }
    if (format_of(tensor.scalar_type()) == nullptr) {
        raise(PyExc_TypeError, "Got unsupported ScalarType %s", c10::toString(tensor.scalar_type()));
    }
}

void export_buffer(PyObject* self, Py_buffer* view, int flags) {
    const at::Tensor& tensor = tensor_of(self);
    check_exportable(tensor);
    const bool strided = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
    if (!strided && !tensor.is_contiguous()) {
        raise(PyExc_BufferError, "the tensor is not contiguous, and its reader knows no strides");
    }
    auto exported = std::make_unique<Exported>();
    exported->storage = tensor.storage();
    exported->storage.unsafeGetStorageImpl()->set_resizable(false);  // resizing would free what the reader looks at
    const auto bytes = static_cast<Py_ssize_t>(tensor.itemsize());
    for (int64_t i = 0; i < tensor.dim(); ++i) {
        exported->shape.push_back(static_cast<Py_ssize_t>(tensor.size(i)));
        exported->strides.push_back(static_cast<Py_ssize_t>(tensor.stride(i)) * bytes);
    }
    view->buf = tensor.data_ptr();
    view->len = static_cast<Py_ssize_t>(tensor.numel()) * bytes;
    view->itemsize = bytes;
    view->readonly = 0;
    view->ndim = static_cast<int>(tensor.dim());
    view->format = (flags & PyBUF_FORMAT) != 0 ? const_cast<char*>(format_of(tensor.scalar_type())) : nullptr;
    view->shape = (flags & PyBUF_ND) != 0 ? exported->shape.data() : nullptr;
    view->strides = strided ? exported->strides.data() : nullptr;
    view->suboffsets = nullptr;
    view->internal = exported.release();
    view->obj = Py_NewRef(self);
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
    view->obj = nullptr;
    const int status = guarded_status([&] { export_buffer(self, view, flags); });
    if (status < 0 && PyErr_ExceptionMatches(PyExc_BufferError) == 0) {
        PyObject* type = nullptr;
        PyObject* value = nullptr;
        PyObject* traceback = nullptr;
        PyErr_Fetch(&type, &value, &traceback);
        PyErr_Format(PyExc_BufferError, "%S", value);  // the only error that readers of buffers know
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    }
    return status;
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Exported*>(view->internal); }

/// NumPy's asarray, borrowed; looked up once.
PyObject* numpy_asarray() {
    static PyObject* found = nullptr;
    if (found == nullptr) {
        const Ref numpy = Ref::steal(PyImport_ImportModule("numpy"));
        found = Ref::steal(PyObject_GetAttrString(numpy.get(), "asarray")).release();
    }
    return found;
}

/// A handle of the tensor's elements in the host's memory, as they are meant.
Ref forced(const at::Tensor& tensor) {
    const at::Tensor resolved = tensor.detach().cpu().resolve_conj().resolve_neg();
    return Ref::steal(wrap(resolved._is_zerotensor() ? at::zeros(resolved.sizes(), resolved.options()) : resolved));
}

pybind11::object numpy(const pybind11::object& self, bool force) {
    const Ref handle = force ? forced(tensor_of(self.ptr())) : Ref::borrow(self.ptr());
    check_exportable(tensor_of(handle.get()));
    const Ref memory = Ref::steal(PyMemoryView_FromObject(handle.get()));
    return pybind11::reinterpret_steal<pybind11::object>(
        Ref::steal(PyObject_CallOneArg(numpy_asarray(), memory.get())).release());
}

}  // namespace

bool is_array(PyObject* object) {
    return !is_tensor(object) && PyObject_CheckBuffer(object) != 0 && type_has(object, "__array_interface__");
}

at::Tensor tensor_from_buffer(PyObject* object, bool shares) {
    try {
        PendingBuffer pending(object);
        return tensor_over(pending, shares);
    } catch (const PythonError&) {
        // Some arrays have no buffer for some dtypes, such as bfloat16, and DLPack for all.
        if (PyErr_ExceptionMatches(PyExc_BufferError) == 0 || !type_has(object, "__dlpack__")) {
            throw;
        }
        PyErr_Clear();
        return tensor_from_dlpack(object, shares);
    }
}

at::Tensor tensor_from_offer(PyObject* object, bool shares) {
    if (PyList_CheckExact(object) != 0 || PyTuple_CheckExact(object) != 0 || PyFloat_Check(object) != 0 ||
        PyLong_Check(object) != 0 || PyComplex_Check(object) != 0) {
        return {};  // what nearly every call has, sooner than by two names that are looked up in vain
    }
    if (PyCapsule_CheckExact(object) != 0 || type_has(object, "__dlpack__")) {
        return tensor_from_dlpack(object, shares);
    }
    if (!type_has(object, "__array__")) {
        return {};
    }
    const Ref array = Ref::steal(PyObject_CallMethod(object, "__array__", nullptr));
    if (PyObject_CheckBuffer(array.get()) == 0) {
        raise(PyExc_TypeError, "%s.__array__() answered no array, but %s", Py_TYPE(object)->tp_name,
              Py_TYPE(array.get())->tp_name);
    }
    return tensor_from_buffer(array.get(), shares);
}

void add_interchange_slots(std::vector<PyType_Slot>& slots) {
    slots.push_back({Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)});
    slots.push_back({Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)});
}

void register_interchange(pybind11::module_& module) {
    namespace py = pybind11;
    module.def(
        "from_numpy",
        [](const py::object& array) {
            if (is_tensor(array.ptr()) || PyObject_CheckBuffer(array.ptr()) == 0) {
                raise(PyExc_TypeError, "expected np.ndarray (got %s)", Py_TYPE(array.ptr())->tp_name);
            }
            return tensor_from_buffer(array.ptr(), true);
        },
        py::arg("array"), "A tensor over the memory of a NumPy array (or of any object with the buffer protocol).");
    module.def("to_numpy", &numpy, py::arg("self"), py::arg("force") = false,
               "A NumPy array over the tensor's memory; `force` copies where it has to.");
}

}  // namespace ltf
