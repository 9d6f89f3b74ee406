// Owns the choice among overloads, and the calling conventions that torch adds to the schemas: `out=`, `requires_grad=`
// of factories, and a list of ints given as separate arguments.
#include "overloads.h"

#include <structmember.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "convert.h"
#include "plan.h"
#include "registry.h"
#include "tensor.h"

namespace ltf {
namespace {

/// Which of torch's faces a packet plays.
enum class Style {
    ops,       // torch.ops.aten.add: Tensor[] results are lists
    function,  // torch.add
    method,    // torch.Tensor.add: the first argument is the tensor
};

struct OperatorObject {
    PyObject_HEAD;
    vectorcallfunc vectorcall;
    Plan* plan;
    PyObject* name;
};

/// What a packet knows; the Python object holds a pointer to it.
struct Packet {
    std::string name;  // with its namespace
    Style style = Style::ops;
    std::vector<Plan*> functional;
    std::vector<Plan*> writing;  // overloads with out= arguments
    bool factory = false;
    bool own_dtype = false;    // of torch's functions: there is a default dtype, and None means it
    bool packs_ints = false;   // x.view(2, -1): one int list is the only argument given by position
    bool packs_first = false;  // and no overload takes a number in its place, as squeeze(0) does

    Lists lists() const { return style == Style::ops ? Lists::list : Lists::tuple; }
    Py_ssize_t receivers() const { return style == Style::method ? 1 : 0; }
};

struct PacketObject {
    PyObject_HEAD;
    vectorcallfunc vectorcall;
    PyObject* dict;  // the overloads, by name; null until they are looked up
    Packet* packet;  // likewise
    PyObject* name;  // with its namespace
    Style style;
};

PyTypeObject* operator_type = nullptr;
PyTypeObject* packet_type = nullptr;
PyTypeObject* method_type = nullptr;

PyObject* out_name = nullptr;
PyObject* requires_grad_name = nullptr;
PyObject* dtype_name = nullptr;

/// The packet of an object; its overloads are looked up when they are first asked for, as most methods never are.
Packet& packet_of(PyObject* self);
Plan& plan_of(PyObject* self) { return *reinterpret_cast<OperatorObject*>(self)->plan; }

bool writes_out(const Plan& plan) {
    const auto& arguments = plan.schema().arguments();
    return std::any_of(arguments.begin(), arguments.end(), [](const auto& a) { return a.is_out(); });
}

/// Binds and runs the first candidate that takes the arguments; null where none does.
PyObject* call_first(const std::vector<Plan*>& candidates, const Arguments& arguments, Match match, Lists lists) {
    for (Plan* plan : candidates) {
        if (arguments.positional > static_cast<Py_ssize_t>(plan->most_positional()) ||
            arguments.positional + arguments.keywords() < static_cast<Py_ssize_t>(plan->fewest())) {
            continue;
        }
        if (PyObject* result = plan->try_call(arguments, match, lists); result != nullptr) {
            return result;
        }
    }
    return nullptr;
}

/// Whether the first argument after the receivers is a list.
bool takes_list(const Plan& plan, Py_ssize_t receivers) {
    const auto place = static_cast<size_t>(receivers);
    return place < plan.parameters().size() && plan.parameters()[place].type->kind() == c10::TypeKind::ListType;
}

/// `packed`, if it is given, are the same arguments with separate ints made one list, and `receivers` says where.
[[noreturn]] void raise_no_match(const std::string& name, const std::vector<Plan*>& candidates,
                                 const Arguments& arguments, const Arguments* packed = nullptr,
                                 Py_ssize_t receivers = 0) {
    std::string text = name + "(): no overload takes these arguments (";
    for (Py_ssize_t i = 0; i < arguments.positional + arguments.keywords(); ++i) {
        text += i == 0 ? "" : ", ";
        if (i >= arguments.positional) {
            text += pybind11::handle(arguments.keyword_name(i - arguments.positional)).cast<std::string>() + "=";
        }
        text += Py_TYPE(arguments.values[i])->tp_name;
    }
    text += "). The overloads, and why each was refused:";
    for (Plan* plan : candidates) {
        const bool is_packed = packed != nullptr && takes_list(*plan, receivers);
        text += "\n  " + plan->text() + "\n    " + plan->refusal(is_packed ? *packed : arguments);
    }
    PyErr_SetString(PyExc_TypeError, text.c_str());
    throw PythonError();
}

/// A copy of a call's arguments that can be changed; the objects stay borrowed.
class Edited {
  public:
    explicit Edited(const Arguments& arguments)
        : values_(arguments.values, arguments.values + arguments.positional + arguments.keywords()),
          positional_(arguments.positional) {
        for (Py_ssize_t i = 0; i < arguments.keywords(); ++i) {
            names_.push_back(arguments.keyword_name(i));
        }
    }

