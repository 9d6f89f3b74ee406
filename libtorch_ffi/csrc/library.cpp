// Owns the kernel that calls a Python function, its registration with the dispatcher, and the opening of libraries.
//
// What is registered stays until the process ends: plans, packets and other libraries keep handles of operators, and
// the dispatcher has no way to tell them that an operator is gone.
#include "library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <torch/library.h>
#include <unistd.h>

#include <csignal>

#include "convert.h"
#include "releases.h"

namespace ltf {
namespace {

/// Calls a Python function with what is on the stack. The reference to it is never given back, as the kernel never is.
class PythonKernel final : public c10::OperatorKernel {
  public:
    explicit PythonKernel(pybind11::function function) : function_(function.release()) {}

    void operator()(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
        const WithGil held;
        try {
            run(op.schema(), *stack);
        } catch (const PythonError&) {
            throw pybind11::error_already_set();  // carries the error through libtorch, whatever thread catches it
        }
    }

  private:
    void run(const c10::FunctionSchema& schema, torch::jit::Stack& stack) const {
        const size_t count = schema.arguments().size();
        pybind11::list positional;
        pybind11::dict named;
        for (size_t i = 0; i < count; ++i) {
            const c10::Argument& argument = schema.arguments()[i];
            const auto value = pybind11::reinterpret_steal<pybind11::object>(
                to_python(torch::jit::peek(stack, i, count), *argument.real_type()));
            if (argument.kwarg_only()) {
                named[argument.name().c_str()] = value;
            } else {
                positional.append(value);
            }
        }
        const pybind11::object result = function_(*positional, **named);
        torch::jit::drop(stack, count);
        push_results(schema, result, stack);
    }

    static void push_results(const c10::FunctionSchema& schema, const pybind11::object& result,
                             torch::jit::Stack& stack) {
        const auto& returns = schema.returns();
        if (returns.size() == 1) {
            stack.push_back(result_value(schema, returns[0], result));
            return;
        }
        if (returns.empty()) {
            return;
        }
        const bool several =
            pybind11::isinstance<pybind11::tuple>(result) || pybind11::isinstance<pybind11::list>(result);
        if (!several || pybind11::len(result) != returns.size()) {
            raise(PyExc_TypeError, "%s: the Python function has to return a tuple of %zu values, not %R",
                  schema.name().c_str(), returns.size(), result.ptr());
        }
        for (size_t i = 0; i < returns.size(); ++i) {
            stack.push_back(result_value(schema, returns[i], result[pybind11::int_(i)]));
        }
    }

    static c10::IValue result_value(const c10::FunctionSchema& schema, const c10::Argument& described,
                                    const pybind11::object& result) {
        Parameter parameter;
        set_type(parameter, described.real_type(), false);
        c10::IValue value;
        if (result.is_none() && parameter.optional) {
            return value;
        }
        CallFacts facts;
        if (parameter.convert == nullptr || !parameter.convert(parameter, result.ptr(), Match::exact, facts, value)) {
            raise(PyExc_TypeError, "%s: the Python function returned %s where the schema says %s",
                  schema.name().c_str(), Py_TYPE(result.ptr())->tp_name, described.type()->annotation_str().c_str());
        }
        return value;
    }

    pybind11::handle function_;
};

/// One block of registrations. Its libtorch part is never freed.
struct Registrations {
    torch::Library* library;
};

torch::Library::Kind kind_of(const std::string& kind) {
    if (kind == "DEF") {
        return torch::Library::DEF;
    }
    if (kind == "IMPL") {
        return torch::Library::IMPL;
    }
    if (kind == "FRAGMENT") {
        return torch::Library::FRAGMENT;
    }
    raise(PyExc_ValueError, "a Library is of kind DEF, FRAGMENT or IMPL, not %s", kind.c_str());
}

Registrations new_registrations(const std::string& name_space, const std::string& kind) {
    return {new torch::Library(kind_of(kind), name_space, Optional<at::DispatchKey>(), "Python", 0)};
}

void define(const Registrations& self, const std::string& schema) { self.library->def(schema.c_str()); }

void implement(const Registrations& self, const std::string& name, const pybind11::function& function,
               const std::string& dispatch_key) {
    auto kernel = torch::CppFunction::makeFromBoxedFunctor(std::make_unique<PythonKernel>(function));
    self.library->impl(name.c_str(), torch::dispatch(c10::parseDispatchKey(dispatch_key), std::move(kernel)));
}

constexpr int kPatienceMilliseconds = 30000;

/// dlopen, without the promise of glibc's header that nothing is thrown: a library's registrations do.
void* open_throwing(const std::string& path) {
    void* (*volatile function)(const char*, int) = &dlopen;
    return function(path.c_str(), RTLD_NOW | RTLD_LOCAL);
}

/// Opens a library in a child process and writes what its registrations throw. Touches nothing of Python.
[[noreturn]] void try_library(const std::string& path, int answer) {
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    try {
        open_throwing(path);
    } catch (const c10::Error& error) {
        const std::string text = error.what_without_backtrace();
        [[maybe_unused]] const ssize_t written = write(answer, text.data(), text.size());
    } catch (...) {
    }
    _exit(0);
}

/// Reads to the end, or for as long as patience lasts.
std::string read_answer(int source) {
    const WithoutGil released;
    std::string text;
    std::array<char, 4096> part{};
    pollfd waiting{source, POLLIN, 0};
    while (poll(&waiting, 1, kPatienceMilliseconds) > 0) {
        const ssize_t length = read(source, part.data(), part.size());
        if (length <= 0) {
            break;
        }
        text.append(part.data(), static_cast<size_t>(length));
    }
    return text;
}

/// What libtorch would refuse of a library's registrations; empty where it would refuse nothing, or that is not to be
/// found out. An exception that is thrown while a library is opened leaves the system's loader locked for good, so it
/// is a child process in which that is tried.
std::string refusal_of(const std::string& path) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) {
        return "";
    }
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    const pid_t child = fork();
    if (child == 0) {
        try_library(path, ends[1]);
    }
    close(ends[1]);
    const std::string text = child > 0 ? read_answer(ends[0]) : "";
    close(ends[0]);
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    return text;
}

/// Opens a shared library, which registers its operators meanwhile.
void open_library(const std::string& path) {
    if (void* opened = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD); opened != nullptr) {
        dlclose(opened);  // this process has it; the count of its users goes back to what it was
        return;
    }
    if (const std::string refusal = refusal_of(path); !refusal.empty()) {
        raise(PyExc_RuntimeError, "%s", refusal.c_str());
    }
    if (open_throwing(path) == nullptr) {
        const char* reason = dlerror();
        raise(PyExc_OSError, "%s", reason == nullptr ? "the loader does not say why" : reason);
    }
}

}  // namespace

void register_library(pybind11::module_& module) {
    namespace py = pybind11;
    py::class_<Registrations>(module, "Registrations", "A block of operators, or of implementations, of a namespace.")
        .def(py::init(&new_registrations), py::arg("namespace"), py::arg("kind"))
        .def("define", &define, py::arg("schema"), "Registers an operator.")
        .def("implement", &implement, py::arg("name"), py::arg("function"), py::arg("dispatch_key"),
             "Registers a Python function as the kernel of an operator for a dispatch key.");
    module.def("open_library", &open_library, py::arg("path"),
               "Opens a shared library: OSError is the loader's, RuntimeError libtorch's.");
}

}  // namespace ltf
