// Owns the Python face of opaque values: their type's name, and nothing that could change them.
#include "script_object.h"

namespace ltf {

void register_script_object(pybind11::module_& module) {
    pybind11::class_<ScriptObject>(module, "ScriptObject", "A value of libtorch that Python can only pass on.")
        .def_property_readonly(
            "type_name", [](const ScriptObject& self) { return self.value.type()->repr_str(); },
            "libtorch's name of its type.")
        .def("__repr__", [](const ScriptObject& self) {
            return "<libtorch_ffi.ScriptObject of " + self.value.type()->repr_str() + ">";
        });
}

}  // namespace ltf
