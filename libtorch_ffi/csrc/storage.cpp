// Owns UntypedStorage. It shows memory; what lies there is read, written and resized through tensors.
#include "storage.h"

#include "releases.h"
#include "values.h"

namespace ltf {
void register_storage(pybind11::module_& module) {
    namespace py = pybind11;
    const auto bytes = [](const c10::Storage& self) { return self.nbytes(); };
    const auto same = [](const c10::Storage& self, const c10::Storage& other) {
        return self.unsafeGetStorageImpl() == other.unsafeGetStorageImpl();
    };
    py::class_<c10::Storage>(module, "UntypedStorage", "The memory that tensors are views of.")
        .def("nbytes", bytes, "How many bytes it has.")
        .def("size", bytes, "How many bytes it has.")
        .def("__len__", bytes)
        .def(
            "data_ptr",
            [](const c10::Storage& self) {
                return reinterpret_cast<std::uintptr_t>(releases::mutable_data(releases::Rank<1>(), self));
            },
            "The address of its first byte.")
        .def(
            "resizable", [](const c10::Storage& self) { return self.resizable(); }, "Whether it can grow and shrink.")
        .def_property_readonly(
            "device", [](const c10::Storage& self) { return py::reinterpret_steal<py::object>(wrap(self.device())); },
            "Where it lies.")
        .def("__eq__", same, py::is_operator())
        .def("__hash__", [](const c10::Storage& self) { return std::hash<const void*>()(self.unsafeGetStorageImpl()); })
        .def("__repr__", [](const c10::Storage& self) {
            return "UntypedStorage(nbytes=" + std::to_string(self.nbytes()) + ", device='" + self.device().str() + "')";
        });
}

}  // namespace ltf
