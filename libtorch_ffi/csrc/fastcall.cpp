// Owns the rules of Python's calls for functions without a schema: too many, unknown and doubled arguments.
#include "fastcall.h"

#include "convert.h"

namespace ltf {

PyObject* Fastcall::keyword(const char* name) const {
    for (Py_ssize_t i = 0; i < keywords(); ++i) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), name) == 0) {
            return values[positional + i];
        }
    }
    return nullptr;
}

void read_fastcall(const Fastcall& call, const char* function, Py_ssize_t positional, const char* const* names,
                   PyObject** out, size_t count) {
    if (call.positional > positional) {
        raise(PyExc_TypeError, "%s() takes at most %zd positional arguments, but %zd were given", function, positional,
              call.positional);
    }
    std::copy_n(call.values, call.positional, out);
    for (Py_ssize_t i = 0; i < call.keywords(); ++i) {
        PyObject* name = PyTuple_GET_ITEM(call.names, i);
        size_t place = 0;
        while (place < count && PyUnicode_CompareWithASCIIString(name, names[place]) != 0) {
            ++place;
        }
        if (place == count) {
            raise(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function, name);
        }
        if (out[place] != nullptr) {
            raise(PyExc_TypeError, "%s() got multiple values for argument '%U'", function, name);
        }
        out[place] = call.values[call.positional + i];
    }
}

bool read_flag(PyObject* object, bool missing, const char* function, const char* name) {
    bool value = missing;
    if (object != nullptr && object != Py_None && !read_bool(object, value)) {
        raise(PyExc_TypeError, "%s(): argument '%s' must be bool, not %s", function, name, Py_TYPE(object)->tp_name);
    }
    return value;
}

}  // namespace ltf
