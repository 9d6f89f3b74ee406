// Owns the Python face of libtorch's generators. A generator's lock is libtorch's: it is taken around each read or
// write of the state, as libtorch's own kernels take it.
#include "random.h"

#include <ATen/CPUGeneratorImpl.h>

#include <mutex>

#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

at::Generator new_generator(pybind11::object device) {
    at::Device place(at::kCPU);
    if (!read_device(device.ptr(), place)) {
        throw pybind11::type_error("Generator(): device must be a device or a string");
    }
    if (place.is_cpu()) {
        return at::make_generator<at::CPUGeneratorImpl>();
    }
    return at::globalContext().defaultGenerator(place).clone();
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

at::Generator seed_everything(const pybind11::int_& seed) {
    const uint64_t value = unpack_seed(seed);
    at::manual_seed(value);
    return at::globalContext().defaultGenerator(at::kCPU);
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
        .def(
            "get_state", [](at::Generator& self) { return self.get_state(); }, "Its state, a uint8 tensor.")
        .def(
            "set_state",
            [](at::Generator& self, const at::Tensor& state) {
                self.set_state(state);
                return self;
            },
            py::arg("state"), "Goes back to a state that get_state gave.")
        .def(
            "clone_state", [](at::Generator& self) { return self.clone(); }, "A generator with the same state.")
        .def_property_readonly(
            "device", [](const at::Generator& self) { return py::reinterpret_steal<py::object>(wrap(self.device())); });
    module.def("manual_seed", &seed_everything, py::arg("seed"),
               "Seeds every device's default generator and answers the CPU's.");
    module.def(
        "default_generator", [] { return at::globalContext().defaultGenerator(at::kCPU); },
        "The generator that the CPU's operators use where none is given.");
}

}  // namespace ltf
