// Devices other than the CPU: which there are, their streams, events and memory.
#pragma once

#include "object.h"

namespace ltf {

/// The device that an argument names: a device object, a string or a CUDA index; raises TypeError for anything else.
at::Device device_argument(const pybind11::handle& object);

void register_devices(pybind11::module_& module);

}  // namespace ltf
