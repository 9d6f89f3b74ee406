// How the extension module of somebody else reaches the Tensor of libtorch_ffi.
//
// Owns the table of functions that libtorch_ffi._C hands out in a capsule, and the check that comes before any of them
// is called: at::Tensor is C++ without a stable ABI, so the table is taken only where the libtorch and the C++ ABI on
// both sides are the same. Knows no binding library: caster.h (pybind11) and nanobind.h (nanobind) do.
#pragma once

#include <ATen/core/Tensor.h>
#include <Python.h>
#include <torch/version.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#if defined(LIBTORCH_FFI_ABI)
// Given by whoever tries what a mismatch comes to.
#elif defined(_GLIBCXX_USE_CXX11_ABI) && !_GLIBCXX_USE_CXX11_ABI
#define LIBTORCH_FFI_ABI "libtorch " TORCH_VERSION " with the old C++ ABI"
#else
#define LIBTORCH_FFI_ABI "libtorch " TORCH_VERSION " with the C++11 ABI"
#endif

namespace libtorch_ffi {

/// What both sides must have been compiled for.
constexpr const char* kAbi = LIBTORCH_FFI_ABI;
/// Changes with `Table`.
constexpr std::uint64_t kLayout = 1;
constexpr const char* kCapsule = "libtorch_ffi._C._table";

/// What libtorch_ffi._C hands out. `layout` and `abi` stay the first two for ever; the rest is not to be read before
/// they were compared. All functions want the GIL, and none throws.
struct Table {
    std::uint64_t layout;
    const char* abi;
    /// The tensor in a Python object, which keeps it; null where the object is no Tensor. Raises nothing.
    const at::Tensor* (*tensor)(PyObject* object);
    /// A new Tensor object for the same data, None for an undefined tensor; null where Python has raised.
    PyObject* (*wrap)(const at::Tensor& tensor);
    /// Turns the C++ exception in flight into what an operator of libtorch_ffi would raise; inside `catch` alone.
    void (*set_error)();
};

namespace detail {

/// Raises libtorch_ffi's own LoadError, which is an ImportError.
inline void raise_load_error(const Table& found) {
    PyObject* errors = PyImport_ImportModule("libtorch_ffi.errors");
    PyObject* type = errors == nullptr ? nullptr : PyObject_GetAttrString(errors, "LoadError");
    if (type != nullptr) {
        PyErr_Format(type,
                     "This extension was compiled for %s (table %llu), and libtorch_ffi in this process for %s (table "
                     "%llu); tensors cannot pass between the two. It was not loaded. Build it again in this "
                     "environment, with the same libtorch-ffi.",
                     kAbi, static_cast<unsigned long long>(kLayout), found.abi,
                     static_cast<unsigned long long>(found.layout));
    }
    Py_XDECREF(type);
    Py_XDECREF(errors);
}

inline const Table* find_table() {
    // The first import makes sure that the extension fits this process, or raises LoadError with the reason.
    PyObject* binding = PyImport_ImportModule("libtorch_ffi._binding");
    PyObject* core = binding == nullptr ? nullptr : PyObject_GetAttrString(binding, "core");
    PyObject* capsule = core == nullptr ? nullptr : PyObject_GetAttrString(core, "_table");
    const auto* found =
        capsule == nullptr ? nullptr : static_cast<const Table*>(PyCapsule_GetPointer(capsule, kCapsule));
    Py_XDECREF(capsule);
    Py_XDECREF(core);
    Py_XDECREF(binding);
    if (found != nullptr && (found->layout != kLayout || std::strcmp(found->abi, kAbi) != 0)) {
        raise_load_error(*found);
        return nullptr;
    }
    return found;
}

/// Takes the message of what Python has raised, and clears it.
inline std::string taken_message() {
    PyObject* type = nullptr;
    PyObject* value = nullptr;
    PyObject* trace = nullptr;
    PyErr_Fetch(&type, &value, &trace);
    PyObject* text = value == nullptr ? nullptr : PyObject_Str(value);
    const char* letters = text == nullptr ? nullptr : PyUnicode_AsUTF8(text);
    std::string message = letters == nullptr ? "libtorch_ffi cannot be imported" : letters;
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(trace);
    Py_XDECREF(value);
    Py_XDECREF(type);
    return message;
}

}  // namespace detail

/// The table of the libtorch_ffi in this process; null where Python has raised. It is found and checked once.
inline const Table* table() {
    static const Table* found = nullptr;
    if (found == nullptr) {
        found = detail::find_table();
    }
    return found;
}

/// The table, while a module is imported: what is thrown here becomes the ImportError that the importer sees, where an
/// exception of Python's would only be the cause of one that says less.
inline const Table& table_at_import() {
    const Table* found = table();
    if (found == nullptr) {
        throw std::runtime_error(detail::taken_message());
    }
    return *found;
}

}  // namespace libtorch_ffi
