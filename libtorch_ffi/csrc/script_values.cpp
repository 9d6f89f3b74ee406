// Owns how TorchScript's values look in Python. Lists and dicts are copied on their way, as torch copies them.
#include "script_values.h"

#include <ATen/core/class_type.h>
#include <ATen/core/enum_type.h>
#include <ATen/core/jit_type.h>

#include <map>

#include "script_function.h"
#include "script_object.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

bool is_list_or_tuple(PyObject* object) { return PyTuple_Check(object) != 0 || PyList_Check(object) != 0; }

/// Reads a value of a type that operators have as well.
bool read_plain(PyObject* object, const c10::TypePtr& type, c10::IValue& out) {
    Parameter parameter;
    set_type(parameter, type, /*dimname=*/false);
    CallFacts facts;
    return parameter.convert != nullptr && parameter.convert(parameter, object, Match::lenient, facts, out);
}

bool read_tuple(PyObject* object, const c10::TypePtr& type, c10::IValue& out) {
    const auto& tuple = type->expectRef<c10::TupleType>();
    const auto count = static_cast<Py_ssize_t>(tuple.elements().size());
    if (PyTuple_Check(object) == 0 || PyTuple_GET_SIZE(object) != count) {
        return false;
    }
    std::vector<c10::IValue> items(tuple.elements().size());
    for (Py_ssize_t i = 0; i < count; ++i) {
        if (!read_script_value(PyTuple_GET_ITEM(object, i), tuple.elements()[i], items[i])) {
            return false;
        }
    }
    out = tuple.schema() != nullptr ? c10::ivalue::Tuple::createNamed(std::move(items), type->cast<c10::TupleType>())
                                    : c10::ivalue::Tuple::create(std::move(items));
    return true;
}

/// The items of a list or tuple, held: reading one may run Python code that changes the list.
std::vector<Ref> items_of(PyObject* sequence) {
    std::vector<Ref> items;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); ++i) {
        items.push_back(Ref::borrow(PySequence_Fast_GET_ITEM(sequence, i)));
    }
    return items;
}

bool read_list(PyObject* object, const c10::TypePtr& type, c10::IValue& out) {
    const c10::TypePtr& element = type->expectRef<c10::ListType>().getElementType();
    if (!is_list_or_tuple(object)) {
        return false;
    }
    switch (element->kind()) {  // these have quick converters
        case c10::TypeKind::TensorType:
        case c10::TypeKind::IntType:
        case c10::TypeKind::FloatType:
        case c10::TypeKind::BoolType:
        case c10::TypeKind::StringType:
            return read_plain(object, type, out);
        default:
            break;
    }
    c10::impl::GenericList list(element);
    for (const Ref& item : items_of(object)) {
        c10::IValue value;
        if (!read_script_value(item.get(), element, value)) {
            return false;
        }
        list.push_back(std::move(value));
    }
    out = std::move(list);
    return true;
}

/// The pairs of a dict, held.
std::vector<std::pair<Ref, Ref>> pairs_of(PyObject* dict) {
    std::vector<std::pair<Ref, Ref>> pairs;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &key, &value) != 0) {
        pairs.emplace_back(Ref::borrow(key), Ref::borrow(value));
    }
    return pairs;
}

bool read_dict(PyObject* object, const c10::TypePtr& type, c10::IValue& out) {
    const auto& described = type->expectRef<c10::DictType>();
    if (PyDict_Check(object) == 0) {
        return false;
    }
    c10::impl::GenericDict dict(described.getKeyType(), described.getValueType());
    for (const auto& [key_object, value_object] : pairs_of(object)) {
        c10::IValue key;
        c10::IValue value;
        if (!read_script_value(key_object.get(), described.getKeyType(), key) ||
            !read_script_value(value_object.get(), described.getValueType(), value)) {
            return false;
        }
        dict.insert(std::move(key), std::move(value));
    }
    out = std::move(dict);
    return true;
}

/// Reads what Python holds as one of our own types: an object, a module, a future, an enum.
bool read_held(PyObject* object, c10::IValue& out) {
    const pybind11::handle handle(object);
    if (pybind11::isinstance<ScriptObject>(handle)) {
        out = handle.cast<const ScriptObject&>().value;
    } else if (pybind11::isinstance<ScriptModule>(handle)) {
        out = handle.cast<const ScriptModule&>().object;
    } else if (pybind11::isinstance<ScriptFuture>(handle)) {
        out = handle.cast<const ScriptFuture&>().future;
    } else if (PyObject_HasAttrString(object, "_script_module") != 0) {  // the public face of a module
        const Ref inner = Ref::steal(PyObject_GetAttrString(object, "_script_module"));
        return pybind11::isinstance<ScriptModule>(inner.get()) && read_held(inner.get(), out);
    } else {
        return false;
    }
    return true;
}

bool read_held_of(PyObject* object, const c10::TypePtr& type, c10::IValue& out) {
    return read_held(object, out) && out.type()->isSubtypeOf(*type);
}