    /// Removes the keyword argument `name` and answers its value (borrowed), or null.
    PyObject* take(PyObject* name) {
        for (size_t i = 0; i < names_.size(); ++i) {
            if (PyUnicode_Compare(names_[i], name) == 0) {
                const auto place = values_.begin() + positional_ + static_cast<std::ptrdiff_t>(i);
                PyObject* value = *place;
                values_.erase(place);
                names_.erase(names_.begin() + static_cast<std::ptrdiff_t>(i));
                return value;
            }
        }
        return nullptr;
    }

    void add(PyObject* name, PyObject* value) {
        names_.push_back(name);
        values_.push_back(value);
    }

    Arguments arguments() {
        tuple_ = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(names_.size())));
        for (size_t i = 0; i < names_.size(); ++i) {
            PyTuple_SET_ITEM(tuple_.get(), static_cast<Py_ssize_t>(i), Py_NewRef(names_[i]));
        }
        return {values_.data(), positional_, tuple_.get()};
    }

  private:
    std::vector<PyObject*> values_;
    std::vector<PyObject*> names_;
    Py_ssize_t positional_;
    Ref tuple_;
};

bool has_keyword(const Arguments& arguments, PyObject* name) {
    for (Py_ssize_t i = 0; i < arguments.keywords(); ++i) {
        if (PyUnicode_Compare(arguments.keyword_name(i), name) == 0) {
            return true;
        }
    }
    return false;
}

/// A call's arguments with the ints after the receivers put into one tuple, where they begin with an int.
class Packed {
  public:
    Packed(const Packet& packet, const Arguments& arguments) : first_(packet.receivers()), names_(arguments.names) {
        int64_t unused = 0;
        if (arguments.positional <= first_ || first_ + 1 + arguments.keywords() > kMost ||
            (!read_int(arguments.values[first_], unused) && !read_int_tensor(arguments.values[first_], unused))) {
            return;
        }
        packed_ = Ref::steal(PyTuple_New(arguments.positional - first_));
        for (Py_ssize_t i = first_; i < arguments.positional; ++i) {
            PyTuple_SET_ITEM(packed_.get(), i - first_, Py_NewRef(arguments.values[i]));
        }
        std::copy_n(arguments.values, first_, values_.begin());
        values_[static_cast<size_t>(first_)] = packed_.get();
        std::copy_n(arguments.values + arguments.positional, arguments.keywords(), values_.begin() + first_ + 1);
    }

    explicit operator bool() const { return static_cast<bool>(packed_); }
    Arguments arguments() const { return {values_.data(), first_ + 1, names_}; }

  private:
    static constexpr Py_ssize_t kMost = 16;
    Py_ssize_t first_;
    PyObject* names_;
    Ref packed_;
    std::array<PyObject*, kMost> values_;
};

/// Calls with the ints put into one tuple; null where no candidate takes that.
PyObject* call_packed(const Packet& packet, const std::vector<Plan*>& candidates, const Arguments& arguments) {
    const Packed packed(packet, arguments);
    return packed ? call_first(candidates, packed.arguments(), Match::exact, packet.lists()) : nullptr;
}

[[noreturn]] void refuse(const Packet& packet, const std::vector<Plan*>& candidates, const Arguments& arguments) {
    if (packet.packs_ints) {
        if (const Packed packed(packet, arguments); packed) {
            const Arguments list = packed.arguments();
            raise_no_match(packet.name, candidates, arguments, &list, packet.receivers());
        }
    }
    raise_no_match(packet.name, candidates, arguments);
}

