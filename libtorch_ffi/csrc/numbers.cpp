// Owns Tensor's operators of Python's data model. They call libtorch's C++ functions directly: what schema and overload
// they mean is known, so nothing is left to look up.
#include "numbers.h"

#include "convert.h"
#include "interchange.h"
#include "kernel_scope.h"
#include "tensor.h"
#include "values.h"

namespace ltf {
namespace {

using Unary = at::Tensor (*)(const at::Tensor&);
using Binary = at::Tensor (*)(const at::Tensor&, const at::Tensor&);
using Inplace = void (*)(const at::Tensor&, const at::Tensor&);

/// Reads a tensor, or a number as a 0-dim tensor; false for anything else, which the other operand may know.
bool read_operand(PyObject* object, CallFacts& facts, at::Tensor& tensor) {
    if (is_tensor(object)) {
        tensor = tensor_of(object);
        facts.note(tensor);
        return true;
    }
    at::Scalar scalar;
    if (!read_scalar(object, scalar)) {
        return false;
    }
    tensor = number_tensor(scalar);
    return true;
}

/// Runs an aten function whose result is no larger than broadcasting its operands makes it.
template <class Function>
at::Tensor run(const CallFacts& facts, Function&& function) {
    const KernelScope scope(facts, Work::bounded);
    return function();
}

template <Binary function>
PyObject* binary(PyObject* left, PyObject* right) {
    return guarded([&]() -> PyObject* {
        CallFacts facts;
        at::Tensor a;
        at::Tensor b;
        if (!read_operand(left, facts, a) || !read_operand(right, facts, b)) {
            Py_RETURN_NOTIMPLEMENTED;
        }
        return wrap(run(facts, [&] { return function(a, b); }));
    });
}

template <Inplace function>
PyObject* inplace(PyObject* self, PyObject* other) {
    return guarded([&]() -> PyObject* {
        CallFacts facts;
        at::Tensor b;
        const at::Tensor& a = tensor_of(self);
        facts.note(a);
        if (!read_operand(other, facts, b)) {
            Py_RETURN_NOTIMPLEMENTED;
        }
        {
            const KernelScope scope(facts, Work::bounded);
            function(a, b);
        }
        return Py_NewRef(self);
    });
}

template <Unary function>
PyObject* unary(PyObject* self) {
    return guarded([&] {
        CallFacts facts;
        facts.note(tensor_of(self));
        return wrap(run(facts, [&] { return function(tensor_of(self)); }));
    });
}

at::Tensor add(const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); }
at::Tensor subtract(const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); }
at::Tensor multiply(const at::Tensor& a, const at::Tensor& b) { return at::mul(a, b); }
at::Tensor divide(const at::Tensor& a, const at::Tensor& b) { return at::div(a, b); }
at::Tensor floor_divide(const at::Tensor& a, const at::Tensor& b) { return at::floor_divide(a, b); }
at::Tensor remainder(const at::Tensor& a, const at::Tensor& b) { return at::remainder(a, b); }
at::Tensor bitwise_and(const at::Tensor& a, const at::Tensor& b) { return at::bitwise_and(a, b); }
at::Tensor bitwise_or(const at::Tensor& a, const at::Tensor& b) { return at::bitwise_or(a, b); }
at::Tensor bitwise_xor(const at::Tensor& a, const at::Tensor& b) { return at::bitwise_xor(a, b); }
at::Tensor shift_left(const at::Tensor& a, const at::Tensor& b) { return at::__lshift__(a, b); }
at::Tensor shift_right(const at::Tensor& a, const at::Tensor& b) { return at::__rshift__(a, b); }
at::Tensor negative(const at::Tensor& a) { return at::neg(a); }
at::Tensor absolute(const at::Tensor& a) { return at::abs(a); }
at::Tensor invert(const at::Tensor& a) { return at::bitwise_not(a); }
at::Tensor equal(const at::Tensor& a, const at::Tensor& b) { return at::eq(a, b); }
at::Tensor not_equal(const at::Tensor& a, const at::Tensor& b) { return at::ne(a, b); }
at::Tensor less(const at::Tensor& a, const at::Tensor& b) { return at::lt(a, b); }
at::Tensor less_equal(const at::Tensor& a, const at::Tensor& b) { return at::le(a, b); }
at::Tensor greater(const at::Tensor& a, const at::Tensor& b) { return at::gt(a, b); }
at::Tensor greater_equal(const at::Tensor& a, const at::Tensor& b) { return at::ge(a, b); }

