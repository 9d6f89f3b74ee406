// What holds for the whole process or thread: numbers of threads, switches of libtorch's context, autocast, what the
// library was built with.
#pragma once

#include "object.h"

namespace ltf {

void register_context(pybind11::module_& module);

}  // namespace ltf
