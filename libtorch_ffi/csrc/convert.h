// Python values to libtorch's IValues and back, by schema type.
//
// Each parameter of an operator gets its converter once, when its plan is made. A converter answers false where the
// value does not fit, so that the next overload can be tried; it raises only where no overload could take the value (an
// int that does not fit 64 bits, say).
#pragma once

#include <memory>

#include "object.h"

namespace ltf {

/// How far a value may be from a parameter's type.
enum class Match {
    exact,    // a Tensor for a Tensor, a number for a number
    lenient,  // also a 0-dim Tensor for a number, and a number for a Tensor where torch takes one
};

/// What the conversion of a call's arguments found out about its tensors.
struct CallFacts {
    bool requires_grad = false;  // of an argument
    bool dual = false;           // an argument carries a forward-mode tangent
    bool unusual = false;  // an argument is nested, not strided or lazily conjugated: its kernels count on Autograd's
    bool on_cpu = true;    // every tensor lies densely in the host's memory
    int tensors = 0;
    int64_t elements = 0;    // of all tensors
    int64_t requested = -1;  // of a tensor whose sizes a list of ints gives; -1 where there is no such list

    void note(const at::Tensor& tensor);
    void note_sizes(at::IntArrayRef sizes);
};

struct Parameter;
using Converter = bool (*)(const Parameter&, PyObject*, Match, CallFacts&, c10::IValue&);

/// One argument of a schema, ready to be parsed; or the element of one that is a list.
struct Parameter {
    PyObject* name = nullptr;   // interned; lives as long as the process
    PyObject* alias = nullptr;  // torch's other name for it ("input", "axis"), or null
    Converter convert = nullptr;
    bool optional = false;  // takes None
    bool keyword_only = false;
    bool has_default = false;
    bool written = false;                      // out= or in place
    bool takes_numbers = false;                // a Tensor that may be given as a number
    bool none_is_default = false;              // a list that is empty by default: None leaves it out, as in torch
    int fixed_length = 0;                      // N of int[N]: one number stands for N
    c10::IValue fallback;                      // the default
    c10::TypePtr type;                         // of the value, without Optional
    std::shared_ptr<const Parameter> element;  // of a list, or of a dict's values
    std::shared_ptr<const Parameter> key;      // of a dict
};

/// Sets type, optional, convert, element and key from a schema type. `convert` stays null where the type has no
/// converter. A dimension's name is a str in the schema; `dimname` tells it from other texts.
void set_type(Parameter& parameter, const c10::TypePtr& type, bool dimname);

/// A new reference to the Python form of a value of the schema type `type`.
PyObject* to_python(c10::IValue value, const c10::Type& type);
/// The same, by what the value itself says.
PyObject* to_python(c10::IValue value);

/// Reads a Python number (bool, int, float, complex, NumPy scalar); false where `object` is none.
bool read_scalar(PyObject* object, at::Scalar& scalar);
/// Reads an int or an object that has `__index__`, but no bool and no tensor; raises where it does not fit 64 bits.
bool read_int(PyObject* object, int64_t& value);
/// Reads the int in a 0-dim tensor of ints.
bool read_int_tensor(PyObject* object, int64_t& value);
bool read_double(PyObject* object, double& value);
bool read_bool(PyObject* object, bool& value);
/// Reads a sequence of ints.
bool read_int_list(PyObject* object, c10::SmallVectorImpl<int64_t>& values);

/// Whether an object is a tensor that may stand for a Python number: it has no dimensions and no gradient to lose.
bool stands_for_number(PyObject* object);

/// The 0-dim tensor that stands for a Python number, marked so that type promotion treats it as one.
at::Tensor number_tensor(const at::Scalar& scalar);

}  // namespace ltf