void add_(const at::Tensor& a, const at::Tensor& b) { a.add_(b); }
void subtract_(const at::Tensor& a, const at::Tensor& b) { a.sub_(b); }
void multiply_(const at::Tensor& a, const at::Tensor& b) { a.mul_(b); }
void divide_(const at::Tensor& a, const at::Tensor& b) { a.div_(b); }
void floor_divide_(const at::Tensor& a, const at::Tensor& b) { a.floor_divide_(b); }
void remainder_(const at::Tensor& a, const at::Tensor& b) { a.remainder_(b); }
void and_(const at::Tensor& a, const at::Tensor& b) { a.bitwise_and_(b); }
void or_(const at::Tensor& a, const at::Tensor& b) { a.bitwise_or_(b); }
void xor_(const at::Tensor& a, const at::Tensor& b) { a.bitwise_xor_(b); }
void shift_left_(const at::Tensor& a, const at::Tensor& b) { a.__ilshift__(b); }
void shift_right_(const at::Tensor& a, const at::Tensor& b) { a.__irshift__(b); }

/// Powers keep a number a number: libtorch has faster kernels for a square, a root and the like.
PyObject* power(PyObject* base, PyObject* exponent, PyObject* modulus) {
    return guarded([&]() -> PyObject* {
        CallFacts facts;
        at::Scalar scalar;
        if (modulus != Py_None) {
            Py_RETURN_NOTIMPLEMENTED;
        }
        if (is_tensor(base)) {
            facts.note(tensor_of(base));
            if (read_scalar(exponent, scalar)) {
                return wrap(run(facts, [&] { return at::pow(tensor_of(base), scalar); }));
            }
        } else if (read_scalar(base, scalar)) {
            facts.note(tensor_of(exponent));
            return wrap(run(facts, [&] { return at::pow(scalar, tensor_of(exponent)); }));
        }
        if (!is_tensor(base) || !is_tensor(exponent)) {
            Py_RETURN_NOTIMPLEMENTED;
        }
        facts.note(tensor_of(exponent));
        return wrap(run(facts, [&] { return at::pow(tensor_of(base), tensor_of(exponent)); }));
    });
}

PyObject* inplace_power(PyObject* self, PyObject* exponent, PyObject*) {
    return guarded([&]() -> PyObject* {
        CallFacts facts;
        at::Scalar scalar;
        facts.note(tensor_of(self));
        if (read_scalar(exponent, scalar)) {
            run(facts, [&] { return tensor_of(self).pow_(scalar); });
        } else if (is_tensor(exponent)) {
            facts.note(tensor_of(exponent));
            run(facts, [&] { return tensor_of(self).pow_(tensor_of(exponent)); });
        } else {
            Py_RETURN_NOTIMPLEMENTED;
        }
        return Py_NewRef(self);
    });
}

PyObject* matmul(PyObject* left, PyObject* right) {
    return guarded([&]() -> PyObject* {
        if (!is_tensor(left) || !is_tensor(right)) {
            Py_RETURN_NOTIMPLEMENTED;
        }
        CallFacts facts;
        facts.note(tensor_of(left));
        facts.note(tensor_of(right));
        return wrap(run(facts, [&] { return at::matmul(tensor_of(left), tensor_of(right)); }));
    });
}

PyObject* positive(PyObject* self) { return Py_NewRef(self); }

/// A NumPy array as a tensor, for a comparison: NumPy leaves it to the tensor, and whatever neither compares Python
/// compares by identity, so that `==` would be False. Nothing where it is no array, or one of what no tensor holds.
Ref comparable(PyObject* object) {
    if (!is_array(object)) {
        return {};
    }
    try {
        return Ref::steal(wrap(tensor_from_buffer(object, false)));
    } catch (const PythonError&) {
        PyErr_Clear();
        return {};
    }
}

PyObject* compare_tensors(PyObject* left, PyObject* right, int operation) {
    switch (operation) {
        case Py_EQ:
            return binary<equal>(left, right);
        case Py_NE:
            return binary<not_equal>(left, right);
        case Py_LT:
            return binary<less>(left, right);
        case Py_LE:
            return binary<less_equal>(left, right);
        case Py_GT:
            return binary<greater>(left, right);
        default:
            return binary<greater_equal>(left, right);
    }
}

PyObject* compare(PyObject* left, PyObject* right, int operation) {
    PyObject* result = compare_tensors(left, right, operation);
    if (C10_LIKELY(result != Py_NotImplemented)) {
        return result;
    }
    return guarded([&] {
        const Ref array = comparable(right);
        if (!array) {
            return result;
        }
        Py_DECREF(result);
        return compare_tensors(left, array.get(), operation);
    });
}

// Python numbers

