// at::Tensor in functions that pybind11 binds: they take and return libtorch_ffi's Tensor, and no element is copied.
//
//     #include <ATen/ATen.h>
//     #include <libtorch_ffi/caster.h>
//
//     at::Tensor twice(const at::Tensor& x) { return x + x; }
//
//     LIBTORCH_FFI_MODULE(example, module) { module.def("twice", twice); }
//
// A function that works long without touching Python should let other threads run:
//
//     module.def("twice", twice, pybind11::call_guard<pybind11::gil_scoped_release>());
//
// With PYBIND11_MODULE in place of the macro all works too, but a libtorch_ffi that does not fit is then told at the
// first call in place of the import, and an error of libtorch is a RuntimeError whatever an operator would raise.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>

#include "table.h"

namespace libtorch_ffi {

/// The table; throws what Python has raised where there is none that fits.
inline const Table& checked() {
    const Table* found = table();
    if (found == nullptr) {
        throw pybind11::error_already_set();
    }
    return *found;
}

/// Ends the import of this module where libtorch_ffi does not fit, and gives libtorch's errors the types that they have
/// when an operator raises them.
inline void check() {
    table_at_import();
    pybind11::register_local_exception_translator([](std::exception_ptr error) {
        try {
            std::rethrow_exception(error);
        } catch (const c10::Error&) {
            checked().set_error();
        }
    });
}

}  // namespace libtorch_ffi

/// PYBIND11_MODULE, with libtorch_ffi checked before anything else.
#define LIBTORCH_FFI_MODULE(name, variable)                       \
    static void libtorch_ffi_module_##name(::pybind11::module_&); \
    PYBIND11_MODULE(name, libtorch_ffi_checked) {                 \
        ::libtorch_ffi::check();                                  \
        libtorch_ffi_module_##name(libtorch_ffi_checked);         \
    }                                                             \
    static void libtorch_ffi_module_##name(::pybind11::module_& variable)

namespace pybind11::detail {

template <>
struct type_caster<at::Tensor> {
    PYBIND11_TYPE_CASTER(at::Tensor, const_name("libtorch_ffi.Tensor"));

    bool load(handle source, bool) {
        const at::Tensor* found = libtorch_ffi::checked().tensor(source.ptr());
        if (found == nullptr) {
            return false;
        }
        value = *found;
        return true;
    }

    static handle cast(const at::Tensor& tensor, return_value_policy, handle) {
        PyObject* object = libtorch_ffi::checked().wrap(tensor);
        if (object == nullptr) {
            throw error_already_set();
        }
        return object;
    }
};

}  // namespace pybind11::detail
