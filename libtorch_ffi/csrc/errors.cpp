// Owns the table from libtorch's exceptions to Python's: an operator raises what torch raises, without the C++
// backtrace.
#include "errors.h"

#include <ATen/Context.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace ltf {
namespace {

PyObject* linalg_error_type = nullptr;
PyObject* out_of_memory_error_type = nullptr;
PyObject* out_of_memory_hooks = nullptr;

/// Whether libtorch's C++ backtrace is wanted in messages, as torch asks with the same variable.
bool shows_backtrace() {
    const char* value = std::getenv("TORCH_SHOW_CPP_STACKTRACES");
    return value != nullptr && std::string(value) == "1";
}

/// Sets an exception whose text may quote bytes that are no UTF-8: those of a damaged file.
void set_text(PyObject* type, std::string_view text) {
    PyObject* message = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace");
    if (message != nullptr) {
        PyErr_SetObject(type, message);
        Py_DECREF(message);
    }
}

/// What a libtorch without CUDA says of a CUDA device is a page of backends and no advice: returns a line of each.
/// Empty where the message is about something else.
std::string without_cuda(std::string_view message) {
    constexpr std::string_view dispatcher = " with arguments from the 'CUDA' backend";
    constexpr std::string_view guard = "PyTorch is not linked with support for cuda devices";
    const size_t found = message.find(dispatcher);
    if ((found == message.npos && message.substr(0, guard.size()) != guard) || at::hasCUDA()) {
        return "";
    }
    const size_t end = found == message.npos ? guard.size() : found + dispatcher.size();
    return std::string(message.substr(0, end)) +
           ": the libtorch that libtorch_ffi was built against has no CUDA, and computes on device='cpu'. Installed "
           "with LIBTORCH_CUDA_VERSION (`libtorch-ffi list --available` has the flavors) it is one that has";
}

void set_from_libtorch(PyObject* type, const c10::Error& error) {
    if (shows_backtrace()) {
        return set_text(type, error.what());
    }
    const std::string advice = without_cuda(error.what_without_backtrace());
    set_text(type, advice.empty() ? error.what_without_backtrace() : advice.c_str());
}

/// Calls the functions of the module's `out_of_memory_hooks` with the error that is set, which stays set.
void call_out_of_memory_hooks() {
    PyObject* type = nullptr;
    PyObject* value = nullptr;
    PyObject* trace = nullptr;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyObject* hooks = PyList_AsTuple(out_of_memory_hooks);
    for (Py_ssize_t i = 0; hooks != nullptr && i < PyTuple_GET_SIZE(hooks); ++i) {
        PyObject* hook = PyTuple_GET_ITEM(hooks, i);
        PyObject* result = PyObject_CallOneArg(hook, value);
        if (result == nullptr) {
            PyErr_WriteUnraisable(hook);
        }
        Py_XDECREF(result);
    }
    Py_XDECREF(hooks);
    PyErr_Restore(type, value, trace);
}

PyObject* new_runtime_error(pybind11::module_& module, const char* name, const char* doc) {
    const std::string qualified = std::string("libtorch_ffi.") + name;
    Ref type = Ref::steal(PyErr_NewExceptionWithDoc(qualified.c_str(), doc, PyExc_RuntimeError, nullptr));
    check_status(PyModule_AddObjectRef(module.ptr(), name, type.get()));
    return type.release();
}

}  // namespace

PyObject* linalg_error() { return linalg_error_type; }
PyObject* out_of_memory_error() { return out_of_memory_error_type; }

void register_errors(pybind11::module_& module) {
    linalg_error_type =
        new_runtime_error(module, "LinAlgError", "A matrix that a linear algebra operator cannot take.");
    out_of_memory_error_type = new_runtime_error(module, "OutOfMemoryError", "A device has no memory left.");
    out_of_memory_hooks = Ref::steal(PyList_New(0)).release();
    check_status(PyModule_AddObjectRef(module.ptr(), "out_of_memory_hooks", out_of_memory_hooks));
}

void set_python_error() noexcept {
    try {
        throw;
    } catch (const PythonError&) {
        // Python's error indicator holds it already.
    } catch (pybind11::error_already_set& error) {
        error.restore();
    } catch (const pybind11::builtin_exception& error) {
        error.set_error();
    } catch (const c10::IndexError& error) {
        set_from_libtorch(PyExc_IndexError, error);
    } catch (const c10::ValueError& error) {
        set_from_libtorch(PyExc_ValueError, error);
    } catch (const c10::TypeError& error) {
        set_from_libtorch(PyExc_TypeError, error);
    } catch (const c10::NotImplementedError& error) {
        set_from_libtorch(PyExc_NotImplementedError, error);
    } catch (const c10::LinAlgError& error) {
        set_from_libtorch(linalg_error(), error);
    } catch (const c10::OutOfMemoryError& error) {
        set_from_libtorch(out_of_memory_error(), error);
        call_out_of_memory_hooks();
    } catch (const c10::Error& error) {
        set_from_libtorch(PyExc_RuntimeError, error);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        set_text(PyExc_RuntimeError, error.what());
    }
#ifdef __GLIBCXX__
    catch (const abi::__forced_unwind&) {
        wait_for_the_end();
    }
#endif
    catch (...) {
        PyErr_SetString(PyExc_RuntimeError, "libtorch threw an exception that is not a std::exception");
    }
}

}  // namespace ltf
