// What the dispatcher holds: the names of operators and their overloads, and the plan of each, made when first asked
// for.
#pragma once

#include <string>
#include <vector>

#include "plan.h"

namespace ltf {

/// All full names, such as "aten::add.Tensor", in the dispatcher's order.
std::vector<std::string> operator_names();

/// The plans of all overloads of "aten::add"; empty where there is no such operator. Overloads that write to `out=`
/// arguments come last, and of two that both take the same arguments the more specific comes first.
std::vector<Plan*> plans_of(const std::string& name);

/// Reads the dispatcher's table anew: a library was loaded that may add overloads to a known name.
void refresh();

/// The operators whose first argument is a Tensor called self, without their namespace: the names of Tensor's methods.
std::vector<std::string> method_names();

}  // namespace ltf
