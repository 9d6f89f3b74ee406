#include <condition_variable>
#include <mutex>

namespace {
std::mutex mutex;
std::condition_variable woken;
bool awake = false;
}  // namespace

at::Tensor twice(const at::Tensor& x) { return x + x; }

namespace mine {
at::Tensor scaled(at::Tensor x, double factor) { return x.mul_(factor); }
}  // namespace mine

std::int64_t address(const at::Tensor& x) { return reinterpret_cast<std::int64_t>(x.data_ptr()); }

std::vector<at::Tensor> halves(const at::Tensor& x) { return x.chunk(2); }

bool is_given(const std::optional<at::Tensor>& x) { return x.has_value(); }

at::Tensor nothing() { return {}; }

void fail_at(std::int64_t index) {
    if (index < 0) {
        throw std::invalid_argument("below 0");
    }
    TORCH_CHECK_INDEX(index == 0, "nothing at ", index);
}

void warn() { TORCH_WARN("careful"); }

/// Waits for `wake`, which can only be called by another thread.
bool wait() {
    std::unique_lock<std::mutex> held(mutex);
    return woken.wait_for(held, std::chrono::seconds(60), [] { return awake; });
}

void wake() {
    const std::lock_guard<std::mutex> held(mutex);
    awake = true;
    woken.notify_all();
}
