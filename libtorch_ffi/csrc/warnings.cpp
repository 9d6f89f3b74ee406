// Owns the way of libtorch's warnings to Python's. A kernel warns while the GIL may be gone, from deep inside libtorch
// and perhaps from a thread of its own, so a warning waits until a call is about to return to Python: `guarded` asks.
// There it is issued at the line of the program that called, and a filter may turn it into an error of that call.
//
// The handler is a thread's own, as libtorch keeps it. It is set in the thread that loads the module; in others
// libtorch writes to stderr as it does without Python.
#include "warnings.h"

#include <c10/util/Exception.h>

#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "object.h"

namespace ltf {

std::atomic<bool> warnings_wait{false};

namespace {

/// One that repeats itself without end must not fill the memory before the call returns.
constexpr size_t kMostWaiting = 64;

class Queue : public c10::WarningHandler {
  public:
    void process(const c10::Warning& warning) override {
        const std::lock_guard<std::mutex> guard(mutex_);
        if (waiting_.size() < kMostWaiting) {
            waiting_.push_back(warning);
            warnings_wait.store(true, std::memory_order_relaxed);
        }
    }

    std::vector<c10::Warning> take() {
        const std::lock_guard<std::mutex> guard(mutex_);
        warnings_wait.store(false, std::memory_order_relaxed);
        return std::exchange(waiting_, {});
    }

  private:
    std::mutex mutex_;
    std::vector<c10::Warning> waiting_;
};

Queue& queue() {
    static auto* warnings = new Queue();  // libtorch may warn until the process ends
    return *warnings;
}

bool is_deprecation(const c10::Warning& warning) {
    const auto type = warning.type();
    return std::holds_alternative<c10::DeprecationWarning>(type);
}

}  // namespace

bool issue_warnings() noexcept {
    try {
        for (const c10::Warning& warning : queue().take()) {
            PyObject* category = is_deprecation(warning) ? PyExc_DeprecationWarning : PyExc_UserWarning;
            if (PyErr_WarnEx(category, warning.msg().c_str(), 1) < 0) {
                return false;
            }
        }
        return true;
    } catch (...) {
        set_python_error();
        return false;
    }
}

void register_warnings() { c10::WarningUtils::set_warning_handler(&queue()); }

}  // namespace ltf
