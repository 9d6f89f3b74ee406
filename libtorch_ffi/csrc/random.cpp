// Owns the Python face of libtorch's generators. A generator's lock is libtorch's: it is taken around each read or
// write of the state, as libtorch's own kernels take it.
#include "random.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <mutex>
#include <string>

#include "devices.h"
#include "releases.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

at::Generator default_generator(at::Device device) { return at::globalContext().defaultGenerator(device); }

/// A generator begins with libtorch's default seed; one that is not the CPU's is a reseeded copy of its device's own.
at::Generator new_generator(const pybind11::handle& device) {
    const at::Device place = device_argument(device);
    if (place.is_cpu()) {
        return at::make_generator<at::CPUGeneratorImpl>();
    }
    at::Generator generator = default_generator(place).clone();
    generator.set_current_seed(c10::default_rng_seed_val);
    return generator;
}

/// torch takes a seed in [-2**63, 2**64); a negative one wraps around.
uint64_t unpack_seed(const pybind11::int_& seed) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(seed.ptr(), &overflow);
    if (overflow == 0) {
        return static_cast<uint64_t>(value);
    }
    const unsigned long long wide = overflow > 0 ? PyLong_AsUnsignedLongLong(seed.ptr()) : 0;
    if (overflow < 0 || PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        throw pybind11::value_error("Overflow when unpacking long long: a seed lies in [-2**63, 2**64)");
    }
    return wide;
}

template <class Body>
auto locked(at::Generator& generator, Body&& body) {
    const std::lock_guard<std::mutex> guard(generator.mutex());
    return body();
}

at::Generator& manual_seed(at::Generator& self, const pybind11::int_& seed) {
    const uint64_t value = unpack_seed(seed);
    locked(self, [&] { self.set_current_seed(value); });
    return self;
}

at::Tensor get_state(at::Generator& self) {
    return locked(self, [&] { return self.get_state(); });
}

at::Generator& set_state(at::Generator& self, const at::Tensor& state) {
    if (state.scalar_type() != at::kByte || !state.is_cpu() || state.layout() != at::kStrided) {
        raise(PyExc_TypeError, "expected a torch.ByteTensor in the host's memory, but got a %s tensor on %s",
              c10::toString(state.scalar_type()), state.device().str().c_str());
    }
    locked(self, [&] { self.set_state(state); });
    return self;
}

at::Generator seed_everything(const pybind11::int_& seed) {
    const uint64_t value = unpack_seed(seed);
    at::manual_seed(value);
    return default_generator(at::kCPU);
}

at::Generator restored_generator(const pybind11::handle& device, const std::string& state) {
    at::Generator generator = new_generator(device);
    at::Tensor tensor = at::empty({static_cast<int64_t>(state.size())}, at::kByte);
    std::copy(state.begin(), state.end(), static_cast<char*>(tensor.data_ptr()));
    return set_state(generator, tensor);
}

}  // namespace

void register_random(pybind11::module_& module) {
    namespace py = pybind11;
    py::class_<at::Generator>(module, "Generator", "A source of random numbers on one device.")
        .def(py::init(&new_generator), py::arg("device") = "cpu")
        .def("manual_seed", &manual_seed, py::arg("seed"), "Sets the seed and answers itself.",
             py::return_value_policy::reference_internal)
        .def(
            "seed", [](at::Generator& self) { return locked(self, [&] { return self.seed(); }); },
            "Sets a seed that the system's source of randomness gives, and answers it.")
        .def(
            "initial_seed", [](at::Generator& self) { return self.current_seed(); }, "The seed that it was set to.")
        .def("get_state", &get_state, "Its state, a uint8 tensor.")
        .def("set_state", &set_state, py::arg("new_state"), "Goes back to a state that get_state gave.",
             py::return_value_policy::reference_internal)
#if LTF_SINCE(1)
        .def(
            "get_offset", [](at::Generator& self) { return locked(self, [&] { return self.get_offset(); }); },
            "How far a counter-based generator has come.")
        .def(
            "set_offset", [](at::Generator& self, uint64_t offset) { locked(self, [&] { self.set_offset(offset); }); },
            py::arg("offset"), "Sets that.")
#endif
        .def(
            "clone_state", [](at::Generator& self) { return self.clone(); }, "A generator with the same state.")
        .def("__reduce__",
             [](const py::object& self) {
                 const at::Tensor state = get_state(self.cast<at::Generator&>());
                 return py::make_tuple(
                     py::module_::import("libtorch_ffi.random").attr("restored"),
                     py::make_tuple(self.attr("device"), py::bytes(static_cast<const char*>(state.data_ptr()),
                                                                   static_cast<size_t>(state.numel()))));
             })
        .def("__eq__", [](const at::Generator& self, const at::Generator& other) { return self == other; })
        .def("__hash__",
             [](const at::Generator& self) { return std::hash<const void*>()(self.unsafeGetGeneratorImpl()); })
        .def_property_readonly(
            "device", [](const at::Generator& self) { return py::reinterpret_steal<py::object>(wrap(self.device())); });
    module.def("manual_seed", &seed_everything, py::arg("seed"),
               "Seeds every device's default generator and answers the CPU's.");
    module.def(
        "device_generator", [](const py::handle& device) { return default_generator(device_argument(device)); },
        py::arg("device"), "The generator that a device's operators use where none is given.");
    module.def("restored_generator", &restored_generator, py::arg("device"), py::arg("state"),
               "A generator in a state that is given as bytes.");
    module.attr("default_generator") = default_generator(at::kCPU);
}

}  // namespace ltf
