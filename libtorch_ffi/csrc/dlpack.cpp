// Owns DLPack's capsules, both ways. The structures are the standard's, spelled out here: the header of older releases
// of libtorch has only those without a version. What streams wait for, and what is copied, is decided in Python
// (libtorch_ffi/_dlpack.py).
//
// A capsule is consumed once: its reader renames it, and from then on owns the memory's handle. A capsule that nobody
// consumed gives the handle back when it dies. A handle holds the storage and not the tensor, which may get another one
// (`data =`, `set_`).
#include "dlpack.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <limits>
#include <memory>

#include "releases.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

namespace py = pybind11;

// The standard's structures (dlpack.h of version 1.1), whose layout is an ABI

enum DeviceType : int32_t { kCPU = 1, kCUDA = 2, kCUDAHost = 3, kROCM = 10, kROCMHost = 11, kCUDAManaged = 13 };

enum TypeCode : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };

constexpr uint64_t kReadOnly = 1;
constexpr uint64_t kIsCopied = 2;
constexpr uint32_t kMajor = 1;
constexpr uint32_t kMinor = 1;

struct Device {
    int32_t type;
    int32_t index;
};

struct ElementType {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
};

struct Array {
    void* data;
    Device device;
    int32_t ndim;
    ElementType dtype;
    int64_t* shape;
    int64_t* strides;
    uint64_t byte_offset;
};

struct Unversioned {
    Array array;
    void* context;
    void (*deleter)(Unversioned*);

    static constexpr const char* fresh = "dltensor";
    static constexpr const char* used = "used_dltensor";
};

struct Versioned {
    uint32_t major;
    uint32_t minor;
    void* context;
    void (*deleter)(Versioned*);
    uint64_t flags;
    Array array;

    static constexpr const char* fresh = "dltensor_versioned";
    static constexpr const char* used = "used_dltensor_versioned";
};

// The vocabulary

/// Every dtype that DLPack has a name for. The codes from 10 on are 8-bit floating point formats.
constexpr std::pair<at::ScalarType, ElementType> kTypes[] = {
    {at::kByte, {kUInt, 8, 1}},
#if LTF_SINCE(3)
    {at::kUInt16, {kUInt, 16, 1}},
    {at::kUInt32, {kUInt, 32, 1}},
    {at::kUInt64, {kUInt, 64, 1}},
#endif
    {at::kChar, {kInt, 8, 1}},
    {at::kShort, {kInt, 16, 1}},
    {at::kInt, {kInt, 32, 1}},
    {at::kLong, {kInt, 64, 1}},
    {at::kHalf, {kFloat, 16, 1}},
    {at::kFloat, {kFloat, 32, 1}},
    {at::kDouble, {kFloat, 64, 1}},
    {at::kBFloat16, {kBfloat, 16, 1}},
    {at::kComplexHalf, {kComplex, 32, 1}},
    {at::kComplexFloat, {kComplex, 64, 1}},
    {at::kComplexDouble, {kComplex, 128, 1}},
    {at::kBool, {kBool, 8, 1}},
#if LTF_SINCE(1)
    {at::kFloat8_e4m3fn, {10, 8, 1}},
    {at::kFloat8_e5m2, {12, 8, 1}},
#endif
#if LTF_SINCE(2)
    {at::kFloat8_e4m3fnuz, {11, 8, 1}},
    {at::kFloat8_e5m2fnuz, {13, 8, 1}},
#endif
};

ElementType element_type(at::ScalarType dtype) {
    for (const auto& [ours, theirs] : kTypes) {
        if (ours == dtype) {
            return theirs;
        }
    }
    raise(PyExc_BufferError, "DLPack has no name for the dtype %s: convert the tensor to another first",
          c10::toString(dtype));
}

at::ScalarType dtype_of(ElementType type) {
    for (const auto& [ours, theirs] : kTypes) {
        if (theirs.code == type.code && theirs.bits == type.bits && theirs.lanes == type.lanes) {
            return ours;
        }
    }
    raise(PyExc_BufferError,
          "the DLPack capsule has elements of type code %d, %d bits, %d lanes, for which libtorch has no dtype",
          int{type.code}, int{type.bits}, int{type.lanes});
}

bool has_rocm() { return at::detail::getCUDAHooks().hasROCM(); }

Device place_of(const at::Tensor& tensor) {
    const at::Device device = tensor.device();
    if (device.is_cpu()) {
        return {kCPU, 0};
    }
    if (device.is_cuda()) {
        return {has_rocm() ? kROCM : kCUDA, device.index()};
    }
    raise(PyExc_BufferError, "a tensor on %s can't be exported by DLPack: copy it with cpu() first",
          device.str().c_str());
}

at::Device read_device_of(Device device) {
    switch (device.type) {
        case kCPU:
        case kCUDAHost:
        case kROCMHost:
            return at::Device(at::kCPU);
        case kCUDA:
        case kROCM:
        case kCUDAManaged:
            if (c10::impl::hasDeviceGuardImpl(at::kCUDA) && has_rocm() == (device.type == kROCM)) {
                return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device.index));
            }
            break;
        default:
            break;
    }
    raise(PyExc_BufferError,
          "the DLPack capsule lies on a device of type %d, for which this libtorch has no support: "
          "from_dlpack with device='cpu' asks its owner for a copy in the host's memory",
          static_cast<int>(device.type));
}

