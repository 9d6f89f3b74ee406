// What libtorch itself does not check: arguments with which an operator of its own reads or writes past its memory or
// divides by zero, and so ends the process, in torch as here.
//
// Owns the table of such operators, each with what has to hold. Nothing else pays for it: a plan without a check asks
// for none, and what libtorch refuses by itself is left to it.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/stack.h>

namespace ltf {

/// A call that is about to be made.
struct Given {
    const c10::FunctionSchema& schema;
    const torch::jit::Stack& stack;
};

/// Throws where libtorch would not, and says what has to hold; needs no GIL.
using Check = void (*)(const Given& given);

/// The check that an operator lacks; null for nearly all.
Check missing_check_of(const c10::FunctionSchema& schema);

/// Makes the check, if there is one.
inline void make_missing_check(Check check, const c10::FunctionSchema& schema, const torch::jit::Stack& stack) {
    if (check != nullptr) {
        check({schema, stack});
    }
}

}  // namespace ltf
