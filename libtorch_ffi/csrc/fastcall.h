// Reading the arguments of a METH_FASTCALL function: the handful that no schema describes.
#pragma once

#include <array>

#include "object.h"

namespace ltf {

/// The arguments of a METH_FASTCALL | METH_KEYWORDS call.
struct Fastcall {
    PyObject* const* values;
    Py_ssize_t positional;
    PyObject* names;  // a tuple of str, or null

    Py_ssize_t keywords() const { return names == nullptr ? 0 : PyTuple_GET_SIZE(names); }
    /// The keyword argument of that name (borrowed), or null.
    PyObject* keyword(const char* name) const;
};

/// The names of a function's parameters; the first `positional` of them may be given by position.
template <size_t N>
struct Signature {
    const char* function;
    Py_ssize_t positional;
    std::array<const char*, N> names;
};

/// Puts the arguments into `out` (null where one is missing); raises a TypeError where they do not fit.
void read_fastcall(const Fastcall& call, const char* function, Py_ssize_t positional, const char* const* names,
                   PyObject** out, size_t count);

template <size_t N>
std::array<PyObject*, N> read_fastcall(const Fastcall& call, const Signature<N>& signature) {
    std::array<PyObject*, N> out{};
    read_fastcall(call, signature.function, signature.positional, signature.names.data(), out.data(), N);
    return out;
}

/// A bool argument; `missing` where it was not given or is None.
bool read_flag(PyObject* object, bool missing, const char* function, const char* name);

/// The PyCFunction of a METH_FASTCALL | METH_KEYWORDS function.
inline PyCFunction as_fastcall(PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*)) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

}  // namespace ltf
