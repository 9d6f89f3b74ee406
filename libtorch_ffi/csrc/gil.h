// Giving the GIL away and taking it back, also where Python may be at its end.
#pragma once

#include <Python.h>

namespace ltf {

/// As PyEval_SaveThread. The process does not end while the thread is at work, unless it takes long.
PyThreadState* release_gil() noexcept;

/// As PyEval_RestoreThread, except that a thread for which Python has ended meanwhile waits here for the process's end.
void restore_gil(PyThreadState* state) noexcept;

/// As PyGILState_Ensure, with the same exception.
PyGILState_STATE ensure_gil() noexcept;

/// Where a thread stays that Python has ended: it has no GIL, and never returns to what its frames hold.
[[noreturn]] void wait_for_the_end() noexcept;

/// Lets Python's end wait for the threads that are at work without the GIL.
void register_gil();

}  // namespace ltf
