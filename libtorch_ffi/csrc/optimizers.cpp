// Owns the Python face of torch::optim. The groups are Python's: plain dicts that anyone may change, read again before
// each step. What an optimizer remembers of a parameter is libtorch's, and passes as a dict under torch's names. The
// arithmetic is libtorch's alone.
#include "optimizers.h"

#include <torch/optim.h>

#include <atomic>
#include <deque>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "convert.h"
#include "releases.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

namespace optim = torch::optim;
using pybind11::handle;
using pybind11::object;

// Each kind's options and state, under torch's names. A visitor gets a reference to every field: one kind of visitor
// reads a dict into them, the other makes a dict of them.

template <class Visit>
void each(optim::SGDOptions& options, Visit&& visit) {
    visit("lr", options.lr());
    visit("momentum", options.momentum());
    visit("dampening", options.dampening());
    visit("weight_decay", options.weight_decay());
    visit("nesterov", options.nesterov());
}

template <class Visit>
void each(optim::SGDParamState& state, Visit&& visit) {
    visit("momentum_buffer", state.momentum_buffer());
}

/// Adam and AdamW have the same fields in types of their own.
template <class Options, class Visit>
void each_of_adam(Options& options, Visit&& visit) {
    visit("lr", options.lr());
    visit("betas", options.betas());
    visit("eps", options.eps());
    visit("weight_decay", options.weight_decay());
    visit("amsgrad", options.amsgrad());
}

template <class State, class Visit>
void each_of_adam_state(State& state, Visit&& visit) {
    visit("step", state.step());
    visit("exp_avg", state.exp_avg());
    visit("exp_avg_sq", state.exp_avg_sq());
    visit("max_exp_avg_sq", state.max_exp_avg_sq());
}

template <class Visit>
void each(optim::AdamOptions& options, Visit&& visit) {
    each_of_adam(options, visit);
}

template <class Visit>
void each(optim::AdamWOptions& options, Visit&& visit) {
    each_of_adam(options, visit);
}

template <class Visit>
void each(optim::AdamParamState& state, Visit&& visit) {
    each_of_adam_state(state, visit);
}

template <class Visit>
void each(optim::AdamWParamState& state, Visit&& visit) {
    each_of_adam_state(state, visit);
}

template <class Visit>
void each(optim::RMSpropOptions& options, Visit&& visit) {
    visit("lr", options.lr());
    visit("alpha", options.alpha());
    visit("eps", options.eps());
    visit("weight_decay", options.weight_decay());
    visit("momentum", options.momentum());
    visit("centered", options.centered());
}

template <class Visit>
void each(optim::RMSpropParamState& state, Visit&& visit) {
    visit("step", state.step());
    visit("square_avg", state.square_avg());
    visit("momentum_buffer", state.momentum_buffer());
    visit("grad_avg", state.grad_avg());
}

template <class Visit>
void each(optim::AdagradOptions& options, Visit&& visit) {
    visit("lr", options.lr());
    visit("lr_decay", options.lr_decay());
    visit("weight_decay", options.weight_decay());
    visit("initial_accumulator_value", options.initial_accumulator_value());
    visit("eps", options.eps());
}

template <class Visit>
void each(optim::AdagradParamState& state, Visit&& visit) {
    visit("step", state.step());
    visit("sum", state.sum());
}

template <class Visit>
void each(optim::LBFGSOptions& options, Visit&& visit) {
    visit("lr", options.lr());
    visit("max_iter", options.max_iter());
    visit("max_eval", options.max_eval());
    visit("tolerance_grad", options.tolerance_grad());
    visit("tolerance_change", options.tolerance_change());
    visit("history_size", options.history_size());
    visit("line_search_fn", options.line_search_fn());
}

