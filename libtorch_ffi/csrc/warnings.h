// libtorch's warnings, as Python's.
#pragma once

namespace ltf {

/// Takes libtorch's warnings of this thread from stderr to Python's `warnings`.
void register_warnings();

}  // namespace ltf
