// Stands in for Gloo's own header, which no libtorch ships although it has the library: what c10d's
// ProcessGroupGloo.hpp names of it, and no more. Gloo's objects are made and used inside libtorch only; here they are
// pointers.
#pragma once

#include <chrono>

namespace gloo {

class Context {
  public:
    void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
