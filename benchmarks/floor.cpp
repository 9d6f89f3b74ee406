// The floor under any binding: the same calls as in overhead.py, from C++. Each function runs its call so many times
// and answers seconds a call.
#include <ATen/ATen.h>

#include <chrono>

namespace {

at::Tensor ones() { return at::ones({1}); }
at::Tensor matrix() { return at::randn({8, 8}); }

template <class Call>
double seconds(int times, Call&& call) {
    for (int i = 0; i < times / 10; ++i) {
        call();
    }
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) {
        call();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return took.count() / times;
}

}  // namespace

// A case: its tensors a, b (one element), M, N (8 x 8), v (8), mask; its call.
#define FLOOR(name, call)                             \
    extern "C" double floor_##name(int times) {       \
        const at::Tensor a = ones();                  \
        const at::Tensor b = ones() * 1e-9;           \
        const at::Tensor M = matrix();                \
        const at::Tensor N = matrix();                \
        const at::Tensor v = at::randn({8});          \
        const at::Tensor mask = M > 0;                \
        return seconds(times, [&] { (void)(call); }); \
    }

FLOOR(add, at::add(a, b))
FLOOR(mul_scalar, at::mul(a, 2))
FLOOR(add_, a.add_(b))
FLOOR(relu, at::relu(a))
FLOOR(matmul, at::matmul(M, M))
FLOOR(linear, at::linear(M, M, v))
FLOOR(softmax, at::softmax(M, 1))
FLOOR(sum, at::sum(M))
FLOOR(sum_dim, at::sum(M, at::IntArrayRef{1}, true))
FLOOR(view, M.view({4, 16}))
FLOOR(transpose, at::transpose(M, 0, 1))
FLOOR(select, at::select(M, 0, 0))
FLOOR(cat, at::cat({a, b}))
FLOOR(zeros, at::zeros({3}))
FLOOR(clone, at::clone(a))
FLOOR(copy_, a.copy_(b))
FLOOR(where, at::where(mask, M, N))