PyObject* choose(const Packet& packet, const std::vector<Plan*>& candidates, const Arguments& arguments) {
    if (packet.packs_first) {
        if (PyObject* result = call_packed(packet, candidates, arguments); result != nullptr) {
            return result;
        }
    }
    if (PyObject* result = call_first(candidates, arguments, Match::exact, packet.lists()); result != nullptr) {
        return result;
    }
    if (packet.packs_ints && !packet.packs_first) {
        if (PyObject* result = call_packed(packet, candidates, arguments); result != nullptr) {
            return result;
        }
    }
    if (PyObject* result = call_first(candidates, arguments, Match::lenient, packet.lists()); result != nullptr) {
        return result;
    }
    refuse(packet, candidates, arguments);
}

/// Whether an overload writes to one list of tensors, and not to a tensor for each result.
bool writes_list(const Plan& plan) {
    const auto& arguments = plan.schema().arguments();
    return std::any_of(arguments.begin(), arguments.end(),
                       [](const auto& a) { return a.is_out() && a.type()->kind() == c10::TypeKind::ListType; });
}

/// torch's `out=`: one tensor, a list where the schema has one, or a tuple for the out arguments in their order.
PyObject* call_with_out(const Packet& packet, const Arguments& arguments) {
    Edited edited(arguments);
    PyObject* out = edited.take(out_name);
    if (out == Py_None) {
        return choose(packet, packet.functional, edited.arguments());
    }
    if (PyTuple_Check(out) == 0 && PyList_Check(out) == 0) {
        return choose(packet, packet.writing, arguments);
    }
    const Ref items = Ref::steal(PySequence_Tuple(out));  // a list could lose them while the kernel runs
    for (Plan* plan : packet.writing) {
        if (writes_list(*plan)) {
            if (PyObject* result = call_first({plan}, arguments, Match::lenient, packet.lists()); result != nullptr) {
                return result;
            }
            continue;
        }
        Edited spread(edited.arguments());
        Py_ssize_t next = 0;
        for (const c10::Argument& argument : plan->schema().arguments()) {
            if (argument.is_out() && next < PyTuple_GET_SIZE(items.get())) {
                spread.add(plan->parameters()[static_cast<size_t>(&argument - plan->schema().arguments().data())].name,
                           PyTuple_GET_ITEM(items.get(), next++));
            }
        }
        const Arguments final_arguments = spread.arguments();
        if (PyObject* result = call_first({plan}, final_arguments, Match::lenient, packet.lists()); result != nullptr) {
            return result;
        }
    }
    raise_no_match(packet.name, packet.writing, arguments);
}

/// torch's `requires_grad=` of a factory: the new tensor is a leaf that gathers gradients.
PyObject* call_factory(const Packet& packet, const Arguments& arguments) {
    Edited edited(arguments);
    const int requires_grad = PyObject_IsTrue(edited.take(requires_grad_name));
    check_status(requires_grad);
    Ref result = Ref::steal(choose(packet, packet.functional, edited.arguments()));
    if (requires_grad == 1 && is_tensor(result.get())) {
        tensor_of(result.get()).set_requires_grad(true);
    }
    return result.release();
}

PyObject* call_with_keywords(const Packet& packet, const Arguments& arguments) {
    if (packet.factory && has_keyword(arguments, requires_grad_name)) {
        return call_factory(packet, arguments);
    }
    if (has_keyword(arguments, out_name)) {
        return call_with_out(packet, arguments);
    }
    return choose(packet, packet.functional, arguments);
}

/// torch's functions with a default dtype of their own (`randint`, `randperm`) take None for it; the operators take
/// None for the default floating one.
PyObject* call_without_dtype(const Packet& packet, const Arguments& arguments) {
    Edited edited(arguments);
    PyObject* dtype = edited.take(dtype_name);
    return call_with_keywords(packet, dtype == Py_None ? edited.arguments() : arguments);
}

PyObject* call_packet(PyObject* self, PyObject* const* values, size_t flags, PyObject* names) noexcept {
    return guarded([&] {
        const Packet& packet = packet_of(self);
        const Arguments arguments{values, PyVectorcall_NARGS(flags), names};
        if (names == nullptr) {
            return choose(packet, packet.functional, arguments);
        }
        const bool knows_dtype = packet.own_dtype && has_keyword(arguments, dtype_name);
        return knows_dtype ? call_without_dtype(packet, arguments) : call_with_keywords(packet, arguments);
    });
}

