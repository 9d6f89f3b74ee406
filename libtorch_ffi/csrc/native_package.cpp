// Owns the loader of AOTInductor's packages. Releases before 2.7 have none that is whole; there nothing is registered,
// and `libtorch_ffi.aoti` says so.
#include "native_package.h"

#include <torch/csrc/api/include/torch/version.h>

#include "tensor.h"

#if __has_include(<torch/csrc/inductor/aoti_package/model_package_loader.h>) && \
    (TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 7))
#define LTF_HAS_NATIVE_PACKAGES
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#endif

namespace ltf {

#ifdef LTF_HAS_NATIVE_PACKAGES
namespace {

using torch::inductor::AOTIModelPackageLoader;
using PackageConstants = std::unordered_map<std::string, at::Tensor>;

struct NativePackage {
    std::shared_ptr<AOTIModelPackageLoader> loader;
};

NativePackage load_package(const std::string& path, const std::string& name) {
    const WithoutGil released;
    return {std::make_shared<AOTIModelPackageLoader>(path, name)};
}

std::vector<at::Tensor> run_package(const NativePackage& self, std::vector<at::Tensor> inputs) {
    const WithoutGil released;
    return self.loader->run(inputs);
}

void update_package(const NativePackage& self, PackageConstants constants, bool whole) {
    const WithoutGil released;
    self.loader->load_constants(constants, /*use_inactive=*/false, /*check_full_update=*/whole);
}

}  // namespace

void register_native_package(pybind11::module_& module) {
    pybind11::class_<NativePackage>(module, "NativePackage", "A loaded package of AOTInductor.")
        .def(pybind11::init(&load_package))
        .def("run", &run_package)
        .def("update", &update_package)
        .def("metadata", [](const NativePackage& self) { return self.loader->get_metadata(); })
        .def("call_spec", [](const NativePackage& self) { return self.loader->get_call_spec(); })
        .def("constants", [](const NativePackage& self) { return self.loader->get_constant_fqns(); });
}
#else
void register_native_package(pybind11::module_&) {}
#endif

}  // namespace ltf
