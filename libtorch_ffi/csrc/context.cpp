// Owns the bindings of at::Context, of the thread pools and of autocast. A switch is a name and two functions; the
// names are those of torch.backends, with the backend in front.
#include "context.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <functional>
#include <string>
#include <type_traits>

#include "autocast.h"
#include "releases.h"
#include "values.h"

namespace ltf {
namespace {

using at::Context;

/// A switch of libtorch's context; one that this release lacks has no functions.
struct Switch {
    const char* name;
    std::function<bool()> get;
    std::function<void(bool)> set;
};

template <class Get, class Set>
Switch switch_if(const char* name, Get get, Set set) {
    if constexpr (std::is_invocable_v<Get, Context&> && std::is_invocable_v<Set, Context&, bool>) {
        return {name, [get] { return get(at::globalContext()); },
                [set](bool value) { set(at::globalContext(), value); }};
    } else {
        return {name, nullptr, nullptr};
    }
}

#define LTF_SWITCH(name, getter, setter)                                                    \
    switch_if(                                                                              \
        name, [](auto& context) -> decltype(context.getter()) { return context.getter(); }, \
        [](auto& context, bool value) -> decltype(context.setter(value)) { context.setter(value); })

const Switch kSwitches[] = {
    LTF_SWITCH("cudnn.enabled", userEnabledCuDNN, setUserEnabledCuDNN),
    LTF_SWITCH("cudnn.benchmark", benchmarkCuDNN, setBenchmarkCuDNN),
    LTF_SWITCH("cudnn.deterministic", deterministicCuDNN, setDeterministicCuDNN),
    LTF_SWITCH("cudnn.allow_tf32", allowTF32CuDNN, setAllowTF32CuDNN),
    LTF_SWITCH("cuda.matmul.allow_tf32", allowTF32CuBLAS, setAllowTF32CuBLAS),
    LTF_SWITCH("mkldnn.enabled", userEnabledMkldnn, setUserEnabledMkldnn),
    LTF_SWITCH("mkldnn.deterministic", deterministicMkldnn, setDeterministicMkldnn),
    LTF_SWITCH("nnpack.enabled", userEnabledNNPACK, setUserEnabledNNPACK),
    LTF_SWITCH("cuda.flash_sdp", userEnabledFlashSDP, setSDPUseFlash),
    LTF_SWITCH("cuda.mem_efficient_sdp", userEnabledMemEfficientSDP, setSDPUseMemEfficient),
    LTF_SWITCH("cuda.math_sdp", userEnabledMathSDP, setSDPUseMath),
    LTF_SWITCH("cuda.cudnn_sdp", userEnabledCuDNNSDP, setSDPUseCuDNN),
    LTF_SWITCH("cpu.allow_fp16_reduction", allowFP16ReductionCPU, setAllowFP16ReductionCPU),
    LTF_SWITCH("deterministic.fill_uninitialized_memory", deterministicFillUninitializedMemory,
               setDeterministicFillUninitializedMemory),
};

#undef LTF_SWITCH

const Switch& find_switch(const std::string& name) {
    for (const Switch& entry : kSwitches) {
        if (name == entry.name && entry.get != nullptr) {
            return entry;
        }
    }
    throw pybind11::value_error("libtorch " + std::string(TORCH_VERSION) + " has no switch " + name);
}

/// What the library was built with.
pybind11::dict features() {
    pybind11::dict found;
    found["mkl"] = Context::hasMKL();
    found["mkldnn"] = Context::hasMKLDNN();
    found["openmp"] = Context::hasOpenMP();
    found["lapack"] = Context::hasLAPACK();
    // Not Context::hasCUDA(), which asks for a device that can be used.
    found["cuda"] = c10::impl::hasDeviceGuardImpl(at::kCUDA);
    found["cudnn"] = at::detail::getCUDAHooks().compiledWithCuDNN();
    found["mps"] = c10::impl::hasDeviceGuardImpl(at::kMPS);
    found["xpu"] = c10::impl::hasDeviceGuardImpl(at::kXPU);
    found["xnnpack"] = Context::isXNNPACKAvailable();
    return found;
}

int checked_threads(int threads, const char* function) {
    if (threads <= 0) {
        raise(PyExc_RuntimeError, "%s expects a positive integer", function);
    }
    return threads;
}

std::string matmul_precision() {
    switch (at::globalContext().float32MatmulPrecision()) {
        case at::Float32MatmulPrecision::HIGHEST:
            return "highest";
        case at::Float32MatmulPrecision::HIGH:
            return "high";
        default:
            return "medium";
    }
}

void set_matmul_precision(const std::string& precision) {
    if (precision != "highest" && precision != "high" && precision != "medium") {
        throw pybind11::value_error("the precision of float32 matrix products is 'highest', 'high' or 'medium', not '" +
                                    precision + "'");
    }
    at::globalContext().setFloat32MatmulPrecision(precision);
}

// Autocast

at::DeviceType autocast_type(const pybind11::handle& object) {
    at::Device device(at::kCPU);
    if (PyUnicode_Check(object.ptr()) == 0 || !read_device(object.ptr(), device)) {
        raise(PyExc_TypeError, "a device type was expected, such as 'cpu' or 'cuda', not %s",
              Py_TYPE(object.ptr())->tp_name);
    }
    return device.type();
}

pybind11::object autocast_dtype(const pybind11::handle& device) {
    return pybind11::reinterpret_steal<pybind11::object>(wrap(autocast::get_autocast_dtype(autocast_type(device))));
}

void set_autocast_dtype(const pybind11::handle& device, const pybind11::handle& object) {
    at::ScalarType dtype{};
    if (!read_dtype(object.ptr(), dtype)) {
        raise(PyExc_TypeError, "a dtype was expected, not %s", Py_TYPE(object.ptr())->tp_name);
    }
    autocast::set_autocast_dtype(autocast_type(device), dtype);
}

void register_threads(pybind11::module_& module) {
    namespace py = pybind11;
    module.def("get_num_threads", &at::get_num_threads, "How many threads an operator uses at most.");
    module.def(
        "set_num_threads", [](int threads) { at::set_num_threads(checked_threads(threads, "set_num_threads")); },
        py::arg("int"), "Sets that number.");
    module.def("get_num_interop_threads", &at::get_num_interop_threads,
               "How many threads run tasks beside each other.");
    module.def(
        "set_num_interop_threads",
        [](int threads) { at::set_num_interop_threads(checked_threads(threads, "set_num_interop_threads")); },
        py::arg("int"), "Sets that number, once, before the first such task.");
    module.def("parallel_info", &at::get_parallel_info, "What the thread pools are and how many threads they have.");
}

void register_switches(pybind11::module_& module) {
    namespace py = pybind11;
    module.def(
        "get_switch", [](const std::string& name) { return find_switch(name).get(); }, py::arg("name"),
        "The value of a switch of libtorch's context.");
    module.def(
        "set_switch", [](const std::string& name, bool value) { find_switch(name).set(value); }, py::arg("name"),
        py::arg("value"), "Sets a switch of libtorch's context.");
    module.def("features", &features, "What libtorch was built with, by name.");
    module.def(
        "use_deterministic_algorithms",
        [](bool mode, bool warn_only) { at::globalContext().setDeterministicAlgorithms(mode, warn_only); },
        py::arg("mode"), py::kw_only(), py::arg("warn_only") = false,
        "Sets whether an operator without a deterministic algorithm is an error (or a warning).");
    module.def(
        "are_deterministic_algorithms_enabled", [] { return at::globalContext().deterministicAlgorithms(); },
        "Whether only deterministic algorithms are used.");
    module.def(
        "is_deterministic_algorithms_warn_only_enabled",
        [] { return at::globalContext().deterministicAlgorithmsWarnOnly(); },
        "Whether an operator without one warns, instead of raising.");
    module.def("set_flush_denormal", &Context::setFlushDenormal, py::arg("mode"),
               "Sets whether denormal numbers count as zero on the CPU; answers whether it can.");
    module.def("get_float32_matmul_precision", &matmul_precision, "How exact float32 matrix products are.");
    module.def("set_float32_matmul_precision", &set_matmul_precision, py::arg("precision"),
               "Sets it: 'highest', 'high' or 'medium'.");
    module.def("show_config", &at::show_config, "How libtorch was built.");
    module.def("cxx_flags", &at::get_cxx_flags, "The compiler flags that libtorch was built with.");
#if LTF_SINCE(1)
    module.def("get_cpu_capability", &at::get_cpu_capability, "The vector instructions that kernels use here.");
#endif
}

void register_autocast(pybind11::module_& module) {
    namespace py = pybind11;
    module.def(
        "is_autocast_available",
        [](const py::object& device) { return autocast::is_autocast_available(autocast_type(device)); },
        py::arg("device_type"), "Whether a kind of device has lower precisions.");
    module.def(
        "is_autocast_enabled",
        [](const py::object& device) {
            return autocast::is_autocast_enabled(device.is_none() ? at::kCUDA : autocast_type(device));
        },
        py::arg("device_type") = py::none(), "Whether this thread computes in lower precision on a kind of device.");
    module.def(
        "set_autocast_enabled",
        [](const py::object& device, bool enabled) { autocast::set_autocast_enabled(autocast_type(device), enabled); },
        py::arg("device_type"), py::arg("enabled"), "Sets that.");
    module.def("get_autocast_dtype", &autocast_dtype, py::arg("device_type"),
               "The lower precision of a kind of device.");
    module.def("set_autocast_dtype", &set_autocast_dtype, py::arg("device_type"), py::arg("dtype"), "Sets it.");
    module.def("is_autocast_cache_enabled", &autocast::is_autocast_cache_enabled, "Whether casts of weights are kept.");
    module.def("set_autocast_cache_enabled", &autocast::set_autocast_cache_enabled, py::arg("enabled"), "Sets that.");
    module.def("autocast_increment_nesting", &autocast::increment_nesting, "Enters a context of autocast.");
    module.def("autocast_decrement_nesting", &autocast::decrement_nesting, "Leaves one.");
    module.def("clear_autocast_cache", &autocast::clear_cache, "Drops the casts of weights that were kept.");
}

}  // namespace

void register_context(pybind11::module_& module) {
    register_threads(module);
    register_switches(module);
    register_autocast(module);
}

}  // namespace ltf