PyObject* call_operator(PyObject* self, PyObject* const* values, size_t flags, PyObject* names) noexcept {
    return guarded([&] {
        Plan& plan = plan_of(self);
        const Arguments arguments{values, PyVectorcall_NARGS(flags), names};
        for (const Match match : {Match::exact, Match::lenient}) {
            if (PyObject* result = plan.try_call(arguments, match, Lists::list); result != nullptr) {
                return result;
            }
        }
        raise_no_match(plan.schema().name(), {&plan}, arguments);
    });
}

// The types

PyObject* new_operator(Plan* plan) {
    Ref object = Ref::steal(operator_type->tp_alloc(operator_type, 0));
    auto* self = reinterpret_cast<OperatorObject*>(object.get());
    self->vectorcall = call_operator;
    self->plan = plan;
    const auto& schema = plan->schema();
    const std::string name =
        schema.overload_name().empty() ? schema.name() + ".default" : schema.name() + "." + schema.overload_name();
    self->name = Ref::steal(PyUnicode_FromString(name.c_str())).release();
    return object.release();
}

PyObject* operator_repr(PyObject* self) {
    return PyUnicode_FromFormat("<Operator %U>", reinterpret_cast<OperatorObject*>(self)->name);
}
PyObject* operator_name(PyObject* self, void*) { return Py_NewRef(reinterpret_cast<OperatorObject*>(self)->name); }
PyObject* operator_schema(PyObject* self, void*) { return PyUnicode_FromString(plan_of(self).text().c_str()); }
/// What `inspect.signature` asks for. The Python side reads schemas; `face` says which conventions are added to them.
PyObject* signature_for(PyObject* self, const char* face) {
    return guarded([&] {
        Ref module = Ref::steal(PyImport_ImportModule("libtorch_ffi.stubs.runtime"));
        return PyObject_CallMethod(module.get(), "signature", "Os", self, face);
    });
}
PyObject* operator_signature(PyObject* self, void*) { return signature_for(self, "overload"); }
PyObject* operator_unsupported(PyObject* self, void*) {
    const Parameter* parameter = plan_of(self).unsupported();
    return parameter == nullptr ? none() : Py_NewRef(parameter->name);
}

PyObject* operator_result_type(PyObject* self, void*) {
    return guarded([&] {
        PyTypeObject* type = plan_of(self).result_type();
        return type == nullptr ? none() : Py_NewRef(reinterpret_cast<PyObject*>(type));
    });
}

void operator_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    Py_XDECREF(reinterpret_cast<OperatorObject*>(self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

PyGetSetDef operator_properties[] = {
    {"__name__", operator_name, nullptr, nullptr, nullptr},
    {"__doc__", operator_schema, nullptr, nullptr, nullptr},
    {"__signature__", operator_signature, nullptr, nullptr, nullptr},
    {"result_type", operator_result_type, nullptr, "The type of results that have names, or None.", nullptr},
    {"schema", operator_schema, nullptr, "The schema, as libtorch writes it.", nullptr},
    {"unsupported_argument", operator_unsupported, nullptr, "An argument that no Python value can be, or None.",
     nullptr},
    {}};
PyMemberDef operator_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OperatorObject, vectorcall), READONLY, nullptr}, {}};

std::string documentation(const Packet& packet) {
    std::string text;
    for (const auto* plans : {&packet.functional, &packet.writing}) {
        for (const Plan* plan : *plans) {
            text += (text.empty() ? "" : "\n") + plan->text();
        }
    }
    return text;
}

