// caster.h for nanobind: at::Tensor in functions that nanobind binds.
//
//     LIBTORCH_FFI_MODULE(example, module) { module.def("twice", twice); }
//
// Let other threads run with `nanobind::call_guard<nanobind::gil_scoped_release>()`.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>

#include "table.h"

namespace libtorch_ffi {

/// Ends the import of this module where libtorch_ffi does not fit, and gives libtorch's errors the types that they have
/// when an operator raises them.
inline void check() {
    table_at_import();
    nanobind::register_exception_translator([](const std::exception_ptr& error, void*) {
        try {
            std::rethrow_exception(error);
        } catch (const c10::Error&) {
            table()->set_error();
        }
    });
}

}  // namespace libtorch_ffi

/// NB_MODULE, with libtorch_ffi checked before anything else.
#define LIBTORCH_FFI_MODULE(name, variable)                       \
    static void libtorch_ffi_module_##name(::nanobind::module_&); \
    NB_MODULE(name, libtorch_ffi_checked) {                       \
        ::libtorch_ffi::check();                                  \
        libtorch_ffi_module_##name(libtorch_ffi_checked);         \
    }                                                             \
    static void libtorch_ffi_module_##name(::nanobind::module_& variable)

namespace nanobind::detail {

template <>
struct type_caster<at::Tensor> {
    NB_TYPE_CASTER(at::Tensor, const_name("libtorch_ffi.Tensor"))

    bool from_python(handle source, uint8_t, cleanup_list*) noexcept {
        const libtorch_ffi::Table* table = libtorch_ffi::table();
        const at::Tensor* found = table == nullptr ? nullptr : table->tensor(source.ptr());
        if (found == nullptr) {
            PyErr_Clear();  // nanobind wants none raised; where the table is wrong, `check` has said so
            return false;
        }
        value = *found;
        return true;
    }

    static handle from_cpp(const at::Tensor& tensor, rv_policy, cleanup_list*) noexcept {
        const libtorch_ffi::Table* table = libtorch_ffi::table();
        return table == nullptr ? nullptr : table->wrap(tensor);
    }
};

}  // namespace nanobind::detail