template <class Visit>
void each(optim::LBFGSParamState& state, Visit&& visit) {
    visit("func_evals", state.func_evals());
    visit("n_iter", state.n_iter());
    visit("t", state.t());
    visit("prev_loss", state.prev_loss());
    visit("d", state.d());
    visit("H_diag", state.H_diag());
    visit("prev_flat_grad", state.prev_flat_grad());
    visit("old_dirs", state.old_dirs());
    visit("old_stps", state.old_stps());
    visit("ro", state.ro());
    visit("al", state.al());
}

// From Python. A value that does not fit raises TypeError with its name.

[[noreturn]] void refuse(const char* name, const char* expected, PyObject* value) {
    raise(PyExc_TypeError, "an optimizer's %s has to be %s, but got %s", name, expected, Py_TYPE(value)->tp_name);
}

/// Takes a tensor of one element too, as torch does for a learning rate.
void read(const char* name, PyObject* value, double& field) {
    field = PyFloat_AsDouble(value);
    if (field == -1.0 && PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        refuse(name, "a number", value);
    }
}

void read(const char* name, PyObject* value, int64_t& field) {
    double number = 0;
    read(name, value, number);
    if (!(number >= -9e15 && number <= 9e15)) {
        raise(PyExc_ValueError, "an optimizer's %s is out of range", name);
    }
    field = static_cast<int64_t>(number);
}

void read(const char* name, PyObject* value, bool& field) {
    const int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        PyErr_Clear();
        refuse(name, "True or False", value);
    }
    field = truth != 0;
}

void read(const char* name, PyObject* value, std::tuple<double, double>& field) {
    const Ref pair = Ref::steal(PySequence_Tuple(value));
    if (PyTuple_GET_SIZE(pair.get()) != 2) {
        raise(PyExc_ValueError, "an optimizer's %s are two numbers, but got %zd", name, PyTuple_GET_SIZE(pair.get()));
    }
    read(name, PyTuple_GET_ITEM(pair.get(), 0), std::get<0>(field));
    read(name, PyTuple_GET_ITEM(pair.get(), 1), std::get<1>(field));
}

void read(const char* name, PyObject* value, std::string& field) {
    Py_ssize_t length = 0;
    const char* text = PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &length) : nullptr;
    if (text == nullptr) {
        PyErr_Clear();
        refuse(name, "a str", value);
    }
    field.assign(text, static_cast<size_t>(length));
}

/// None stands for what libtorch has not made yet, a number for a tensor of no dimensions.
void read(const char* name, PyObject* value, at::Tensor& field) {
    at::Scalar number;
    if (value == Py_None) {
        field = at::Tensor();
    } else if (is_tensor(value)) {
        field = tensor_of(value);
    } else if (read_scalar(value, number)) {
        field = at::scalar_tensor(number);
    } else {
        refuse(name, "a Tensor", value);
    }
}

template <class List>
void read_list(const char* name, PyObject* value, List& field) {
    const Ref items = Ref::steal(PySequence_Tuple(value));
    field.clear();
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
        read(name, PyTuple_GET_ITEM(items.get(), i), field.emplace_back());
    }
}

void read(const char* name, PyObject* value, std::deque<at::Tensor>& field) { read_list(name, value, field); }
void read(const char* name, PyObject* value, std::vector<at::Tensor>& field) { read_list(name, value, field); }

/// libtorch's optional: what resets and holds a value.
template <class Maybe, class Value = typename Maybe::value_type>
auto read(const char* name, PyObject* value, Maybe& field) -> decltype(field.has_value(), void()) {
    if (value == Py_None) {
        field.reset();
    } else {
        Value found{};
        read(name, value, found);
        field = std::move(found);
    }
}

/// Reads the fields that a dict has; the others keep what they are.
struct FieldReader {
    handle dict;

    template <class Field>
    void operator()(const char* name, Field& field) const {
        PyObject* value = PyDict_GetItemString(dict.ptr(), name);
        if (value != nullptr) {
            read(name, value, field);
        }
    }
};

// To Python.

