// Packages of AOTInductor, which are native code, through libtorch's own loader.
#pragma once

#include "object.h"

namespace ltf {

void register_native_package(pybind11::module_& module);

}  // namespace ltf
