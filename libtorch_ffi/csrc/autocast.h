// libtorch's switches of autocast by kind of device, as they are from 2.4 on; before, each kind had functions of its
// own. Owns no state. Needs no GIL.
#pragma once

#include <ATen/autocast_mode.h>

#include "releases.h"

namespace ltf {
namespace autocast {

using namespace at::autocast;

#if !LTF_SINCE(4)
/// True for the two kinds that a wheel or a zip is made for.
inline bool is_autocast_available(at::DeviceType device) { return device == at::kCPU || device == at::kCUDA; }

inline bool of_cpu(at::DeviceType device) {
    if (!is_autocast_available(device)) {
        releases::lacking(("autocast for " + c10::DeviceTypeName(device, true)).c_str(), "2.4");
    }
    return device == at::kCPU;
}

inline bool is_autocast_enabled(at::DeviceType device) { return of_cpu(device) ? is_cpu_enabled() : is_enabled(); }

inline void set_autocast_enabled(at::DeviceType device, bool enabled) {
    of_cpu(device) ? set_cpu_enabled(enabled) : set_enabled(enabled);
}

inline at::ScalarType get_autocast_dtype(at::DeviceType device) {
    return of_cpu(device) ? get_autocast_cpu_dtype() : get_autocast_gpu_dtype();
}

inline void set_autocast_dtype(at::DeviceType device, at::ScalarType dtype) {
    of_cpu(device) ? set_autocast_cpu_dtype(dtype) : set_autocast_gpu_dtype(dtype);
}
#endif

}  // namespace autocast
}  // namespace ltf
