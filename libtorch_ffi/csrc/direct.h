// Unboxed calls for the signatures that most operators share.
//
// A boxed call keeps each argument in an IValue on a stack, which the kernel's boxed wrapper takes apart again. Where a
// schema's C++ signature is one of a few dozen common ones, the arguments are read straight into C++ values instead and
// the kernel is called with them. Nothing here is written per operator: one representative names a signature, and every
// operator whose schema has the same types shares its code.
#pragma once

#include <memory>

#include "object.h"

namespace ltf {

struct Arguments;
class Plan;
enum class Lists;
enum class Match;

/// The unboxed call of one operator.
class Direct {
  public:
    virtual ~Direct() = default;
    /// The result (new reference), or null where the arguments do not fit.
    virtual PyObject* call(Plan& plan, const Arguments& arguments, Match match, Lists lists) const = 0;
};

/// The unboxed call of an operator, or null where its signature is not a common one.
std::unique_ptr<Direct> direct_call_of(const c10::OperatorHandle& handle);

}  // namespace ltf