object written(double value) { return pybind11::float_(value); }
object written(int64_t value) { return pybind11::int_(value); }
object written(const at::Tensor& value) { return pybind11::reinterpret_steal<object>(wrap(value)); }

template <class List>
object written_list(const List& value) {
    pybind11::list list;
    for (const at::Tensor& item : value) {
        list.append(written(item));
    }
    return list;
}

object written(const std::deque<at::Tensor>& value) { return written_list(value); }
object written(const Optional<std::vector<at::Tensor>>& value) {
    return value ? written_list(*value) : pybind11::none();
}

/// Writes each field but the tensors that were never made. torch counts a parameter's steps in a float32 tensor.
struct Writer {
    pybind11::dict& dict;

    template <class Field>
    void operator()(const char* name, Field& field) const {
        if constexpr (std::is_same_v<Field, at::Tensor>) {
            if (!field.defined()) {
                return;
            }
        }
        if constexpr (std::is_same_v<Field, int64_t>) {
            if (std::string(name) == "step") {
                dict[name] = written(at::scalar_tensor(field, at::kFloat));
                return;
            }
        }
        dict[name] = written(field);
    }
};

// One optimizer.

/// The gradients of parameters, negated for as long as it lives.
class Negated {
  public:
    Negated() = default;
    Negated(const Negated&) = delete;
    Negated& operator=(const Negated&) = delete;
    ~Negated() {
        for (auto& [parameter, gradient] : kept_) {
            parameter.mutable_grad() = gradient;
        }
    }

    void add(const std::vector<at::Tensor>& parameters) {
        const at::NoGradGuard no_grad;
        for (const at::Tensor& parameter : parameters) {
            const at::Tensor gradient = parameter.grad();
            if (gradient.defined()) {
                kept_.emplace_back(parameter, gradient);
                parameter.mutable_grad() = gradient.neg();
            }
        }
    }

  private:
    std::vector<std::pair<at::Tensor, at::Tensor>> kept_;
};

/// Says for as long as it lives that an optimizer is at work: its state is then nobody else's.
class Turn {
  public:
    explicit Turn(std::atomic<bool>& busy) : busy_(busy) {
        if (busy_.exchange(true)) {
            raise(PyExc_RuntimeError,
                  "this optimizer is in the middle of a step, in another thread or in the closure that asks: its state "
                  "can be used once the step has ended");
        }
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { busy_.store(false); }

  private:
    std::atomic<bool>& busy_;
};

class Stepper {
  public:
    virtual ~Stepper() = default;
    virtual object state(const at::Tensor& parameter) = 0;
    virtual void set_state(const at::Tensor& parameter, const pybind11::dict& fields) = 0;

    void step(const pybind11::list& groups) {
        const Turn turn(busy_);
        read_groups(groups);
        Negated negated;
        for (size_t i = 0; i < groups.size(); ++i) {
            PyObject* maximize = PyDict_GetItemString(handle(groups[i]).ptr(), "maximize");
            if (maximize != nullptr && PyObject_IsTrue(maximize) == 1) {
                negated.add(optimizer().param_groups()[i].params());
            }
        }
        const WithoutGil released;
        optimizer().step();
    }

    /// The closure is called by libtorch, as often as it asks, with gradients enabled.
    object step_with(const pybind11::list& groups, const object& closure) {
        const Turn turn(busy_);
        read_groups(groups);
        at::Tensor loss;
        {
            const WithoutGil released;
            loss = optimizer().step([&] {
                return in_python([&] {
                    const Ref result = Ref::steal(PyObject_CallNoArgs(closure.ptr()));
                    return loss_of(result.get());
                });
            });
        }
        return written(loss);
    }

  protected:
    virtual optim::Optimizer& optimizer() = 0;
    virtual void read_options(optim::OptimizerOptions& options, handle group) = 0;
    virtual void fit(const optim::OptimizerParamGroup& group) = 0;

    std::atomic<bool> busy_{false};

