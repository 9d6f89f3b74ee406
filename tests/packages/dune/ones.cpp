#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <caml/mlvalues.h>

extern "C" value elements(value) { return Val_long(at::ones({6, 7}).numel()); }