PyObject* packet_repr(PyObject* self) {
    return PyUnicode_FromFormat("<OverloadPacket %U>", reinterpret_cast<PacketObject*>(self)->name);
}
PyObject* packet_getattro(PyObject* self, PyObject* name) {
    return guarded([&] {
        packet_of(self);
        return PyObject_GenericGetAttr(self, name);
    });
}
PyObject* packet_name(PyObject* self, void*) {
    return guarded([&] {
        const std::string& name = packet_of(self).name;
        return PyUnicode_FromString(name.substr(name.find("::") + 2).c_str());
    });
}
PyObject* packet_doc(PyObject* self, void*) {
    return guarded([&] { return PyUnicode_FromString(documentation(packet_of(self)).c_str()); });
}
PyObject* packet_signature(PyObject* self, void*) {
    switch (reinterpret_cast<PacketObject*>(self)->style) {
        case Style::function:
            return signature_for(self, "function");
        case Style::method:
            return signature_for(self, "method");
        default:
            return signature_for(self, "packet");
    }
}
PyObject* packet_overloads(PyObject* self, PyObject*) {
    return PyDict_Keys(reinterpret_cast<PacketObject*>(self)->dict);
}

PyObject* method_bind(PyObject* self, PyObject* object, PyObject*) {
    return object == nullptr || object == Py_None ? Py_NewRef(self) : PyMethod_New(self, object);
}

int packet_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(reinterpret_cast<PacketObject*>(self)->dict);
    return 0;
}

void packet_dealloc(PyObject* self) {
    PyObject_GC_UnTrack(self);
    auto* object = reinterpret_cast<PacketObject*>(self);
    Py_XDECREF(object->dict);
    Py_XDECREF(object->name);
    delete object->packet;
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/// What a pickle holds of an operator: a function of `libtorch_ffi._pickling` and the operator's name.
PyObject* reduced(const char* maker, PyObject* name) {
    return guarded([&] {
        const Ref module = Ref::steal(PyImport_ImportModule("libtorch_ffi._pickling"));
        const Ref make = Ref::steal(PyObject_GetAttrString(module.get(), maker));
        return Py_BuildValue("O(O)", make.get(), name);
    });
}
PyObject* operator_reduce(PyObject* self, PyObject*) {
    return reduced("overload", reinterpret_cast<OperatorObject*>(self)->name);
}
PyObject* packet_reduce(PyObject* self, PyObject*) {
    const auto* object = reinterpret_cast<PacketObject*>(self);
    const Style style = object->style;
    return reduced(style == Style::function ? "function" : style == Style::method ? "method" : "packet", object->name);
}
/// An operator is its own copy, as a function is.
PyObject* same(PyObject* self, PyObject*) { return Py_NewRef(self); }

PyGetSetDef packet_properties[] = {{"__name__", packet_name, nullptr, nullptr, nullptr},
                                   {"__qualname__", packet_name, nullptr, nullptr, nullptr},
                                   {"__doc__", packet_doc, nullptr, nullptr, nullptr},
                                   {"__dict__", PyObject_GenericGetDict, nullptr, nullptr, nullptr},
                                   {"__signature__", packet_signature, nullptr, nullptr, nullptr},
                                   {}};
PyMethodDef packet_methods[] = {{"overloads", packet_overloads, METH_NOARGS, "The names of the overloads."},
                                {"__reduce__", packet_reduce, METH_NOARGS, "What a pickle holds."},
                                {"__copy__", same, METH_NOARGS, "The operator itself."},
                                {"__deepcopy__", same, METH_O, "The operator itself."},
                                {}};
PyMethodDef operator_methods[] = {{"__reduce__", operator_reduce, METH_NOARGS, "What a pickle holds."},
                                  {"__copy__", same, METH_NOARGS, "The operator itself."},
                                  {"__deepcopy__", same, METH_O, "The operator itself."},
                                  {}};
PyMemberDef packet_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PacketObject, vectorcall), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(PacketObject, dict), READONLY, nullptr},
    {}};

