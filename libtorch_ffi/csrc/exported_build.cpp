// Owns the building of a program from what `libtorch_ffi.export` read: Python's constants become libtorch's once, by
// the converters that a call's arguments go through.
#include <algorithm>

#include "exported.h"
#include "kernel_scope.h"
#include "missing_checks.h"
#include "registry.h"
#include "script_values.h"
#include "tensor.h"

namespace ltf {
namespace {

namespace py = pybind11;

/// A value that a run computes, or a piece of the program's state.
struct Reference {
    size_t index;
    bool state;
};

/// Parameters, buffers and constants: converted once, not in each run.
struct State {
    std::vector<c10::IValue> values;
};

/// A call of an operator through the dispatcher.
class OperatorNode final : public Node {
  public:
    OperatorNode(c10::OperatorHandle handle, Work work, std::string label, std::vector<Operand> operands,
                 std::vector<Target> targets)
        : Node(std::move(label), std::move(operands), std::move(targets)),
          handle_(std::move(handle)),
          check_(missing_check_of(handle_.schema())),
          work_(work) {}

    void run(Frame& frame) const override {
        push(frame);
        make_missing_check(check_, handle_.schema(), frame.stack);
        {
            std::optional<at::AutoDispatchBelowAutograd> below;
            if (!frame.differentiable && work_ != Work::foreign && is_usual(frame.stack)) {
                below.emplace();
            }
            handle_.callBoxed(&frame.stack);
        }
        pop(frame);
    }

    const c10::OperatorName* called() const override { return &handle_.operator_name(); }

  private:
    /// Whether no tensor is of a kind whose kernels count on Autograd's (see CallFacts).
    static bool is_usual(const torch::jit::Stack& stack) {
        CallFacts facts;
        for (const c10::IValue& value : stack) {
            if (value.isTensor() && value.toTensor().defined()) {
                facts.note(value.toTensor());
            } else if (value.isTensorList()) {
                for (const c10::IValue& item : value.toListRef()) {
                    facts.note(item.toTensor());
                }
            }
        }
        return !facts.unusual && !facts.dual;
    }