// Exporting

void check_dlpack_exportable(const at::Tensor& tensor) {
    const char* hindrance = tensor.requires_grad()            ? "requires grad: use tensor.detach()"
                            : tensor.layout() != at::kStrided ? "is not strided: use tensor.to_dense()"
                            : tensor.is_nested()              ? "is nested: use tensor.unbind()"
                            : tensor.is_conj()                ? "is conjugated lazily: use tensor.resolve_conj()"
                            : tensor.is_neg()                 ? "is negated lazily: use tensor.resolve_neg()"
                            : tensor._is_zerotensor()         ? "is a zero tensor without memory: use tensor.clone()"
                            : tensor.is_meta()                ? "is on the device meta and has no elements"
                                                              : nullptr;
    if (hindrance != nullptr) {
        raise(PyExc_BufferError, "can't export a tensor that %s", hindrance);
    }
}

/// What a consumer of a capsule owns.
template <class Managed>
struct Handle {
    Managed managed{};
    c10::Storage storage;
    c10::SmallVector<int64_t, 5> shape;
    c10::SmallVector<int64_t, 5> strides;
};

/// Called by the consumer, from whatever thread, with or without the GIL.
template <class Managed>
void delete_handle(Managed* managed) {
    delete static_cast<Handle<Managed>*>(managed->context);
}

void set_flags(Unversioned&, bool) {}
void set_flags(Versioned& managed, bool copied) {
    managed.major = kMajor;
    managed.minor = kMinor;
    managed.flags = copied ? kIsCopied : 0;
}

template <class Managed>
std::unique_ptr<Handle<Managed>> make_handle(const at::Tensor& tensor, bool copied) {
    auto handle = std::make_unique<Handle<Managed>>();
    handle->storage = tensor.storage();
    handle->storage.unsafeGetStorageImpl()->set_resizable(false);  // resizing would free what the consumer looks at
    for (int64_t i = 0; i < tensor.dim(); ++i) {
        handle->shape.push_back(tensor.size(i));
        // Of a dimension without a second element no stride is used, and some consumers refuse a strange one.
        handle->strides.push_back(tensor.size(i) < 2 ? 1 : tensor.stride(i));
    }
    Managed& managed = handle->managed;
    set_flags(managed, copied);
    managed.context = handle.get();
    managed.deleter = delete_handle<Managed>;
    managed.array = {tensor.data_ptr(),
                     place_of(tensor),
                     static_cast<int32_t>(tensor.dim()),
                     element_type(tensor.scalar_type()),
                     handle->shape.data(),
                     handle->strides.data(),
                     0};
    return handle;
}

/// The capsule dies: where nobody consumed it, the handle is still its own.
template <class Managed>
void destroy_capsule(PyObject* capsule) {
    if (PyCapsule_IsValid(capsule, Managed::fresh) != 0) {
        auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::fresh));
        if (managed->deleter != nullptr) {
            managed->deleter(managed);
        }
    }
}

template <class Managed>
PyObject* export_as(const at::Tensor& tensor, bool copied) {
    auto handle = make_handle<Managed>(tensor, copied);
    Ref capsule = Ref::steal(PyCapsule_New(&handle->managed, Managed::fresh, destroy_capsule<Managed>));
    handle.release();
    return capsule.release();
}

py::object to_capsule(const at::Tensor& tensor, bool versioned, bool copied) {
    check_dlpack_exportable(tensor);
    return py::reinterpret_steal<py::object>(versioned ? export_as<Versioned>(tensor, copied)
                                                       : export_as<Unversioned>(tensor, copied));
}

py::tuple device_pair(const at::Tensor& tensor) {
    const Device device = place_of(tensor);
    return py::make_tuple(static_cast<int>(device.type), static_cast<int>(device.index));
}

// Importing

/// Raises where the memory cannot be a tensor's; the capsule stays unconsumed then.
void check_importable(const Array& array) {
    constexpr int32_t most = 64;
    if (array.ndim < 0 || array.ndim > most || (array.ndim > 0 && array.shape == nullptr)) {
        raise(PyExc_BufferError, "the DLPack capsule has %d dimensions; a tensor may have 0 to %d",
              static_cast<int>(array.ndim), static_cast<int>(most));
    }
    for (int32_t i = 0; i < array.ndim; ++i) {
        const auto length = static_cast<long long>(array.shape[i]);
        if (length < 0) {
            raise(PyExc_BufferError, "the DLPack capsule has length %lld in dimension %d", length, int{i});
        }
        if (array.strides != nullptr && array.strides[i] < 0 && length > 1) {
            raise(
                PyExc_BufferError,
                "the DLPack capsule has stride %lld in dimension %d; tensors have no negative strides: copy the array "
                "first",
                static_cast<long long>(array.strides[i]), int{i});
        }
    }
}