PyTypeObject* new_operator_type() {
    PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                           {Py_tp_repr, reinterpret_cast<void*>(operator_repr)},
                           {Py_tp_dealloc, reinterpret_cast<void*>(operator_dealloc)},
                           {Py_tp_getset, operator_properties},
                           {Py_tp_methods, operator_methods},
                           {Py_tp_members, operator_members},
                           {0, nullptr}};
    PyType_Spec spec = {"libtorch_ffi.Operator", sizeof(OperatorObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return reinterpret_cast<PyTypeObject*>(Ref::steal(PyType_FromSpec(&spec)).release());
}

PyTypeObject* new_packet_type(const char* name, bool method) {
    // A method's type is a descriptor, which the interpreter calls without making a bound method first.
    const unsigned long flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC |
                                Py_TPFLAGS_DISALLOW_INSTANTIATION | (method ? Py_TPFLAGS_METHOD_DESCRIPTOR : 0UL);
    PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                           {Py_tp_repr, reinterpret_cast<void*>(packet_repr)},
                           {Py_tp_dealloc, reinterpret_cast<void*>(packet_dealloc)},
                           {Py_tp_traverse, reinterpret_cast<void*>(packet_traverse)},
                           {Py_tp_getattro, reinterpret_cast<void*>(packet_getattro)},
                           {Py_tp_getset, packet_properties},
                           {Py_tp_methods, packet_methods},
                           {Py_tp_members, packet_members},
                           {method ? Py_tp_descr_get : 0, reinterpret_cast<void*>(method_bind)},
                           {0, nullptr}};
    PyType_Spec spec = {name, sizeof(PacketObject), 0, static_cast<unsigned int>(flags), slots};
    return reinterpret_cast<PyTypeObject*>(Ref::steal(PyType_FromSpec(&spec)).release());
}

/// Whether the only argument that may be given by position (beside a method's tensor) is a list of ints.
bool packs_ints(const Plan& plan, Py_ssize_t receivers) {
    const auto first = static_cast<size_t>(receivers);
    if (plan.most_positional() != first + 1) {
        return false;
    }
    const Parameter& parameter = plan.parameters()[first];
    return parameter.type->kind() == c10::TypeKind::ListType && parameter.element != nullptr &&
           (parameter.element->type->kind() == c10::TypeKind::IntType ||
            parameter.element->type->kind() == c10::TypeKind::SymIntType);
}

/// Whether a number may stand where the list of ints would begin.
bool takes_number(const Plan& plan, Py_ssize_t receivers) {
    const auto first = static_cast<size_t>(receivers);
    if (plan.most_positional() <= first) {
        return false;
    }
    const Parameter& parameter = plan.parameters()[first];
    const c10::TypeKind kind = parameter.type->kind();
    return parameter.fixed_length > 0 || kind == c10::TypeKind::IntType || kind == c10::TypeKind::SymIntType ||
           kind == c10::TypeKind::NumberType || kind == c10::TypeKind::FloatType;
}

bool takes_self(const Plan& plan) {
    const auto& arguments = plan.schema().arguments();
    return !arguments.empty() && arguments[0].name() == "self" &&
           arguments[0].type()->kind() == c10::TypeKind::TensorType;
}

/// Whether a factory's dtype is another than the default floating one.
bool has_own_dtype(const Plan& plan) {
    const auto& parameters = plan.parameters();
    return plan.is_factory() && std::any_of(parameters.begin(), parameters.end(), [](const Parameter& p) {
               return p.type->kind() == c10::TypeKind::ScalarTypeType && !p.fallback.isNone() && p.has_default;
           });
}

/// Whether an overload takes a tensor first. torch tries those with a number there after them: a 0-dim tensor may stand
/// for a number.
bool takes_tensor_first(const Plan* plan) {
    const auto& arguments = plan->schema().arguments();
    return !arguments.empty() && arguments[0].type()->kind() == c10::TypeKind::TensorType;
}

/// Whether torch's functions leave an overload out: those of `+ - * /` that take a number as such, those of all
/// arithmetic that do and write to `out=` (they are stricter about the dtype of `out=` than the overloads that take the
/// number as a tensor), and bernoulli's with a tensor, before which torch reads a 0-dim tensor as a number.
bool only_by_exact_name(const Plan& plan) {
    static const std::unordered_set<std::string> basic = {"aten::add",  "aten::sub",  "aten::mul",  "aten::div",
                                                          "aten::add_", "aten::sub_", "aten::mul_", "aten::div_"};
    const std::string& name = plan.schema().name();
    const std::string& overload = plan.schema().overload_name();
    if (name == "aten::bernoulli") {
        return overload.rfind("Tensor", 0) == 0;
    }
    return (overload == "Scalar" && basic.count(name) > 0) ||
           ((overload == "Scalar_out" || overload == "Scalar_mode_out") && plan.parameters()[0].takes_numbers);
}

