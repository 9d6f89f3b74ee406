// Owns the way of libtorch's warnings to Python's. A kernel warns while the GIL may be gone, from deep inside libtorch
// and perhaps from a thread of its own, so a warning waits until a call is about to return to Python: `guarded` asks.
// There it is issued at the line of the program that called, and a filter may turn it into an error of that call.
//
// A handler that is set is a thread's own, and Python starts threads without telling anyone. But every thread without
// one uses the same object, libtorch's base handler, which writes to stderr. It has no members, so an object of ours is
// made in its place: then the threads of Python, of the engine and of the kernels all reach it, at no cost for a call.
#include "warnings.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <new>
#include <thread>
#include <variant>
#include <vector>

#include "object.h"

namespace ltf {

std::atomic<bool> warnings_wait{false};

namespace {

/// One that repeats itself without end must not fill the memory before the call returns.
constexpr size_t kMostWaiting = 64;

/// After so many calls of other threads, a warning whose own thread has not come back is issued by whichever comes.
constexpr int kMostPasses = 100;

/// The thread that shall issue a warning; null for any, where Python does not know the thread that warned.
const void* python_thread() { return PyGILState_GetThisThreadState(); }

struct Waiting {
    c10::Warning warning;
    const void* thread;
};

class Queue {
  public:
    void add(const c10::Warning& warning) {
        const std::lock_guard<std::mutex> guard(mutex_);
        if (waiting_.size() < kMostWaiting) {
            waiting_.push_back({warning, python_thread()});
            warnings_wait.store(true, std::memory_order_relaxed);
        }
    }

    /// Takes out what this thread is to issue.
    std::vector<Waiting> take() {
        const std::lock_guard<std::mutex> guard(mutex_);
        const void* here = python_thread();
        const bool all = ++passes_ > kMostPasses;
        const auto others = std::stable_partition(waiting_.begin(), waiting_.end(), [&](const Waiting& one) {
            return !all && one.thread != nullptr && one.thread != here;
        });
        std::vector<Waiting> taken(std::make_move_iterator(others), std::make_move_iterator(waiting_.end()));
        waiting_.erase(others, waiting_.end());
        passes_ = taken.empty() ? passes_ : 0;
        warnings_wait.store(!waiting_.empty(), std::memory_order_relaxed);
        return taken;
    }

  private:
    std::mutex mutex_;
    std::vector<Waiting> waiting_;
    int passes_ = 0;
};

Queue& queue() {
    static auto* warnings = new Queue();  // libtorch may warn until the process ends
    return *warnings;
}

class Relay : public c10::WarningHandler {
  public:
    void process(const c10::Warning& warning) override { queue().add(warning); }
};
static_assert(sizeof(Relay) == sizeof(c10::WarningHandler), "it takes the place of libtorch's own");

bool is_deprecation(const c10::Warning& warning) {
    const auto type = warning.type();
    using std::holds_alternative;  // of std's variant, or of the one that c10 has until 2.0
    return holds_alternative<c10::DeprecationWarning>(type);
}

}  // namespace

bool issue_warnings() noexcept {
    try {
        for (const auto& [warning, thread] : queue().take()) {
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

void register_warnings() {
    c10::WarningHandler* base = nullptr;
    std::thread([&] {
        base = c10::WarningUtils::get_warning_handler();
    }).join();  // this thread may have one of its own
    new (base) Relay;
}

}  // namespace ltf
