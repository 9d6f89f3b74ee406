// Owns the translation of Python's subscripts to libtorch's. One int, one slice and one tensor go straight to their
// operator; everything else through libtorch's own TensorIndex.
#include "indexing.h"

#include <ATen/TensorIndexing.h>

#include "construct.h"
#include "convert.h"
#include "kernel_scope.h"
#include "tensor.h"

namespace ltf {
namespace {

using at::indexing::TensorIndex;

int64_t slice_part(PyObject* part, int64_t missing) {
    if (part == Py_None) {
        return missing;
    }
    if (is_tensor(part)) {
        return tensor_of(part).item<int64_t>();
    }
    int64_t value = 0;
    if (!read_int(part, value)) {
        raise(PyExc_TypeError, "slice indices must be integers or None or have an __index__ method, not %s",
              Py_TYPE(part)->tp_name);
    }
    return value;
}

struct Slice {
    explicit Slice(PyObject* object) {
        const auto* slice = reinterpret_cast<PySliceObject*>(object);
        step = slice_part(slice->step, 1);
        if (step <= 0) {
            raise(PyExc_ValueError, "step must be greater than zero, but got %lld", static_cast<long long>(step));
        }
        start = slice_part(slice->start, 0);
        stop = slice_part(slice->stop, std::numeric_limits<int64_t>::max());
    }
    int64_t start;
    int64_t stop;
    int64_t step;
};

/// The tensor that a list of numbers (or of lists of them) means as an index; an empty one selects nothing.
at::Tensor index_from_list(PyObject* list) {
    at::Tensor index = tensor_from_data(list);
    return index.numel() == 0 ? index.to(at::kLong) : index;
}

TensorIndex read_index(PyObject* object, CallFacts& facts) {
    int64_t integer = 0;
    bool truth = false;
    if (is_tensor(object)) {
        facts.note(tensor_of(object));
        return TensorIndex(tensor_of(object));
    }
    if (object == Py_None) {
        return TensorIndex(at::indexing::None);
    }
    if (object == Py_Ellipsis) {
        return TensorIndex(at::indexing::Ellipsis);
    }
    if (PySlice_Check(object) != 0) {
        const Slice slice(object);
        return TensorIndex(at::indexing::Slice(slice.start, slice.stop, slice.step));
    }
    if (read_bool(object, truth)) {
        return TensorIndex(truth);
    }
    if (read_int(object, integer)) {
        return TensorIndex(integer);
    }
    if (PySequence_Check(object) != 0 && PyUnicode_Check(object) == 0) {
        return TensorIndex(index_from_list(object));
    }
    raise(
        PyExc_IndexError,
        "only integers, slices (`:`), ellipsis (`...`), None and long, int or bool tensors are valid indices (got %s)",
        Py_TYPE(object)->tp_name);
}

/// Longer lists are one index, whatever they hold: torch's rule, which it has from old NumPy's.
constexpr Py_ssize_t kTooLongForTuple = 32;

/// A list is one index, unless it is short and holds a tensor or what no list of numbers can: then it is read as a
/// tuple, as torch reads it. Both give a shape, so torch warns of it, and so does this.
bool is_tuple_of_indices(PyObject* key) {
    if (PyTuple_Check(key) != 0) {
        return true;
    }
    if (PyList_Check(key) == 0 || PyList_GET_SIZE(key) >= kTooLongForTuple) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(key); ++i) {
        PyObject* item = PyList_GET_ITEM(key, i);
        if (is_tensor(item) || PySequence_Check(item) != 0 || PySlice_Check(item) != 0 || item == Py_None ||
            item == Py_Ellipsis) {
            check_status(PyErr_WarnEx(PyExc_UserWarning,
                                      "Using a non-tuple sequence for multidimensional indexing is deprecated in "
                                      "torch: x[[a, b]] is read as x[a, b]. Write x[tuple(indices)] for that, or "
                                      "x[tensor(indices)] for one index of more dimensions.",
                                      1));
            return true;
        }
    }
    return false;
}

std::vector<TensorIndex> read_indices(PyObject* key, CallFacts& facts) {
    std::vector<TensorIndex> indices;
    if (!is_tuple_of_indices(key)) {
        indices.push_back(read_index(key, facts));
        return indices;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(key); ++i) {
        const Ref item = Ref::borrow(PySequence_Fast_GET_ITEM(key, i));  // reading it may change a list
        indices.push_back(read_index(item.get(), facts));
    }
    return indices;
}

at::Tensor select(const at::Tensor& self, int64_t index, const CallFacts& facts) {
    if (self.dim() == 0) {
        raise(PyExc_IndexError,
              "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a Python number");
    }
    const int64_t length = self.size(0);
    if (index < -length || index >= length) {
        raise(PyExc_IndexError, "index %lld is out of bounds for dimension 0 with size %lld",
              static_cast<long long>(index), static_cast<long long>(length));
    }
    const KernelScope scope(facts, Work::view);
    return at::select(self, 0, index);
}

at::Tensor slice_first(const at::Tensor& self, const Slice& slice, const CallFacts& facts) {
    if (self.dim() == 0) {
        raise(PyExc_IndexError, "slice() cannot be applied to a 0-dim tensor.");
    }
    const KernelScope scope(facts, Work::view);
    return at::slice(self, 0, slice.start, slice.stop, slice.step);
}

PyObject* get_item(PyObject* object, PyObject* key) {
    return guarded([&] {
        const at::Tensor& self = tensor_of(object);
        CallFacts facts;
        facts.note(self);
        int64_t index = 0;
        if (PyLong_CheckExact(key) != 0 && read_int(key, index)) {
            return wrap(select(self, index, facts));
        }
        if (PySlice_Check(key) != 0) {
            return wrap(slice_first(self, Slice(key), facts));
        }
        const std::vector<TensorIndex> indices = read_indices(key, facts);
        at::Tensor result;
        {
            const KernelScope scope(facts, Work::bounded);
            result = at::indexing::get_item(self, indices);
        }
        return wrap(std::move(result));
    });
}

int set_item(PyObject* object, PyObject* key, PyObject* value) {
    return guarded_status([&] {
        if (value == nullptr) {
            raise(PyExc_TypeError, "elements of a Tensor cannot be deleted");
        }
        const at::Tensor& self = tensor_of(object);
        CallFacts facts;
        facts.note(self);
        const std::vector<TensorIndex> indices = read_indices(key, facts);
        at::Scalar scalar;
        if (is_tensor(value)) {
            facts.note(tensor_of(value));
            const KernelScope scope(facts, Work::bounded);
            at::indexing::set_item(self, indices, tensor_of(value));
        } else if (read_scalar(value, scalar)) {
            const KernelScope scope(facts, Work::bounded);
            at::Tensor target = self;
            if (indices.empty()) {  // x[()] is all of x, which index_put_ takes for a mistake
                target.fill_(scalar);
            } else {
                target.index_put_(indices, scalar);
            }
        } else {
            const at::Tensor source = tensor_from_data(value).to(self.options());
            const KernelScope scope(facts, Work::bounded);
            at::indexing::set_item(self, indices, source);
        }
    });
}

Py_ssize_t length(PyObject* self) {
    return guarded(
        [&]() -> Py_ssize_t {
            if (tensor_of(self).dim() == 0) {
                raise(PyExc_TypeError, "len() of a 0-d tensor");
            }
            return static_cast<Py_ssize_t>(tensor_of(self).size(0));
        },
        static_cast<Py_ssize_t>(-1));
}

/// Iteration goes over the views along the first dimension, made by one operator.
PyObject* iterate(PyObject* self) {
    return guarded([&] {
        if (tensor_of(self).dim() == 0) {
            raise(PyExc_TypeError, "iteration over a 0-d tensor");
        }
        const std::vector<at::Tensor> rows = tensor_of(self).unbind(0);
        Ref list = Ref::steal(PyList_New(static_cast<Py_ssize_t>(rows.size())));
        for (size_t i = 0; i < rows.size(); ++i) {
            PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), wrap(rows[i]));
        }
        return PyObject_GetIter(list.get());
    });
}

int contains(PyObject* self, PyObject* value) {
    return guarded(
        [&] {
            at::Scalar scalar;
            if (is_tensor(value)) {
                return at::eq(tensor_of(self), tensor_of(value)).any().item<bool>() ? 1 : 0;
            }
            if (read_scalar(value, scalar)) {
                return at::eq(tensor_of(self), scalar).any().item<bool>() ? 1 : 0;
            }
            raise(PyExc_RuntimeError, "Tensor.__contains__ only supports Tensor or scalar, but you passed in a %s.",
                  Py_TYPE(value)->tp_name);
        },
        -1);
}

}  // namespace

void add_indexing_slots(std::vector<PyType_Slot>& slots) {
    const auto add_slot = [&](int slot, auto function) { slots.push_back({slot, reinterpret_cast<void*>(function)}); };
    add_slot(Py_mp_subscript, &get_item);
    add_slot(Py_mp_ass_subscript, &set_item);
    add_slot(Py_mp_length, &length);
    add_slot(Py_sq_contains, &contains);
    add_slot(Py_tp_iter, &iterate);
}

}  // namespace ltf
