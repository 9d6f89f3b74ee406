// Values of TorchScript: Python's to libtorch's by any type that a script can name, and back.
//
// convert.h knows the types that operators have. A script has more: tuples, dicts of anything, unions, futures, enums,
// objects and modules, and they nest.
#pragma once

#include <string>
#include <vector>

#include "convert.h"

namespace ltf {

/// A value of TorchScript that is on its way.
struct ScriptFuture {
    c10::intrusive_ptr<c10::ivalue::Future> future;
};

/// A module of TorchScript, as the object that it is underneath.
struct ScriptModule {
    c10::intrusive_ptr<c10::ivalue::Object> object;
};

/// Reads a Python value as one of a type of TorchScript; false where it is none.
bool read_script_value(PyObject* object, const c10::TypePtr& type, c10::IValue& out);
/// Reads a Python value by its own type; raises a TypeError, which begins with `what`, where TorchScript has no such
/// values.
c10::IValue infer_script_value(PyObject* object, const char* what);
/// A new reference to the Python form of a value: named tuples by name, modules and futures as what they are.
PyObject* from_script(c10::IValue value);

/// Registers Future and ScriptObject's attributes and methods.
void register_script_values(pybind11::module_& module);

}  // namespace ltf
