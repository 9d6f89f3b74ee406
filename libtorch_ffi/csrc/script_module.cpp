// Owns the module of TorchScript as the core knows it. `libtorch_ffi.jit` gives it the face that torch's modules have.
#include "script_module.h"

#include <caffe2/serialize/in_memory_adapter.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <optional>
#include <sstream>

#include "releases.h"
#include "script_function.h"
#include "script_values.h"
#include "values.h"

namespace ltf {
namespace {

using torch::jit::ExtraFilesMap;
using torch::jit::Module;

Module module_of(const ScriptModule& self) { return Module(self.object); }

std::optional<at::Device> optional_device(pybind11::handle object) {
    at::Device device(at::kCPU);
    if (object.is_none()) {
        return std::nullopt;
    }
    if (!read_device(object.ptr(), device)) {
        raise(PyExc_TypeError, "map_location is a device or None, not %R", object.ptr());
    }
    return device;
}

ExtraFilesMap wanted_files(const std::vector<std::string>& names) {
    ExtraFilesMap files;
    for (const std::string& name : names) {
        files[name] = "";
    }
    return files;
}

pybind11::tuple loaded(const Module& module, const ExtraFilesMap& files) {
    pybind11::dict found;
    for (const auto& [name, content] : files) {
        found[pybind11::str(name)] = pybind11::bytes(content);
    }
    return pybind11::make_tuple(ScriptModule{module._ivalue()}, found);
}

pybind11::tuple load_file(const std::string& path, const pybind11::object& device,
                          const std::vector<std::string>& names) {
    const std::optional<at::Device> where = optional_device(device);
    ExtraFilesMap files = wanted_files(names);
    std::optional<Module> module;
    {
        const WithoutGil released;
        module = torch::jit::load(path, as_optional(where), files, /*load_debug_files=*/true);
    }
    return loaded(*module, files);
}

/// Loads what lies in an object with the buffer protocol, which is read where it is.
pybind11::tuple load_buffer(const pybind11::buffer& buffer, const pybind11::object& device,
                            const std::vector<std::string>& names) {
    const std::optional<at::Device> where = optional_device(device);
    ExtraFilesMap files = wanted_files(names);
    const pybind11::buffer_info memory = buffer.request();
    std::optional<Module> module;
    {
        const WithoutGil released;
        auto adapter =
            std::make_shared<caffe2::serialize::MemoryReadAdapter>(memory.ptr, memory.size * memory.itemsize);
        module = torch::jit::load(std::move(adapter), as_optional(where), files, /*load_debug_files=*/true);
    }
    return loaded(*module, files);
}

pybind11::bytes save(const ScriptModule& self, const std::map<std::string, std::string>& files) {
    std::ostringstream out;
    {
        const WithoutGil released;
        module_of(self).save(out, ExtraFilesMap(files.begin(), files.end()));
    }
    return pybind11::bytes(out.str());
}

void save_file(const ScriptModule& self, const std::string& path, const std::map<std::string, std::string>& files) {
    const WithoutGil released;
    module_of(self).save(path, ExtraFilesMap(files.begin(), files.end()));
}

/// What the module holds: (name, "parameter", "buffer", "module" or "attribute", value).
pybind11::list slots(const ScriptModule& self) {
    pybind11::list result;
    const auto type = self.object->type();
    for (size_t i = 0; i < type->numAttributes(); ++i) {
        const char* kind = type->is_parameter(i)                ? "parameter"
                           : type->getAttribute(i)->is_module() ? "module"
                           : type->is_buffer(i)                 ? "buffer"
                                                                : "attribute";
        result.append(
            pybind11::make_tuple(type->getAttributeName(i), kind,
                                 pybind11::reinterpret_steal<pybind11::object>(from_script(self.object->getSlot(i)))));
    }
    return result;
}

/// An attribute, a constant, a method or the value of a property; raises AttributeError where there is none.
pybind11::object attribute(const ScriptModule& self, const std::string& name) {
    const auto type = self.object->type();
    if (const auto slot = type->findAttributeSlot(name)) {
        return pybind11::reinterpret_steal<pybind11::object>(from_script(self.object->getSlot(*slot)));
    }
    if (const auto constant = type->findConstant(name)) {
        return pybind11::reinterpret_steal<pybind11::object>(from_script(*constant));
    }
    if (torch::jit::Function* method = type->findMethod(name); method != nullptr) {
        return pybind11::cast(ScriptFunction(method, self.object));
    }
    if (const auto property = type->getProperty(name)) {
        return ScriptFunction(property->getter, self.object).call(pybind11::args(), pybind11::kwargs());
    }
    raise(PyExc_AttributeError, "the module %s has no attribute or method '%s'", type->annotation_str().c_str(),
          name.c_str());
}

void set_attribute(const ScriptModule& self, const std::string& name, const pybind11::object& object) {
    const auto type = self.object->type();
    const auto slot = type->findAttributeSlot(name);
    if (!slot.has_value()) {
        raise(PyExc_AttributeError,
              "the module %s has no attribute '%s' that could be set: those of a compiled module are fixed",
              type->repr_str().c_str(), name.c_str());
    }
    c10::IValue value;
    if (!read_script_value(object.ptr(), type->getAttribute(*slot), value)) {
        raise(PyExc_TypeError, "attribute '%s' is a %s, not %s", name.c_str(),
              type->getAttribute(*slot)->repr_str().c_str(), Py_TYPE(object.ptr())->tp_name);
    }
    self.object->setSlot(*slot, std::move(value));
}

std::vector<std::string> script_method_names(const ScriptModule& self) {
    std::vector<std::string> names;
    for (const torch::jit::Function* method : self.object->type()->methods()) {
        names.push_back(method->name());
    }
    return names;
}

ScriptModule freeze(const ScriptModule& self, const std::vector<std::string>& preserved, bool optimize_numerics) {
    const WithoutGil released;
    return {torch::jit::freeze(module_of(self), preserved, optimize_numerics)._ivalue()};
}

ScriptModule optimize_for_inference(const ScriptModule& self, const std::vector<std::string>& methods) {
    const WithoutGil released;
    Module module = module_of(self);
    return {torch::jit::optimize_for_inference(module, methods)._ivalue()};
}

/// A module without anything yet, which `define` and the registrations fill.
ScriptModule new_module(const std::string& name) { return {Module(c10::QualifiedName("__torch__." + name))._ivalue()}; }

/// Adds a parameter, a buffer, or an attribute whose type is its value's.
void register_slot(const ScriptModule& self, const std::string& name, const std::string& kind,
                   const pybind11::object& object) {
    Module module = module_of(self);
    if (module.hasattr(name)) {
        raise(PyExc_KeyError, "the module has an attribute '%s' already", name.c_str());
    }
    c10::IValue value = infer_script_value(object.ptr(), "the attribute");
    if (value.isTensor() && kind != "attribute") {
        module.register_parameter(name, value.toTensor(), /*is_buffer=*/kind == "buffer");
    } else if (value.isObject() && value.toObjectRef().type()->is_module()) {
        module.register_module(name, Module(value.toObject()));
    } else {
        const c10::TypePtr type = value.isTensor() ? c10::TypePtr(c10::TensorType::get()) : value.type();
        module.register_attribute(name, type, std::move(value));
    }
}

}  // namespace

void register_script_module(pybind11::module_& module) {
    pybind11::class_<ScriptModule>(module, "ScriptModule", "A module of TorchScript, without torch's face.")
        .def(pybind11::init(&new_module))
        .def("attribute", &attribute)
        .def("set_attribute", &set_attribute)
        .def("register", &register_slot)
        .def("slots", &slots)
        .def("method_names", &script_method_names)
        .def("define", [](const ScriptModule& self, const std::string& source) { module_of(self).define(source); })
        .def("train", [](const ScriptModule& self, bool on) { module_of(self).train(on); })
        .def("copy", [](const ScriptModule& self) { return ScriptModule{module_of(self).copy()._ivalue()}; })
        .def("deepcopy", [](const ScriptModule& self) { return ScriptModule{module_of(self).deepcopy()._ivalue()}; })
        .def("freeze", &freeze)
        .def("optimize_for_inference", &optimize_for_inference)
        .def("save", &save)
        .def("save_file", &save_file)
        .def("dump", [](const ScriptModule& self) { return module_of(self).dump_to_str(true, false, false); })
        .def_property_readonly("identity",
                               [](const ScriptModule& self) { return reinterpret_cast<size_t>(self.object.get()); })
        .def_property_readonly("type_name",
                               [](const ScriptModule& self) { return self.object->type()->name()->name(); });
    module.def("load_script_file", &load_file);
    module.def("load_script_buffer", &load_buffer);
}

}  // namespace ltf
