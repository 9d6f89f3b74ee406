// Owns what a tensor says of itself (size, stride, data_ptr, …) and its conversions (to, cpu, float, …). A conversion
// that has nothing to do answers the very object that it was called on, as torch's does.
#include "methods.h"

#include "convert.h"
#include "fastcall.h"
#include "kernel_scope.h"
#include "releases.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

// What a tensor says of itself

template <auto Function>
PyObject* fact(PyObject* self, PyObject*) {
    return guarded([&] { return Function(tensor_of(self)); });
}

PyObject* dim(const at::Tensor& self) { return PyLong_FromLongLong(self.dim()); }
PyObject* numel(const at::Tensor& self) { return PyLong_FromLongLong(self.numel()); }
PyObject* element_size(const at::Tensor& self) { return PyLong_FromLongLong(self.element_size()); }
PyObject* storage_offset(const at::Tensor& self) { return PyLong_FromLongLong(self.storage_offset()); }
PyObject* data_ptr(const at::Tensor& self) { return PyLong_FromVoidPtr(self.data_ptr()); }
PyObject* const_data_ptr(const at::Tensor& self) {
#if LTF_SINCE(1)
    return PyLong_FromVoidPtr(const_cast<void*>(self.const_data_ptr()));
#else
    return data_ptr(self);
#endif
}
PyObject* is_view(const at::Tensor& self) { return boolean(self.is_view()); }
// Asked of the tensor itself: as operators they would be asked of what a fallback made of it.
PyObject* is_conj(const at::Tensor& self) { return boolean(self.is_conj()); }
PyObject* is_neg(const at::Tensor& self) { return boolean(self.is_neg()); }
PyObject* is_zerotensor(const at::Tensor& self) { return boolean(self._is_zerotensor()); }
PyObject* is_inference(const at::Tensor& self) { return boolean(self.is_inference()); }
PyObject* is_dense(const at::Tensor& self) { return boolean(self.is_non_overlapping_and_dense()); }
PyObject* untyped_storage(const at::Tensor& self) { return pybind11::cast(self.storage()).release().ptr(); }

int64_t dimension(PyObject* object, const char* function) {
    int64_t index = 0;
    if (!read_int(object, index) && !read_int_tensor(object, index)) {
        raise(PyExc_TypeError, "%s(): argument 'dim' must be int, not %s", function, Py_TYPE(object)->tp_name);
    }
    return index;
}

PyObject* size(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    static constexpr Signature<1> signature = {"size", 1, {"dim"}};
    return guarded([&] {
        const at::Tensor& tensor = tensor_of(self);
        const auto [dim] = read_fastcall({values, count, names}, signature);
        if (dim == nullptr || dim == Py_None) {
            return wrap_size(tensor.sizes());
        }
        return PyLong_FromLongLong(tensor.size(dimension(dim, signature.function)));
    });
}

PyObject* strides(const at::Tensor& tensor) {
    const at::IntArrayRef values = tensor.strides();
    Ref result = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(values.size())));
    for (size_t i = 0; i < values.size(); ++i) {
        PyTuple_SET_ITEM(result.get(), static_cast<Py_ssize_t>(i),
                         Ref::steal(PyLong_FromLongLong(values[i])).release());
    }
    return result.release();
}

PyObject* stride(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    static constexpr Signature<1> signature = {"stride", 1, {"dim"}};
    return guarded([&] {
        const at::Tensor& tensor = tensor_of(self);
        const auto [dim] = read_fastcall({values, count, names}, signature);
        if (dim == nullptr || dim == Py_None) {
            return strides(tensor);
        }
        return PyLong_FromLongLong(tensor.stride(dimension(dim, signature.function)));
    });
}

std::optional<at::MemoryFormat> read_format(PyObject* object, const char* function) {
    if (object == nullptr || object == Py_None) {
        return std::nullopt;
    }
    if (Py_TYPE(object) != memory_format_type) {
        raise(PyExc_TypeError, "%s(): argument 'memory_format' must be a memory_format, not %s", function,
              Py_TYPE(object)->tp_name);
    }
    return static_cast<at::MemoryFormat>(constant_value(object));
}

PyObject* is_contiguous(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    static constexpr Signature<1> signature = {"is_contiguous", 0, {"memory_format"}};
    return guarded([&] {
        const auto [format] = read_fastcall({values, count, names}, signature);
        const auto wanted = read_format(format, signature.function).value_or(at::MemoryFormat::Contiguous);
        return boolean(tensor_of(self).is_contiguous(wanted));
    });
}

// Conversions

/// The handle itself where nothing was done, or a new one.
PyObject* wrap_or_same(PyObject* handle, at::Tensor result) {
    return tensor_of(handle).is_same(result) ? Py_NewRef(handle) : wrap(std::move(result));
}

