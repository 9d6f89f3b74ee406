// A value of libtorch that has no Python form of its own (a TorchBind object, a future), carried opaquely.
#pragma once

#include "object.h"

namespace ltf {

struct ScriptObject {
    c10::IValue value;
};

void register_script_object(pybind11::module_& module);

}  // namespace ltf
