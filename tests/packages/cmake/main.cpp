#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>

#include <iostream>

int main() {
    const at::Tensor x = at::ones({6, 7});
    std::cout << x.toString() << " of " << x.numel() << "\n";
}
