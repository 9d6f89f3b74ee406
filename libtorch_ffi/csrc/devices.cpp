// Owns the bindings of streams, events and device memory. Everything goes through the interfaces that a backend
// registers with libc10 and libtorch_cpu, so that this extension links against a libtorch without CUDA, and finds CUDA
// where it is.
#include "devices.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/version.h>

#include <memory>
#include <string>
#include <utility>

#include "releases.h"
#include "values.h"

// Before 2.9 the statistics of a device's memory are functions of libtorch_cuda alone.
#if LTF_SINCE(9)
#define LTF_DEVICE_ALLOCATOR 1
#include <c10/core/CachingDeviceAllocator.h>
#else
#define LTF_DEVICE_ALLOCATOR 0
#endif

namespace ltf {
namespace {

namespace py = pybind11;
using c10::impl::VirtualGuardImpl;

/// The backend of a kind of device. libtorch's own error names no remedy, so the text is ours.
VirtualGuardImpl backend(at::DeviceType type) {
    if (!c10::impl::hasDeviceGuardImpl(type)) {
        const std::string name = c10::DeviceTypeName(type, /*lower_case=*/true);
        raise(PyExc_RuntimeError,
              "this libtorch has no support for %s devices: install a flavor that has (`libtorch-ffi list` names "
              "them), and "
              "build this package for it",
              name.c_str());
    }
    return VirtualGuardImpl(type);
}

at::DeviceType type_named(const std::string& name) { return at::Device(name).type(); }

/// A device with an index: the current one of its kind where it has none.
at::Device indexed(const VirtualGuardImpl& guard, at::Device device) {
    return device.has_index() ? device : guard.getDevice();
}

py::object device_object(at::Device device) { return py::reinterpret_steal<py::object>(wrap(device)); }

// Devices

int device_count(const std::string& type) {
    const at::DeviceType kind = type_named(type);
    return c10::impl::hasDeviceGuardImpl(kind) ? VirtualGuardImpl(kind).deviceCount() : 0;
}

int current_device(const std::string& type) { return backend(type_named(type)).getDevice().index(); }

int exchange_device(const std::string& type, int index) {
    const at::DeviceType kind = type_named(type);
    const VirtualGuardImpl guard = backend(kind);
    if (index < 0 || index >= guard.deviceCount()) {
        raise(PyExc_RuntimeError, "there is no %s device %d: this machine has %d", type.c_str(), index,
              static_cast<int>(guard.deviceCount()));
    }
    return guard.exchangeDevice(at::Device(kind, static_cast<at::DeviceIndex>(index))).index();
}

/// Waits for all work of a device. Releases of libtorch without the backend's own function wait for a default stream,
/// which on CUDA waits for every other.
template <class Guard>
void synchronize_with(const Guard& guard, at::Device device) {
    if (device.is_cuda()) {
        at::detail::getCUDAHooks().deviceSynchronize(device.index());
    } else {
        guard.synchronizeStream(guard.getDefaultStream(device));
    }
}

void synchronize_device(const py::handle& object) {
    const at::Device device = device_argument(object);
    const VirtualGuardImpl guard = backend(device.type());
    const WithoutGil released;
    synchronize_with(guard, indexed(guard, device));
}

// Streams

c10::Stream new_stream(const py::handle& object, int priority) {
    const at::Device device = device_argument(object);
    const VirtualGuardImpl guard = backend(device.type());
    return releases::new_stream(releases::Rank<1>(), guard, indexed(guard, device), priority);
}

c10::Stream current_stream(const py::handle& object) {
    const at::Device device = device_argument(object);
    const VirtualGuardImpl guard = backend(device.type());
    return guard.getStream(indexed(guard, device));
}

c10::Stream default_stream(const py::handle& object) {
    const at::Device device = device_argument(object);
    const VirtualGuardImpl guard = backend(device.type());
    return guard.getDefaultStream(indexed(guard, device));
}

c10::Stream exchange_stream(const c10::Stream& stream) { return backend(stream.device_type()).exchangeStream(stream); }

void synchronize_stream(const c10::Stream& stream) {
    const WithoutGil released;
    stream.synchronize();
}

// Events

std::unique_ptr<c10::Event> new_event(const std::string& type, bool enable_timing) {
    const at::DeviceType kind = type_named(type);
    backend(kind);
    const auto flag = enable_timing ? c10::EventFlag::BACKEND_DEFAULT : c10::EventFlag::PYTORCH_DEFAULT;
    return std::make_unique<c10::Event>(kind, flag);
}

double elapsed_time(const c10::Event& start, const c10::Event& end) {
    return releases::elapsed_time(releases::Rank<1>(), start, end);
}

void synchronize_event(const c10::Event& event) {
    const WithoutGil released;
    releases::synchronize(releases::Rank<1>(), event);
}

// Memory

#if LTF_DEVICE_ALLOCATOR

auto* allocator(at::Device device) {
    backend(device.type());
    return at::getDeviceAllocator(device.type());
}

template <class Stats>
void add_stats(py::dict& answer, const char* name, const Stats& stats) {
    const char* pools[] = {"all", "small_pool", "large_pool"};
    for (size_t pool = 0; pool < 3; ++pool) {
        const std::string prefix = std::string(name) + "." + pools[pool] + ".";
        answer[py::str(prefix + "current")] = stats[pool].current;
        answer[py::str(prefix + "peak")] = stats[pool].peak;
        answer[py::str(prefix + "allocated")] = stats[pool].allocated;
        answer[py::str(prefix + "freed")] = stats[pool].freed;
    }
}

py::dict memory_stats(const py::handle& object) {
    const at::Device device = device_argument(object);
    auto* memory = allocator(device);
    py::dict answer;
    if (!memory->initialized()) {
        return answer;
    }
    const auto stats = memory->getDeviceStats(indexed(backend(device.type()), device).index());
    add_stats(answer, "allocation", stats.allocation);
    add_stats(answer, "segment", stats.segment);
    add_stats(answer, "active", stats.active);
    add_stats(answer, "inactive_split", stats.inactive_split);
    add_stats(answer, "allocated_bytes", stats.allocated_bytes);
    add_stats(answer, "reserved_bytes", stats.reserved_bytes);
    add_stats(answer, "active_bytes", stats.active_bytes);
    add_stats(answer, "inactive_split_bytes", stats.inactive_split_bytes);
    add_stats(answer, "requested_bytes", stats.requested_bytes);
    answer["num_alloc_retries"] = stats.num_alloc_retries;
    answer["num_ooms"] = stats.num_ooms;
    answer["num_device_alloc"] = stats.num_device_alloc;
    answer["num_device_free"] = stats.num_device_free;
    return answer;
}

void empty_cache(const py::handle& object) {
    auto* memory = allocator(device_argument(object));
    const WithoutGil released;
    if (memory->initialized()) {
        memory->emptyCache();
    }
}

void reset_memory_stats(const py::handle& object, bool peak) {
    const at::Device device = device_argument(object);
    auto* memory = allocator(device);
    const auto index = indexed(backend(device.type()), device).index();
    if (!memory->initialized()) {
        return;
    }
    if (peak) {
        memory->resetPeakStats(index);
    } else {
        memory->resetAccumulatedStats(index);
    }
}

#else

[[noreturn]] void raise_without_allocator(const py::handle& object) {
    backend(device_argument(object).type());
    raise(PyExc_NotImplementedError,
          "libtorch %s tells and frees a device's cached memory only through libtorch_cuda's own functions, which this "
          "package "
          "does not link: build it against libtorch 2.9 or later (LIBTORCH_VERSION)",
          TORCH_VERSION);
}

py::dict memory_stats(const py::handle& object) { raise_without_allocator(object); }
void empty_cache(const py::handle& object) { raise_without_allocator(object); }
void reset_memory_stats(const py::handle& object, bool) { raise_without_allocator(object); }

#endif

void register_streams(py::module_& module) {
    py::class_<c10::Stream>(module, "Stream", "A queue of work of a device.")
        .def(py::init(&new_stream), py::arg("device"), py::arg("priority") = 0)
        .def_property_readonly("device", [](const c10::Stream& self) { return device_object(self.device()); })
        .def_property_readonly("device_index", [](const c10::Stream& self) { return int(self.device_index()); })
        .def_property_readonly("stream_id", &c10::Stream::id, "libtorch's number of it.")
        .def("query", &c10::Stream::query, "Whether all its work is done.")
        .def("synchronize", &synchronize_stream, "Waits until all its work is done.")
        .def("__eq__", [](const c10::Stream& self, const c10::Stream& other) { return self == other; })
        .def("__hash__", &c10::Stream::hash)
        .def("__repr__", [](const c10::Stream& self) {
            return "<libtorch_ffi.Stream " + std::to_string(self.id()) + " of " + self.device().str() + ">";
        });
    py::class_<c10::Event>(module, "Event", "A mark in the work of a stream.")
        .def(py::init(&new_event), py::arg("device_type"), py::arg("enable_timing") = false)
        .def_property_readonly("device", [](const c10::Event& self) { return device_object(self.device()); })
        .def(
            "record", [](c10::Event& self, const c10::Stream& stream) { self.record(stream); }, py::arg("stream"),
            "Sets the mark behind the work that the stream has now.")
        .def(
            "block", [](const c10::Event& self, const c10::Stream& stream) { self.block(stream); }, py::arg("stream"),
            "Lets a stream wait for the mark.")
        .def("query", &c10::Event::query, "Whether the work before the mark is done.")
        .def("elapsed_time", &elapsed_time, py::arg("end"), "Milliseconds from this mark to another.")
        .def("synchronize", &synchronize_event, "Waits until the work before the mark is done.");
    module.def("current_stream", &current_stream, py::arg("device"), "The stream that operators of this thread use.");
    module.def("default_stream", &default_stream, py::arg("device"), "The stream that a device begins with.");
    module.def("exchange_stream", &exchange_stream, py::arg("stream"),
               "Makes a stream its device's current one, and answers the one before it.");
}

}  // namespace

at::Device device_argument(const py::handle& object) {
    at::Device device(at::kCPU);
    if (!read_device(object.ptr(), device)) {
        raise(PyExc_TypeError, "a device was expected, not %s", Py_TYPE(object.ptr())->tp_name);
    }
    return device;
}

void register_devices(py::module_& module) {
    register_streams(module);
    module.def("device_count", &device_count, py::arg("device_type"), "How many devices of a kind there are.");
    module.def("current_device", &current_device, py::arg("device_type"), "The index of the current device of a kind.");
    module.def("exchange_device", &exchange_device, py::arg("device_type"), py::arg("index"),
               "Makes a device the current one of its kind, and answers the one before it.");
    module.def("synchronize", &synchronize_device, py::arg("device"), "Waits until all work of a device is done.");
    module.def("memory_stats", &memory_stats, py::arg("device"), "What the caching allocator of a device counts.");
    module.def("empty_cache", &empty_cache, py::arg("device"),
               "Gives cached memory that is not in use back to the device.");
    module.def("reset_memory_stats", &reset_memory_stats, py::arg("device"), py::arg("peak"),
               "Sets the peaks to the current values, or the sums to zero.");
}

}  // namespace ltf