    c10::OperatorHandle handle_;
    Check check_;
    Work work_;
};

bool refers(py::handle object) {
    if (py::isinstance<Reference>(object)) {
        return true;
    }
    if (!py::isinstance<py::list>(object)) {
        return false;
    }
    for (const py::handle item : object) {
        if (refers(item)) {
            return true;
        }
    }
    return false;
}

Operand reference(const Reference& to, size_t slots) {
    Operand operand;
    if (!to.state && to.index >= slots) {
        raise(PyExc_IndexError, "the slot %zu is beyond the program's %zu", to.index, slots);
    }
    operand.kind = to.state ? Operand::Kind::state : Operand::Kind::slot;
    operand.index = to.index;
    return operand;
}

/// An operand by its own type.
Operand untyped(py::handle object, size_t slots) {
    if (py::isinstance<Reference>(object)) {
        return reference(object.cast<const Reference&>(), slots);
    }
    Operand operand;
    if (!refers(object)) {
        operand.constant = infer_script_value(object.ptr(), "a constant of the program");
        return operand;
    }
    operand.kind = Operand::Kind::values;
    operand.element = c10::AnyType::get();
    for (const py::handle item : object) {
        operand.items.push_back(untyped(item, slots));
    }
    return operand;
}

Operand typed(const Parameter& parameter, py::handle object, size_t slots);

Operand list_of(const Parameter& parameter, py::handle object, size_t slots) {
    Operand operand;
    const Parameter& element = *parameter.element;
    operand.element = parameter.type->expectRef<c10::ListType>().getElementType();
    operand.kind = Operand::Kind::values;
    if (element.type->kind() == c10::TypeKind::TensorType) {
        operand.kind = element.optional ? Operand::Kind::optional_tensors : Operand::Kind::tensors;
    } else if (element.type->kind() == c10::TypeKind::IntType || element.type->kind() == c10::TypeKind::SymIntType) {
        operand.kind = Operand::Kind::ints;
    }
    for (const py::handle item : object) {
        operand.items.push_back(typed(element, item, slots));
    }
    return operand;
}

/// An operand for a parameter of an operator.
Operand typed(const Parameter& parameter, py::handle object, size_t slots) {
    const c10::TypeKind kind = parameter.type->kind();
    if (py::isinstance<Reference>(object)) {
        Operand operand = reference(object.cast<const Reference&>(), slots);
        operand.floats = kind == c10::TypeKind::FloatType;
        operand.tensor = kind == c10::TypeKind::TensorType && !parameter.optional;
        operand.number = parameter.takes_numbers && kind == c10::TypeKind::TensorType;
        return operand;
    }
    if (refers(object) && parameter.element != nullptr) {
        return list_of(parameter, object, slots);
    }
    Operand operand;
    CallFacts facts;
    if (object.is_none() && parameter.optional) {
        return operand;
    }
    if (refers(object) || parameter.convert == nullptr ||
        !parameter.convert(parameter, object.ptr(), Match::lenient, facts, operand.constant)) {
        raise(PyExc_TypeError, "argument '%U' takes %s, not %R", parameter.name,
              parameter.type->annotation_str().c_str(), object.ptr());
    }
    return operand;
}

std::vector<Operand> untyped_all(const py::list& objects, size_t slots) {
    std::vector<Operand> operands;
    for (const py::handle object : objects) {
        operands.push_back(untyped(object, slots));
    }
    return operands;
}

/// A slot's number, None, or a list of them.
Target target(py::handle object, size_t slots) {
    Target made;
    if (py::isinstance<py::list>(object)) {
        made.is_list = true;
        for (const py::handle item : object) {
            made.items.push_back(target(item, slots));
        }
    } else if (!object.is_none()) {
        made.slot = object.cast<size_t>();
        if (made.slot >= slots) {
            raise(PyExc_IndexError, "the slot %zu is beyond the program's %zu", made.slot, slots);
        }
    }
    return made;
}

std::vector<Target> targets(const py::list& objects, size_t slots) {
    std::vector<Target> made;
    for (const py::handle object : objects) {
        made.push_back(target(object, slots));
    }
    return made;
}

/// The plan of one overload, or null.
Plan* find_plan(const std::string& name, const std::string& overload) {
    for (Plan* plan : plans_of(name)) {
        if (plan->schema().overload_name() == overload) {
            return plan;
        }
    }
    return nullptr;
}

/// The names of an operator's arguments; None where there is no such operator.
std::optional<std::vector<std::string>> operator_arguments(const std::string& name, const std::string& overload) {
    const Plan* plan = find_plan(name, overload);
    if (plan == nullptr) {
        return std::nullopt;
    }
    std::vector<std::string> names;
    for (const c10::Argument& argument : plan->schema().arguments()) {
        names.push_back(argument.name());
    }
    return names;
}

/// The names of the arguments that an operator writes to; none where there is no such operator.
std::vector<std::string> mutated_arguments(const std::string& name, const std::string& overload) {
    std::vector<std::string> names;
    const Plan* plan = find_plan(name, overload);
    if (plan != nullptr) {
        for (const c10::Argument& argument : plan->schema().arguments()) {
            if (argument.alias_info() != nullptr && argument.alias_info()->isWrite()) {
                names.push_back(argument.name());
            }
        }
    }
    return names;
}

void refuse_unknown(const Plan& plan, const py::dict& given) {
    for (const auto& [name, value] : given) {
        bool known = false;
        for (const Parameter& parameter : plan.parameters()) {
            known = known || PyUnicode_Compare(parameter.name, name.ptr()) == 0;
        }
        if (!known) {
            raise(PyExc_TypeError, "this libtorch's operator has no argument %R: %s", name.ptr(), plan.text().c_str());
        }
    }
}

void add_operator(Program& program, const std::string& name, const std::string& overload, const py::dict& given,
                  const py::list& results, const std::string& label) {
    Plan* plan = find_plan(name, overload);
    if (plan == nullptr) {
        raise(PyExc_LookupError, "there is no operator %s.%s", name.c_str(), overload.c_str());
    }
    refuse_unknown(*plan, given);
    std::vector<Operand> operands;
    for (const Parameter& parameter : plan->parameters()) {
        PyObject* object = PyDict_GetItem(given.ptr(), parameter.name);
        if (object != nullptr) {
            operands.push_back(typed(parameter, object, program.slot_count()));
            continue;
        }
        if (!parameter.has_default) {
            raise(PyExc_TypeError, "argument '%U' is missing: %s", parameter.name, plan->text().c_str());
        }
        operands.emplace_back();
        operands.back().constant = parameter.fallback;
    }
    const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name.c_str(), overload.c_str());
    program.add(std::make_unique<OperatorNode>(handle, plan->work(), label, std::move(operands),
                                               targets(results, program.slot_count())));
}

/// False where there is no such function.
bool add_number(Program& program, const std::string& function, const py::list& arguments, const py::list& results,
                const std::string& label) {
    auto node = number_node(function, label, untyped_all(arguments, program.slot_count()),
                            targets(results, program.slot_count()));
    const bool known = node != nullptr;
    if (known) {
        program.add(std::move(node));
    }
    return known;
}

bool add_control(Program& program, const std::string& name, const std::vector<std::shared_ptr<Program>>& graphs,
                 const py::list& arguments, const py::list& results, const std::string& label) {
    auto node = control_node(name, label, graphs, untyped_all(arguments, program.slot_count()),
                             targets(results, program.slot_count()));
    const bool known = node != nullptr;
    if (known) {
        program.add(std::move(node));
    }
    return known;
}

std::shared_ptr<Program> new_program(size_t slots, const std::vector<size_t>& inputs) {
    for (const size_t input : inputs) {
        if (input >= slots) {
            raise(PyExc_IndexError, "the slot %zu is beyond the program's %zu", input, slots);
        }
    }
    return std::make_shared<Program>(slots, inputs);
}

bool requires_grad(const std::vector<c10::IValue>& values) {
    return std::any_of(values.begin(), values.end(), [](const c10::IValue& value) {
        return value.isTensor() && value.toTensor().defined() && value.toTensor().requires_grad();
    });
}

std::vector<c10::IValue> values_of(const py::list& objects, const char* what) {
    std::vector<c10::IValue> values;
    values.reserve(objects.size());
    for (const py::handle object : objects) {
        values.push_back(infer_script_value(object.ptr(), what));
    }
    return values;
}

py::list run(const Program& program, const py::list& given, const State& state) {
    std::vector<c10::IValue> inputs = values_of(given, "an input of the program");
    const bool differentiable = at::GradMode::is_enabled() && (requires_grad(inputs) || requires_grad(state.values));
    std::vector<c10::IValue> results;
    {
        const WithoutGil released;
        results = program.run(std::move(inputs), state.values, differentiable);
    }
    py::list out;
    for (c10::IValue& result : results) {
        out.append(py::reinterpret_steal<py::object>(from_script(std::move(result))));
    }
    return out;
}

}  // namespace

void register_exported(py::module_& module) {
    py::class_<Reference>(module, "Reference", "A value that a run of an exported program computes.")
        .def(py::init([](size_t index, bool state) { return Reference{index, state}; }), py::arg("index"),
             py::arg("state") = false);
    py::class_<State>(module, "ProgramState", "The tensors that an exported program keeps between its runs.")
        .def(py::init([](const py::list& tensors) { return State{values_of(tensors, "the program's state")}; }));
    py::class_<Program, std::shared_ptr<Program>>(module, "Program", "The graph of an exported program.")
        .def(py::init(&new_program))
        .def("add_operator", &add_operator)
        .def("add_number", &add_number)
        .def("add_control", &add_control)
        .def("finish",
             [](Program& self, const py::list& outputs) { self.finish(untyped_all(outputs, self.slot_count())); })
        .def("for_inference", [](const Program& self, const State& state) { return self.for_inference(state.values); })
        .def("run", &run);
    module.def("operator_arguments", &operator_arguments);
    module.def("mutated_arguments", &mutated_arguments);
}

}  // namespace ltf