/// Whether the elements can be counted, and the bytes that they span: libtorch ends the process where they cannot.
bool is_addressable(const Array& array, at::IntArrayRef strides) {
    int64_t count = 1;
    int64_t last = 0;
    bool overflows = false;
    for (int32_t i = 0; i < array.ndim; ++i) {
        int64_t reach = 0;
        overflows |= __builtin_mul_overflow(count, array.shape[i], &count);
        overflows |= __builtin_mul_overflow(std::max<int64_t>(array.shape[i] - 1, 0), strides[i], &reach);
        overflows |= __builtin_add_overflow(last, reach, &last);
    }
    constexpr int64_t widest = 16;
    constexpr int64_t most = std::numeric_limits<int64_t>::max() / widest;
    return !overflows && count < most && last < most;
}

c10::SmallVector<int64_t, 5> strides_of(const Array& array) {
    c10::SmallVector<int64_t, 5> strides(static_cast<size_t>(array.ndim), 1);
    for (int32_t i = array.ndim - 2; array.strides == nullptr && i >= 0; --i) {
        if (__builtin_mul_overflow(strides[i + 1], std::max<int64_t>(array.shape[i + 1], 1), &strides[i])) {
            strides[i] = std::numeric_limits<int64_t>::max();  // which nothing is addressable with
        }
    }
    for (int32_t i = 0; array.strides != nullptr && i < array.ndim; ++i) {
        strides[i] = std::max<int64_t>(array.strides[i], 0);  // a negative one is that of a single element
    }
    return strides;
}

void check_version(const Unversioned&) {}
void check_version(const Versioned& managed) {
    if (managed.major != kMajor) {
        raise(PyExc_BufferError, "the DLPack capsule is of version %u.%u; this package reads %u.x", managed.major,
              managed.minor, kMajor);
    }
}

uint64_t flags_of(const Unversioned&) { return 0; }
uint64_t flags_of(const Versioned& managed) { return managed.flags; }

/// The tensor and the flags of a capsule whose name is `Managed::fresh`.
template <class Managed>
py::tuple consume(PyObject* capsule) {
    auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::fresh));
    check_version(*managed);
    const Array& array = managed->array;
    check_importable(array);
    const at::Device device = read_device_of(array.device);
    const auto owns = std::make_shared<bool>(false);  // until the capsule is renamed, the handle is the capsule's
    const auto release = [managed, owns](void*) {
        if (*owns && managed->deleter != nullptr) {
            managed->deleter(managed);
        }
    };
    void* data = array.data == nullptr ? nullptr : static_cast<char*>(array.data) + array.byte_offset;
    const at::IntArrayRef sizes(array.shape, static_cast<size_t>(array.ndim));
    const auto strides = strides_of(array);
    if (!is_addressable(array, strides)) {
        raise(PyExc_BufferError, "the DLPack capsule has more elements than can be addressed");
    }
    const at::Tensor tensor =
        at::from_blob(data, sizes, strides, release, at::TensorOptions(dtype_of(array.dtype)).device(device), device);
    const uint64_t flags = flags_of(*managed);
    check_status(PyCapsule_SetName(capsule, Managed::used));
    *owns = true;
    return py::make_tuple(tensor, (flags & kReadOnly) != 0, (flags & kIsCopied) != 0);
}

py::tuple from_capsule(const py::object& capsule) {
    if (PyCapsule_IsValid(capsule.ptr(), Versioned::fresh) != 0) {
        return consume<Versioned>(capsule.ptr());
    }
    if (PyCapsule_IsValid(capsule.ptr(), Unversioned::fresh) != 0) {
        return consume<Unversioned>(capsule.ptr());
    }
    if (PyCapsule_IsValid(capsule.ptr(), Versioned::used) != 0 ||
        PyCapsule_IsValid(capsule.ptr(), Unversioned::used) != 0) {
        raise(PyExc_RuntimeError,
              "from_dlpack received a capsule that was consumed: a capsule makes one array; call __dlpack__() again");
    }
    raise(PyExc_TypeError, "from_dlpack takes an object with __dlpack__, or a DLPack capsule, not %s",
          Py_TYPE(capsule.ptr())->tp_name);
}

/// A stream of another library, by its address, which is also libtorch's number of it.
c10::Stream external_stream(const at::Tensor& tensor, int64_t address) {
    return c10::Stream(c10::Stream::UNSAFE, tensor.device(), address);
}

}  // namespace

void register_dlpack(py::module_& module) {
    module.def("dlpack_capsule", &to_capsule, py::arg("tensor"), py::arg("versioned"), py::arg("copied"),
               "A capsule over the tensor's memory.");
    module.def("dlpack_device", &device_pair, py::arg("tensor"), "DLPack's type and index of the tensor's device.");
    module.def("dlpack_tensor", &from_capsule, py::arg("capsule"),
               "A tensor over a capsule's memory, whether that is read-only, and whether it is a copy.");
    module.def("external_stream", &external_stream, py::arg("tensor"), py::arg("address"),
               "Another library's stream on the tensor's device.");
}

}  // namespace ltf