at::Scalar element(PyObject* self) {
    const at::Tensor& tensor = tensor_of(self);
    if (tensor.is_cpu() && !tensor.requires_grad()) {
        const at::AutoDispatchBelowAutograd below;
        return tensor.item();
    }
    const WithoutGil released;
    return tensor.item();
}

/// The same for Python's int(), float() and complex(), whose error torch has as a ValueError.
at::Scalar only_element(PyObject* self) {
    if (tensor_of(self).numel() != 1) {
        raise(PyExc_ValueError, "only one element tensors can be converted to Python scalars");
    }
    return element(self);
}

int truth(PyObject* self) {
    return guarded(
        [&] {
            const WithoutGil released(!tensor_of(self).is_cpu());
            return tensor_of(self).is_nonzero() ? 1 : 0;
        },
        -1);
}

PyObject* item(PyObject* self, PyObject*) {
    return guarded([&] { return wrap(element(self)); });
}

PyObject* as_int(PyObject* self) {
    return guarded([&] {
        Ref number = Ref::steal(wrap(only_element(self)));
        return PyNumber_Long(number.get());
    });
}

PyObject* as_float(PyObject* self) {
    return guarded([&] {
        Ref number = Ref::steal(wrap(only_element(self)));
        return PyNumber_Float(number.get());
    });
}

PyObject* as_index(PyObject* self) {
    return guarded([&] {
        const at::Tensor& tensor = tensor_of(self);
        if (tensor.numel() != 1 || !at::isIntegralType(tensor.scalar_type(), /*includeBool=*/true)) {
            raise(PyExc_TypeError, "only integer tensors of a single element can be converted to an index");
        }
        return PyLong_FromLongLong(tensor.item<int64_t>());
    });
}

PyObject* as_complex(PyObject* self, PyObject*) {
    return guarded([&] {
        const auto value = only_element(self).toComplexDouble();
        return PyComplex_FromDoubles(value.real(), value.imag());
    });
}

}  // namespace

PyMethodDef number_methods[] = {
    {"item", item, METH_NOARGS, "The element of a tensor that has one, as a Python number."},
    {"__complex__", as_complex, METH_NOARGS, nullptr},
};

void add_number_slots(std::vector<PyType_Slot>& slots) {
    const auto add_slot = [&](int slot, auto function) { slots.push_back({slot, reinterpret_cast<void*>(function)}); };
    add_slot(Py_nb_add, &binary<add>);
    add_slot(Py_nb_subtract, &binary<subtract>);
    add_slot(Py_nb_multiply, &binary<multiply>);
    add_slot(Py_nb_true_divide, &binary<divide>);
    add_slot(Py_nb_floor_divide, &binary<floor_divide>);
    add_slot(Py_nb_remainder, &binary<remainder>);
    add_slot(Py_nb_and, &binary<bitwise_and>);
    add_slot(Py_nb_or, &binary<bitwise_or>);
    add_slot(Py_nb_xor, &binary<bitwise_xor>);
    add_slot(Py_nb_lshift, &binary<shift_left>);
    add_slot(Py_nb_rshift, &binary<shift_right>);
    add_slot(Py_nb_power, &power);
    add_slot(Py_nb_matrix_multiply, &matmul);
    add_slot(Py_nb_inplace_add, &inplace<add_>);
    add_slot(Py_nb_inplace_subtract, &inplace<subtract_>);
    add_slot(Py_nb_inplace_multiply, &inplace<multiply_>);
    add_slot(Py_nb_inplace_true_divide, &inplace<divide_>);
    add_slot(Py_nb_inplace_floor_divide, &inplace<floor_divide_>);
    add_slot(Py_nb_inplace_remainder, &inplace<remainder_>);
    add_slot(Py_nb_inplace_and, &inplace<and_>);
    add_slot(Py_nb_inplace_or, &inplace<or_>);
    add_slot(Py_nb_inplace_xor, &inplace<xor_>);
    add_slot(Py_nb_inplace_lshift, &inplace<shift_left_>);
    add_slot(Py_nb_inplace_rshift, &inplace<shift_right_>);
    add_slot(Py_nb_inplace_power, &inplace_power);
    add_slot(Py_nb_negative, &unary<negative>);
    add_slot(Py_nb_absolute, &unary<absolute>);
    add_slot(Py_nb_invert, &unary<invert>);
    add_slot(Py_nb_positive, &positive);
    add_slot(Py_nb_bool, &truth);
    add_slot(Py_nb_int, &as_int);
    add_slot(Py_nb_float, &as_float);
    add_slot(Py_nb_index, &as_index);
    add_slot(Py_tp_richcompare, &compare);
}

}  // namespace ltf