  private:
    static at::Tensor loss_of(PyObject* result) {
        at::Scalar number;
        if (is_tensor(result) && tensor_of(result).numel() == 1) {
            return tensor_of(result);
        }
        if (!is_tensor(result) && read_scalar(result, number)) {
            return at::scalar_tensor(number, at::kDouble);
        }
        raise(PyExc_TypeError, "an optimizer's closure has to return the loss, a Tensor of one element, but got %s",
              Py_TYPE(result)->tp_name);
    }

    void read_groups(const pybind11::list& groups) {
        auto& ours = optimizer().param_groups();
        while (ours.size() > groups.size()) {
            ours.pop_back();
        }
        for (size_t i = 0; i < groups.size(); ++i) {
            const handle group = groups[i];
            if (PyDict_Check(group.ptr()) == 0) {
                refuse("parameter group", "a dict", group.ptr());
            }
            if (i == ours.size()) {
                ours.emplace_back(std::vector<at::Tensor>(), optimizer().defaults().clone());
            }
            read_options(ours[i].options(), group);
            read_parameters(ours[i].params(), group);
            fit(ours[i]);
        }
    }

    static void read_parameters(std::vector<at::Tensor>& parameters, handle group) {
        PyObject* given = PyDict_GetItemString(group.ptr(), "params");
        if (given == nullptr || PyList_Check(given) == 0) {
            refuse("params", "a list of Tensors", given == nullptr ? Py_None : given);
        }
        parameters.clear();
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(given); ++i) {
            PyObject* item = PyList_GET_ITEM(given, i);
            if (!is_tensor(item)) {
                refuse("params", "a list of Tensors", item);
            }
            parameters.push_back(tensor_of(item));
        }
    }
};

/// LBFGS indexes its lists by each other's lengths, and counts on a history of one at least. Others need no check.
template <class State>
void check_state(const State&) {}

void check_state(const optim::LBFGSParamState& state) {
    const size_t moves = state.old_dirs().size();
    if (state.old_stps().size() != moves || state.ro().size() != moves) {
        raise(PyExc_ValueError,
              "the state of an LBFGS has %zu old_dirs, %zu old_stps and %zu ro: expected as many of each", moves,
              state.old_stps().size(), state.ro().size());
    }
}

/// Makes a state fit the group's options, which may have changed.
template <class Options, class State>
void fit_state(const Options&, State*) {}

void fit_state(const optim::LBFGSOptions& options, optim::LBFGSParamState* state) {
    if (options.history_size() < 1 || options.history_size() > 1000000) {
        raise(PyExc_ValueError, "an LBFGS's history_size has to be from 1 to 1000000, but got %lld",
              static_cast<long long>(options.history_size()));
    }
    if (state == nullptr) {
        return;
    }
    const auto size = static_cast<size_t>(options.history_size());
    while (state->old_dirs().size() > size) {
        state->old_dirs().pop_front();
        state->old_stps().pop_front();
        state->ro().pop_front();
    }
    if (state->al()) {
        state->al()->resize(size);
    }
}

using Key = std::decay_t<decltype(std::declval<optim::Optimizer&>().state())>::key_type;

/// What an optimizer knows a parameter by: its address, until 2.1 written out.
template <class Known = Key>
Known key(const at::Tensor& parameter) {
    if constexpr (std::is_same_v<Known, std::string>) {
        std::ostringstream text;
        text << parameter.unsafeGetTensorImpl();
        return text.str();
    } else {
        return parameter.unsafeGetTensorImpl();
    }
}

template <class Kind, class Options, class State>
class StepperOf final : public Stepper {
  public:
    object state(const at::Tensor& parameter) override {
        const Turn turn(busy_);
        const auto found = optimizer_.state().find(key(parameter));
        if (found == optimizer_.state().end() || found->second == nullptr) {
            return pybind11::none();
        }
        pybind11::dict dict;
        each(static_cast<State&>(*found->second), Writer{dict});
        return dict;
    }

