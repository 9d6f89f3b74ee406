#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>

extern "C" long elements() { return at::ones({6, 7}).numel(); }
