// Owns the module's beginning: what is registered, in which order.
#include "autograd.h"
#include "construct.h"
#include "context.h"
#include "devices.h"
#include "dlpack.h"
#include "engine.h"
#include "errors.h"
#include "exported.h"
#include "function_context.h"
#include "gil.h"
#include "hooks.h"
#include "interchange.h"
#include "library.h"
#include "native_package.h"
#include "node.h"
#include "optimizers.h"
#include "overloads.h"
#include "process_group.h"
#include "python_function.h"
#include "random.h"
#include "script_function.h"
#include "script_module.h"
#include "script_object.h"
#include "script_trace.h"
#include "script_values.h"
#include "storage.h"
#include "table.h"
#include "tensor.h"
#include "values.h"
#include "warnings.h"

PYBIND11_MODULE(_C, module) {
    namespace py = pybind11;
    module.doc() = "The compiled core of libtorch_ffi.";
    py::register_local_exception_translator([](std::exception_ptr error) {
        try {
            std::rethrow_exception(error);
        } catch (const py::builtin_exception&) {
            throw;
        } catch (const py::error_already_set&) {
            throw;
        } catch (...) {
            ltf::set_python_error();
        }
    });
    ltf::register_gil();
    ltf::register_warnings();
    ltf::register_errors(module);
    ltf::register_values(module);
    ltf::register_tensor(module);
    ltf::register_table(module);
    ltf::register_script_object(module);
    ltf::register_storage(module);
    ltf::register_random(module);
    ltf::register_construct(module);
    ltf::register_interchange(module);
    ltf::register_dlpack(module);
    ltf::register_node(module);
    ltf::register_hooks(module);
    ltf::register_function_context(module);
    ltf::register_python_function(module);
    ltf::register_engine(module);
    ltf::register_autograd(module);
    ltf::register_overloads(module);
    ltf::register_context(module);
    ltf::register_devices(module);
    ltf::register_library(module);
    ltf::register_optimizers(module);
    ltf::register_process_group(module);
    ltf::register_script_values(module);
    ltf::register_script_function(module);
    ltf::register_script_module(module);
    ltf::register_script_trace(module);
    ltf::register_exported(module);
    ltf::register_native_package(module);
}