bool read_union(PyObject* object, const c10::TypePtr& type, c10::IValue& out) {
    for (const c10::TypePtr& member : type->containedTypes()) {
        if (read_script_value(object, member, out)) {
            return true;
        }
    }
    return false;
}

/// The type that all values have; Any where they have none in common.
c10::TypePtr common_type(const std::vector<c10::IValue>& values) {
    if (values.empty()) {
        return c10::TensorType::get();  // as TorchScript types an empty list
    }
    c10::TypePtr type = values.front().type();
    type = type->kind() == c10::TypeKind::TensorType ? c10::TypePtr(c10::TensorType::get()) : type;
    for (const c10::IValue& value : values) {
        if (!value.type()->isSubtypeOf(*type)) {
            return c10::AnyType::get();
        }
    }
    return type;
}

std::vector<c10::IValue> infer_all(const std::vector<Ref>& objects, const char* what) {
    std::vector<c10::IValue> values;
    for (const Ref& object : objects) {
        values.push_back(infer_script_value(object.get(), what));
    }
    return values;
}

c10::IValue infer_sequence(PyObject* object, const char* what) {
    std::vector<c10::IValue> values = infer_all(items_of(object), what);
    if (PyTuple_Check(object) != 0) {
        return c10::ivalue::Tuple::create(std::move(values));
    }
    c10::impl::GenericList list(common_type(values));
    for (c10::IValue& value : values) {
        list.push_back(std::move(value));
    }
    return list;
}

c10::IValue infer_dict(PyObject* object, const char* what) {
    std::vector<c10::IValue> keys;
    std::vector<c10::IValue> values;
    for (const auto& [key, value] : pairs_of(object)) {
        keys.push_back(infer_script_value(key.get(), what));
        values.push_back(infer_script_value(value.get(), what));
        if (!keys.back().isString() && !keys.back().isInt() && !keys.back().isDouble() && !keys.back().isBool()) {
            raise(PyExc_TypeError, "%s: a dict of TorchScript has str, int, float or bool keys, not %R", what,
                  key.get());
        }
    }
    c10::impl::GenericDict dict(keys.empty() ? c10::TypePtr(c10::StringType::get()) : common_type(keys),
                                common_type(values));
    for (size_t i = 0; i < keys.size(); ++i) {
        dict.insert(std::move(keys[i]), std::move(values[i]));
    }
    return dict;
}

// To Python

/// Python's type of a named tuple, made once for each name and list of fields. Never freed.
PyObject* named_tuple_type(const c10::TupleType& type) {
    static auto* types = new std::map<std::string, PyObject*>();
    std::string fields;
    for (const c10::Argument& field : type.schema()->arguments()) {
        fields += (fields.empty() ? "" : " ") + field.name();
    }
    const std::string name = type.name()->name();
    PyObject*& made = (*types)[name + " " + fields];
    if (made == nullptr) {
        const Ref collections = Ref::steal(PyImport_ImportModule("collections"));
        made = Ref::steal(PyObject_CallMethod(collections.get(), "namedtuple", "ss", name.c_str(), fields.c_str()))
                   .release();
    }
    return made;
}

PyObject* tuple_from_script(const c10::ivalue::Tuple& tuple) {
    const auto& elements = tuple.elements();
    Ref result = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(elements.size())));
    for (size_t i = 0; i < elements.size(); ++i) {
        PyTuple_SET_ITEM(result.get(), static_cast<Py_ssize_t>(i), from_script(elements[i]));
    }
    const c10::TupleTypePtr type = tuple.type();
    if (type->schema() == nullptr || !type->name().has_value()) {
        return result.release();
    }
    return Ref::steal(PyObject_CallObject(named_tuple_type(*type), result.get())).release();
}

PyObject* list_from_script(const c10::impl::GenericList& list) {
    Ref result = Ref::steal(PyList_New(static_cast<Py_ssize_t>(list.size())));
    for (size_t i = 0; i < list.size(); ++i) {
        PyList_SET_ITEM(result.get(), static_cast<Py_ssize_t>(i), from_script(list.get(i)));
    }
    return result.release();
}

PyObject* dict_from_script(const c10::impl::GenericDict& dict) {
    Ref result = Ref::steal(PyDict_New());
    for (const auto& entry : dict) {
        const Ref key = Ref::steal(from_script(entry.key()));
        const Ref value = Ref::steal(from_script(entry.value()));
        check_status(PyDict_SetItem(result.get(), key.get(), value.get()));
    }
    return result.release();
}

// Futures and objects

pybind11::object future_value(const ScriptFuture& self, bool waits) {
    if (waits) {
        const WithoutGil released;
        self.future->wait();
    }
    if (!self.future->completed()) {
        raise(PyExc_RuntimeError, "the future has no value yet: wait() for it");
    }
    if (self.future->hasError()) {
        std::rethrow_exception(self.future->exception_ptr());
    }
    return pybind11::reinterpret_steal<pybind11::object>(from_script(self.future->value()));
}

[[noreturn]] void raise_no_attribute(const c10::IValue& value, const std::string& name) {
    raise(PyExc_AttributeError, "a TorchScript %s has no attribute '%s'", value.type()->repr_str().c_str(),
          name.c_str());
}

