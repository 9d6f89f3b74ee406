// Owns what happens to a thread that Python's end overtakes: a daemon thread, while the process ends.
//
// It may ask for the GIL. Until 3.13 CPython ends such a thread where it asks, by unwinding its stack. That runs the
// destructors of C++ frames, which need the GIL that the thread will never have, and meets functions that no exception
// may leave: the process would be aborted. So the unwinding is stopped here, and the thread waits, as CPython lets it
// since 3.14.
//
// Or it may be in a kernel, while the main thread goes on to destroy libtorch's globals under it. So Python's end waits
// until each has come back to ask.
#include "gil.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace ltf {
namespace {

/// How long the end of the process may be held up by a kernel.
constexpr std::chrono::seconds kLongest{2};

std::atomic<int> at_work{0};
thread_local int own_work = 0;  // how many of them are this thread's

void wait_for_workers() {
    const auto end = std::chrono::steady_clock::now() + kLongest;
    while (at_work.load() > 0 && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

template <class Acquire>
auto acquired(Acquire&& acquire) noexcept {
    try {
        return acquire();
    } catch (...) {  // nothing but the end of the thread; to leave this block would abort the process
        wait_for_the_end();
    }
}

/// Whether this thread may ask: Python is there, or ends in this very thread. Later CPython has forgotten its threads,
/// and PyGILState_Ensure would read what is freed.
bool may_ask() { return Py_IsInitialized() != 0 || (PyGILState_GetThisThreadState() != nullptr && PyGILState_Check()); }

}  // namespace

PyThreadState* release_gil() noexcept {
    ++own_work;
    at_work.fetch_add(1, std::memory_order_relaxed);
    return PyEval_SaveThread();
}

void restore_gil(PyThreadState* state) noexcept {
    --own_work;
    at_work.fetch_sub(1, std::memory_order_release);
    acquired([&] { PyEval_RestoreThread(state); });
}

PyGILState_STATE ensure_gil() noexcept {
    if (!may_ask()) {
        wait_for_the_end();
    }
    return acquired([] { return PyGILState_Ensure(); });
}

void wait_for_the_end() noexcept {
    at_work.fetch_sub(own_work, std::memory_order_release);
    for (;;) {
        pause();
    }
}

void register_gil() { Py_AtExit(wait_for_workers); }

}  // namespace ltf