PyObject* contiguous(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    static constexpr Signature<1> signature = {"contiguous", 0, {"memory_format"}};
    return guarded([&] {
        const auto [format] = read_fastcall({values, count, names}, signature);
        const auto wanted = read_format(format, signature.function).value_or(at::MemoryFormat::Contiguous);
        const at::Tensor& tensor = tensor_of(self);
        if (tensor.is_contiguous(wanted)) {
            return Py_NewRef(self);
        }
        CallFacts facts;
        facts.note(tensor);
        at::Tensor result;
        {
            const KernelScope scope(facts, Work::bounded);
            result = tensor.contiguous(wanted);
        }
        return wrap(std::move(result));
    });
}

/// What a conversion is asked for.
struct Request {
    std::optional<at::ScalarType> dtype = std::nullopt;
    std::optional<at::Device> device = std::nullopt;
    std::optional<at::MemoryFormat> format = std::nullopt;
    bool non_blocking = false;
    bool copies = false;

    bool is_met_by(const at::Tensor& tensor) const {
        return !copies && (!dtype.has_value() || *dtype == tensor.scalar_type()) &&
               (!device.has_value() || *device == tensor.device()) &&
               (!format.has_value() || *format == at::MemoryFormat::Preserve);
    }
};

PyObject* convert(PyObject* self, const Request& request) {
    const at::Tensor& tensor = tensor_of(self);
    if (request.is_met_by(tensor)) {
        return Py_NewRef(self);
    }
    CallFacts facts;
    facts.note(tensor);
    facts.on_cpu = facts.on_cpu && (!request.device.has_value() || request.device->is_cpu());
    at::Tensor result;
    {
        const KernelScope scope(facts, Work::bounded);
        const at::TensorOptions options =
            at::TensorOptions().dtype(as_optional(request.dtype)).device(as_optional(request.device));
        result = tensor.to(options, request.non_blocking, request.copies, as_optional(request.format));
    }
    return wrap_or_same(self, std::move(result));
}

void set_dtype(Request& request, PyObject* object) {
    at::ScalarType dtype{};
    if (object == nullptr || object == Py_None) {
        return;
    }
    if (!read_dtype(object, dtype)) {
        raise(PyExc_TypeError, "to(): argument 'dtype' must be a dtype, not %s", Py_TYPE(object)->tp_name);
    }
    request.dtype = dtype;
}

void set_device(Request& request, PyObject* object, const char* function) {
    at::Device device(at::kCPU);
    if (object == nullptr || object == Py_None) {
        return;
    }
    if (!read_device(object, device)) {
        raise(PyExc_TypeError, "%s(): argument 'device' must be a device, a str or an int, not %s", function,
              Py_TYPE(object)->tp_name);
    }
    request.device = device;
}

void set_flags(Request& request, PyObject* non_blocking, PyObject* copy, PyObject* format, const char* function) {
    request.non_blocking = read_flag(non_blocking, false, function, "non_blocking");
    request.copies = read_flag(copy, false, function, "copy");
    request.format = read_format(format, function);
}

void read_to_other(Request& request, const Fastcall& call) {
    static constexpr Signature<4> signature = {"to", 3, {"other", "non_blocking", "copy", "memory_format"}};
    const auto [other, non_blocking, copy, format] = read_fastcall(call, signature);
    if (!is_tensor(other)) {
        raise(PyExc_TypeError, "to(): argument 'other' must be a Tensor, not %s", Py_TYPE(other)->tp_name);
    }
    request.dtype = tensor_of(other).scalar_type();
    request.device = tensor_of(other).device();
    set_flags(request, non_blocking, copy, format, signature.function);
}

void read_to_dtype(Request& request, const Fastcall& call) {
    static constexpr Signature<4> signature = {"to", 3, {"dtype", "non_blocking", "copy", "memory_format"}};
    const auto [dtype, non_blocking, copy, format] = read_fastcall(call, signature);
    set_dtype(request, dtype);
    set_flags(request, non_blocking, copy, format, signature.function);
}

void read_to_device(Request& request, const Fastcall& call) {
    static constexpr Signature<5> signature = {"to", 4, {"device", "dtype", "non_blocking", "copy", "memory_format"}};
    const auto [device, dtype, non_blocking, copy, format] = read_fastcall(call, signature);
    set_device(request, device, signature.function);
    set_dtype(request, dtype);
    set_flags(request, non_blocking, copy, format, signature.function);
}

/// to(dtype, …), to(device, dtype, …), to(other, …): the first argument tells which.
PyObject* to(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    return guarded([&] {
        const Fastcall call{values, count, names};
        Request request;
        at::ScalarType dtype{};
        if (count > 0 && read_dtype(values[0], dtype)) {
            read_to_dtype(request, call);
        } else if ((count > 0 && is_tensor(values[0])) || (count == 0 && call.keyword("other") != nullptr)) {
            read_to_other(request, call);
        } else {
            read_to_device(request, call);
        }
        return convert(self, request);
    });
}

template <at::ScalarType dtype>
PyObject* cast(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    static const Signature<1> signature = {c10::toString(dtype), 0, {"memory_format"}};
    return guarded([&] {
        const auto [format] = read_fastcall({values, count, names}, signature);
        Request request;
        request.dtype = dtype;
        request.format = read_format(format, signature.function);
        return convert(self, request);
    });
}

