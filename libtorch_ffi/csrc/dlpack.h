// DLPack: strided memory handed from library to library in a capsule, without a copy.
#pragma once

#include "object.h"

namespace ltf {

void register_dlpack(pybind11::module_& module);

}  // namespace ltf