/// An attribute of an enum, or an attribute or a method of an object.
pybind11::object object_attribute(const ScriptObject& self, const std::string& name) {
    const c10::IValue& value = self.value;
    if (value.isEnum() && (name == "name" || name == "value")) {
        const auto holder = value.toEnumHolder();
        return pybind11::reinterpret_steal<pybind11::object>(
            from_script(name == "name" ? c10::IValue(holder->name()) : holder->value()));
    }
    if (!value.isObject()) {
        raise_no_attribute(value, name);
    }
    const auto& type = *value.toObjectRef().type();
    if (const auto slot = type.findAttributeSlot(name)) {
        return pybind11::reinterpret_steal<pybind11::object>(from_script(value.toObjectRef().getSlot(*slot)));
    }
    torch::jit::Function* method = type.findMethod(name);
    if (method == nullptr) {
        raise_no_attribute(value, name);
    }
    return pybind11::cast(ScriptFunction(method, value));
}

void set_object_attribute(const ScriptObject& self, const std::string& name, pybind11::handle value) {
    if (!self.value.isObject() || !self.value.toObjectRef().type()->hasAttribute(name)) {
        raise_no_attribute(self.value, name);
    }
    const c10::TypePtr& type = self.value.toObjectRef().type()->getAttribute(name);
    c10::IValue converted;
    if (!read_script_value(value.ptr(), type, converted)) {
        raise(PyExc_TypeError, "attribute '%s' is a %s, not %s", name.c_str(), type->repr_str().c_str(),
              Py_TYPE(value.ptr())->tp_name);
    }
    self.value.toObject()->setAttr(name, std::move(converted));
}

}  // namespace

bool read_script_value(PyObject* object, const c10::TypePtr& type, c10::IValue& out) {
    const RecursionGuard guard(" while reading a value for TorchScript");
    switch (type->kind()) {
        case c10::TypeKind::OptionalType:
            out = c10::IValue();
            return object == Py_None ||
                   read_script_value(object, type->expectRef<c10::OptionalType>().getElementType(), out);
        case c10::TypeKind::TupleType:
            return read_tuple(object, type, out);
        case c10::TypeKind::ListType:
            return read_list(object, type, out);
        case c10::TypeKind::DictType:
            return read_dict(object, type, out);
        case c10::TypeKind::UnionType:
            return read_union(object, type, out);
        case c10::TypeKind::NoneType:
            out = c10::IValue();
            return object == Py_None;
        case c10::TypeKind::AnyType:
            out = infer_script_value(object, "a value of type Any");
            return true;
        case c10::TypeKind::ClassType:
        case c10::TypeKind::InterfaceType:
        case c10::TypeKind::FutureType:
        case c10::TypeKind::EnumType:
            return read_held_of(object, type, out);
        default:
            return read_plain(object, type, out);
    }
}

c10::IValue infer_script_value(PyObject* object, const char* what) {
    if (is_tensor(object)) {
        return tensor_of(object);
    }
    const RecursionGuard guard(" while reading a value for TorchScript");
    c10::IValue value;
    if (object == Py_None || read_held(object, value)) {
        return value;
    }
    if (is_list_or_tuple(object)) {
        return infer_sequence(object, what);
    }
    if (PyDict_Check(object) != 0) {
        return infer_dict(object, what);
    }
    if (!read_plain(object, c10::AnyType::get(), value)) {
        raise(PyExc_TypeError, "%s: TorchScript has no values of type %s", what, Py_TYPE(object)->tp_name);
    }
    return value;
}

PyObject* from_script(c10::IValue value) {
    const RecursionGuard guard(" while reading a value of TorchScript");
    if (value.isTuple()) {
        return tuple_from_script(value.toTupleRef());
    }
    if (value.isList()) {
        return list_from_script(value.toList());
    }
    if (value.isGenericDict()) {
        return dict_from_script(value.toGenericDict());
    }
    if (value.isFuture()) {
        return pybind11::cast(ScriptFuture{value.toFuture()}).release().ptr();
    }
    if (value.isObject() && value.toObjectRef().type()->is_module()) {
        return pybind11::cast(ScriptModule{value.toObject()}).release().ptr();
    }
    return to_python(std::move(value));
}

void register_script_values(pybind11::module_& module) {
    pybind11::class_<ScriptFuture>(module, "Future", "A value that a fork of a TorchScript function will have.")
        .def(
            "wait", [](const ScriptFuture& self) { return future_value(self, true); },
            "Wait for the value and return it; what the fork raised is raised here.")
        .def(
            "value", [](const ScriptFuture& self) { return future_value(self, false); },
            "Return the value, which must be there.")
        .def(
            "done", [](const ScriptFuture& self) { return self.future->completed(); },
            "Whether there is a value, or an error.");
    pybind11::class_<ScriptObject> object = module.attr("ScriptObject");
    object.def("__getattr__", object_attribute).def("__setattr__", set_object_attribute);
}

}  // namespace ltf