    void set_state(const at::Tensor& parameter, const pybind11::dict& fields) override {
        auto state = std::make_unique<State>();
        each(*state, FieldReader{fields});
        check_state(*state);
        const Turn turn(busy_);
        optimizer_.state()[key(parameter)] = std::move(state);
    }

  protected:
    optim::Optimizer& optimizer() override { return optimizer_; }

    void read_options(optim::OptimizerOptions& options, handle group) override {
        each(static_cast<Options&>(options), FieldReader{group});
    }

    void fit(const optim::OptimizerParamGroup& group) override {
        const auto found =
            group.params().empty() ? optimizer_.state().end() : optimizer_.state().find(key(group.params().front()));
        fit_state(static_cast<const Options&>(group.options()),
                  found == optimizer_.state().end() ? nullptr : static_cast<State*>(found->second.get()));
    }

  private:
    Kind optimizer_{std::vector<at::Tensor>(), Options(0.001)};
};

std::unique_ptr<Stepper> make(const std::string& kind) {
    if (kind == "SGD") {
        return std::make_unique<StepperOf<optim::SGD, optim::SGDOptions, optim::SGDParamState>>();
    }
    if (kind == "Adam") {
        return std::make_unique<StepperOf<optim::Adam, optim::AdamOptions, optim::AdamParamState>>();
    }
    if (kind == "AdamW") {
        return std::make_unique<StepperOf<optim::AdamW, optim::AdamWOptions, optim::AdamWParamState>>();
    }
    if (kind == "RMSprop") {
        return std::make_unique<StepperOf<optim::RMSprop, optim::RMSpropOptions, optim::RMSpropParamState>>();
    }
    if (kind == "Adagrad") {
        return std::make_unique<StepperOf<optim::Adagrad, optim::AdagradOptions, optim::AdagradParamState>>();
    }
    if (kind == "LBFGS") {
        return std::make_unique<StepperOf<optim::LBFGS, optim::LBFGSOptions, optim::LBFGSParamState>>();
    }
    raise(PyExc_ValueError, "libtorch has no optimizer %s", kind.c_str());
}

/// Drops the gradients of a group's parameters, or fills them with zeros.
void zero_grad(const pybind11::list& parameters, bool set_to_none) {
    for (const handle item : parameters) {
        if (!is_tensor(item.ptr())) {
            refuse("params", "a list of Tensors", item.ptr());
        }
        at::Tensor& gradient = tensor_of(item.ptr()).mutable_grad();
        if (!gradient.defined()) {
            continue;
        }
        if (set_to_none) {
            gradient.reset();
        } else {
            const at::NoGradGuard no_grad;
            gradient.detach_();
            gradient.zero_();
        }
    }
}

}  // namespace

void register_optimizers(pybind11::module_& module) {
    namespace py = pybind11;
    py::class_<Stepper>(module, "OptimizerCore", "One of libtorch's C++ optimizers: its arithmetic and what it keeps.")
        .def(py::init(&make), py::arg("kind"))
        .def("step", &Stepper::step, py::arg("groups"), "Takes one step, with the options and parameters of groups.")
        .def("step_with", &Stepper::step_with, py::arg("groups"), py::arg("closure"),
             "Takes one step that evaluates the loss as often as it needs, and answers the first.")
        .def("state", &Stepper::state, py::arg("parameter"), "What it keeps of a parameter, or None.")
        .def("set_state", &Stepper::set_state, py::arg("parameter"), py::arg("fields"), "Replaces that.")
        .def_static("zero_grad", &zero_grad, py::arg("parameters"), py::arg("set_to_none"),
                    "Drops the gradients of parameters, or fills them with zeros.")
        .def_static(
            "identity",
            [](const at::Tensor& tensor) { return reinterpret_cast<uintptr_t>(tensor.unsafeGetTensorImpl()); },
            py::arg("tensor"), "The same number for all handles of one tensor, while it lives.");
}

}  // namespace ltf
