#include <ATen/ATen.h>

#include <iostream>

int main() {
  const auto sum = (at::ones({6, 7}) * 1.0).sum().item<double>();
  std::cout << sum << "\n";
  return sum == 42.0 ? 0 : 1;
}