PyObject* cpu(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    static constexpr Signature<1> signature = {"cpu", 0, {"memory_format"}};
    return guarded([&] {
        const auto [format] = read_fastcall({values, count, names}, signature);
        Request request;
        request.device = at::kCPU;
        request.format = read_format(format, signature.function);
        return convert(self, request);
    });
}

PyObject* cuda(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) {
    static constexpr Signature<3> signature = {"cuda", 2, {"device", "non_blocking", "memory_format"}};
    return guarded([&] {
        const auto [device, non_blocking, format] = read_fastcall({values, count, names}, signature);
        Request request;
        request.device = at::Device(at::kCUDA);
        set_device(request, device, signature.function);
        if (!request.device->is_cuda()) {
            raise(PyExc_RuntimeError, "Invalid device, must be cuda device, not %s", request.device->str().c_str());
        }
        set_flags(request, non_blocking, nullptr, format, signature.function);
        return convert(self, request);
    });
}

}  // namespace

void add_methods(std::vector<PyMethodDef>& methods) {
    constexpr int keywords = METH_FASTCALL | METH_KEYWORDS;
    const PyMethodDef own[] = {
        {"dim", fact<dim>, METH_NOARGS, "The number of dimensions."},
        {"ndimension", fact<dim>, METH_NOARGS, "The number of dimensions."},
        {"numel", fact<numel>, METH_NOARGS, "The number of elements."},
        {"nelement", fact<numel>, METH_NOARGS, "The number of elements."},
        {"element_size", fact<element_size>, METH_NOARGS, "Bytes that an element takes."},
        {"storage_offset", fact<storage_offset>, METH_NOARGS, "Where in its storage the first element lies."},
        {"data_ptr", fact<data_ptr>, METH_NOARGS, "The address of the first element."},
        {"const_data_ptr", fact<const_data_ptr>, METH_NOARGS, "The same, for reading only."},
        {"untyped_storage", fact<untyped_storage>, METH_NOARGS, "The memory that it is a view of."},
        {"is_conj", fact<is_conj>, METH_NOARGS, "Whether its elements are still to be conjugated."},
        {"is_neg", fact<is_neg>, METH_NOARGS, "Whether its elements are still to be negated."},
        {"is_inference", fact<is_inference>, METH_NOARGS, "Whether inference mode made it."},
        {"_is_zerotensor", fact<is_zerotensor>, METH_NOARGS, "Whether it is zeros without memory."},
        {"_is_view", fact<is_view>, METH_NOARGS, "Whether it is a view of another tensor."},
        {"_is_dense", fact<is_dense>, METH_NOARGS,
         "Whether its elements fill their memory, each in a place of its own."},
        {"size", as_fastcall(size), keywords, "size(dim=None): the lengths of all dimensions, or of one."},
        {"stride", as_fastcall(stride), keywords, "stride(dim=None): the elements from one index to the next."},
        {"is_contiguous", as_fastcall(is_contiguous), keywords, "Whether its elements lie in the order of a format."},
        {"contiguous", as_fastcall(contiguous), keywords, "Itself, or a copy whose elements lie in order."},
        {"to", as_fastcall(to), keywords,
         "to(dtype, …), to(device=None, dtype=None, …), to(other, …), each with non_blocking=False, copy=False, "
         "memory_format=None: itself where nothing changes, or a converted copy."},
        {"cpu", as_fastcall(cpu), keywords, "Itself, or a copy in the host's memory."},
        {"cuda", as_fastcall(cuda), keywords, "Itself, or a copy on a CUDA device."},
        {"bool", as_fastcall(cast<at::kBool>), keywords, "As torch.bool."},
        {"byte", as_fastcall(cast<at::kByte>), keywords, "As torch.uint8."},
        {"char", as_fastcall(cast<at::kChar>), keywords, "As torch.int8."},
        {"short", as_fastcall(cast<at::kShort>), keywords, "As torch.int16."},
        {"int", as_fastcall(cast<at::kInt>), keywords, "As torch.int32."},
        {"long", as_fastcall(cast<at::kLong>), keywords, "As torch.int64."},
        {"half", as_fastcall(cast<at::kHalf>), keywords, "As torch.float16."},
        {"bfloat16", as_fastcall(cast<at::kBFloat16>), keywords, "As torch.bfloat16."},
        {"float", as_fastcall(cast<at::kFloat>), keywords, "As torch.float32."},
        {"double", as_fastcall(cast<at::kDouble>), keywords, "As torch.float64."},
        {"chalf", as_fastcall(cast<at::kComplexHalf>), keywords, "As torch.complex32."},
        {"cfloat", as_fastcall(cast<at::kComplexFloat>), keywords, "As torch.complex64."},
        {"cdouble", as_fastcall(cast<at::kComplexDouble>), keywords, "As torch.complex128."},
    };
    methods.insert(methods.end(), std::begin(own), std::end(own));
}

}  // namespace ltf
