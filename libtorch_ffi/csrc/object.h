// Owning references to Python objects and the one boundary where C++ exceptions become Python's.
#pragma once

#include <cxxabi.h>

#include <atomic>
#include <type_traits>
#include <utility>

#include "gil.h"
#include "pch.h"

namespace ltf {

/// A Python exception is already set; unwinds C++ frames up to the nearest `guarded`.
struct PythonError {};

/// An owned reference to a Python object, or nothing.
class Ref {
  public:
    Ref() = default;
    /// Takes over a new reference; a null pointer means that Python has raised.
    static Ref steal(PyObject* object) {
        if (object == nullptr) {
            throw PythonError();
        }
        return Ref(object);
    }
    static Ref borrow(PyObject* object) { return Ref(Py_XNewRef(object)); }
    Ref(const Ref&) = delete;
    Ref& operator=(const Ref&) = delete;
    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Ref& operator=(Ref&& other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref() { Py_XDECREF(object_); }

    PyObject* get() const { return object_; }
    PyObject* release() { return std::exchange(object_, nullptr); }
    explicit operator bool() const { return object_ != nullptr; }

  private:
    explicit Ref(PyObject* object) : object_(object) {}
    PyObject* object_ = nullptr;
};

/// Turns the C++ exception in flight into a Python one. Call inside `catch (...)`, with the GIL held.
void set_python_error() noexcept;

/// Whether libtorch has warned since the last call.
extern std::atomic<bool> warnings_wait;
/// Issues those warnings in Python; false where a filter made one an exception, which is then set.
bool issue_warnings() noexcept;

/// Whether a call may answer what it has: no warning waits, or none became an exception.
inline bool may_return() noexcept {
    return C10_LIKELY(!warnings_wait.load(std::memory_order_relaxed)) || issue_warnings();
}

/// Runs `body`; an exception becomes Python's and `failure` (null, -1) is returned.
template <class Body, class Result = std::invoke_result_t<Body>>
Result guarded(Body&& body, Result failure = Result()) noexcept {
    try {
        Result result = body();
        if (result == failure || may_return()) {
            return result;
        }
        if constexpr (std::is_same_v<Result, PyObject*>) {
            Py_DECREF(result);
        }
    } catch (...) {
        set_python_error();
    }
    return failure;
}

/// The same for slots that answer 0, or -1 when they have raised.
template <class Body>
int guarded_status(Body&& body) noexcept {
    try {
        body();
        return may_return() ? 0 : -1;
    } catch (...) {
        set_python_error();
        return -1;
    }
}

/// Sets a Python exception with a printf-like text and unwinds.
template <class... Args>
[[noreturn]] void raise(PyObject* type, const char* format, Args... args) {
    PyErr_Format(type, format, args...);
    throw PythonError();
}

/// Throws when a C-API call answered with an error code.
inline void check_status(int status) {
    if (status < 0) {
        throw PythonError();
    }
}

inline PyObject* none() { return Py_NewRef(Py_None); }
inline PyObject* boolean(bool value) { return Py_NewRef(value ? Py_True : Py_False); }

/// Counts one more nested C++ call, and raises RecursionError where there are too many.
class RecursionGuard {
  public:
    explicit RecursionGuard(const char* where) { check_status(Py_EnterRecursiveCall(where) == 0 ? 0 : -1); }
    RecursionGuard(const RecursionGuard&) = delete;
    RecursionGuard& operator=(const RecursionGuard&) = delete;
    ~RecursionGuard() { Py_LeaveRecursiveCall(); }
};

/// Releases the GIL for its lifetime where `released` is true.
class WithoutGil {
  public:
    explicit WithoutGil(bool released = true) : state_(released ? release_gil() : nullptr) {}
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;
    ~WithoutGil() {
        if (state_ != nullptr) {
            restore_gil(state_);
        }
    }

  private:
    PyThreadState* state_;
};

/// Holds the GIL for its lifetime, in whichever thread.
class WithGil {
  public:
    WithGil() : state_(ensure_gil()) {}
    WithGil(const WithGil&) = delete;
    WithGil& operator=(const WithGil&) = delete;
    ~WithGil() { PyGILState_Release(state_); }

  private:
    PyGILState_STATE state_;
};

/// Runs `body` with the GIL, for libtorch, which calls from threads that may not have it. A Python error leaves as an
/// exception that carries it, so that libtorch can hand it from thread to thread; `set_python_error` puts it back.
template <class Body>
auto in_python(Body&& body) {
    const WithGil held;
    try {
        return body();
    } catch (const PythonError&) {
        throw pybind11::error_already_set();
    }
#ifdef __GLIBCXX__  // elsewhere a thread ends without unwinding
    catch (const abi::__forced_unwind&) {
        wait_for_the_end();
    }
#endif
}

/// A reference that libtorch keeps for us: it may be dropped by any thread. Once Python has ended it is left alone.
class Held {
  public:
    explicit Held(PyObject* object) : object_(Py_NewRef(object)) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
        if (Py_IsInitialized() != 0) {
            const WithGil held;
            Py_DECREF(object_);
        }
    }

    PyObject* get() const { return object_; }

  private:
    PyObject* object_;
};

}  // namespace ltf