void look_up(PacketObject& self) {
    auto packet = std::make_unique<Packet>();
    packet->name = pybind11::handle(self.name).cast<std::string>();
    packet->style = self.style;
    Ref overloads = Ref::steal(PyDict_New());
    bool takes_numbers = false;
    for (Plan* plan : plans_of(packet->name)) {
        if (self.style == Style::method && !takes_self(*plan)) {
            continue;
        }
        if (self.style == Style::ops || !only_by_exact_name(*plan)) {
            (writes_out(*plan) ? packet->writing : packet->functional).push_back(plan);
        }
        packet->factory = packet->factory || plan->is_factory();
        packet->own_dtype = packet->own_dtype || (self.style != Style::ops && has_own_dtype(*plan));
        packet->packs_ints = packet->packs_ints || packs_ints(*plan, packet->receivers());
        takes_numbers = takes_numbers || takes_number(*plan, packet->receivers());
        const std::string& overload = plan->schema().overload_name();
        Ref object = Ref::steal(new_operator(plan));
        check_status(
            PyDict_SetItemString(overloads.get(), overload.empty() ? "default" : overload.c_str(), object.get()));
    }
    packet->packs_first = packet->packs_ints && !takes_numbers;
    if (self.style == Style::function) {
        std::stable_partition(packet->writing.begin(), packet->writing.end(), takes_tensor_first);
    }
    self.dict = overloads.release();
    self.packet = packet.release();
}

Packet& packet_of(PyObject* self) {
    auto& object = *reinterpret_cast<PacketObject*>(self);
    if (object.packet == nullptr) {
        look_up(object);
    }
    return *object.packet;
}

/// A packet of the overloads of `name`, looked up on first use.
Ref new_packet(const std::string& name, Style style) {
    PyTypeObject* type = style == Style::method ? method_type : packet_type;
    Ref object = Ref::steal(type->tp_alloc(type, 0));
    auto* self = reinterpret_cast<PacketObject*>(object.get());
    self->vectorcall = call_packet;
    self->name = Ref::steal(PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size()))).release();
    self->style = style;
    return object;
}

/// The same for Python: None where the dispatcher has no such name.
pybind11::object find_packet(const std::string& name, Style style) {
    if (plans_of(name).empty()) {
        return pybind11::none();
    }
    return pybind11::reinterpret_steal<pybind11::object>(new_packet(name, style).release());
}

void add_methods() {
    PyObject* attributes = tensor_type->tp_dict;
    for (const std::string& name : method_names()) {
        if (PyDict_GetItemString(attributes, name.c_str()) == nullptr) {
            Ref method = new_packet("aten::" + name, Style::method);
            check_status(PyDict_SetItemString(attributes, name.c_str(), method.get()));
        }
    }
    PyType_Modified(tensor_type);
}

}  // namespace

void register_overloads(pybind11::module_& module) {
    namespace py = pybind11;
    out_name = Ref::steal(PyUnicode_InternFromString("out")).release();
    requires_grad_name = Ref::steal(PyUnicode_InternFromString("requires_grad")).release();
    dtype_name = Ref::steal(PyUnicode_InternFromString("dtype")).release();
    operator_type = new_operator_type();
    packet_type = new_packet_type("libtorch_ffi.OverloadPacket", false);
    method_type = new_packet_type("libtorch_ffi.OverloadMethod", true);
    for (PyTypeObject* type : {operator_type, packet_type, method_type}) {
        check_status(PyModule_AddType(module.ptr(), type));
    }
    module.def("operators", &operator_names, "The full names of all operators that are registered.");
    module.def(
        "ops_packet", [](const std::string& name) { return find_packet(name, Style::ops); },
        "All overloads of 'namespace::name', as torch.ops has them; None where there are none.");
    module.def(
        "function_packet", [](const std::string& name) { return find_packet(name, Style::function); },
        "All overloads of 'namespace::name', as torch's functions have them; None where there are none.");
    module.def("refresh", &refresh, "Reads the dispatcher's table anew.");
    add_methods();
}

}  // namespace ltf
