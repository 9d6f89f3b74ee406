// Owns the plans. The dispatcher's table is read when a name is not known yet, so that the operators of a library that
// was loaded later appear by themselves.
#include "registry.h"

#include <algorithm>
#include <memory>
#include <set>
#include <unordered_map>

namespace ltf {
namespace {

std::string full_name(const c10::OperatorName& name) {
    return name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
}

bool takes_dimension_names(const c10::FunctionSchema& schema) {
    const std::string& overload = schema.overload_name();
    return overload.find("Dimname") != std::string::npos || overload.find("name") != std::string::npos;
}

/// What decides between two overloads that both take the same arguments: the smaller goes first.
auto precedence(const Plan& plan) {
    const c10::FunctionSchema& schema = plan.schema();
    const bool writes_out =
        std::any_of(schema.arguments().begin(), schema.arguments().end(), [](const auto& a) { return a.is_out(); });
    return std::make_tuple(writes_out, takes_dimension_names(schema), !schema.overload_name().empty(),
                           schema.arguments().size(), schema.overload_name());
}

std::vector<c10::OperatorName> registered() { return c10::Dispatcher::singleton().getAllOpNames(); }

using Index = std::unordered_map<std::string, std::vector<c10::OperatorName>>;

/// Overload names by operator name. Never freed: the dispatcher outlives us.
Index& index() {
    static auto* names = new Index();
    return *names;
}

Plan* plan_of(const c10::OperatorName& name) {
    static auto* plans = new std::unordered_map<std::string, std::unique_ptr<Plan>>();
    std::unique_ptr<Plan>& plan = (*plans)[full_name(name)];
    if (plan == nullptr) {
        const auto handle = c10::Dispatcher::singleton().findSchema(name);
        if (!handle.has_value()) {
            return nullptr;  // an implementation was registered, its schema was not
        }
        plan = std::make_unique<Plan>(*handle);
    }
    return plan.get();
}

}  // namespace

void refresh() {
    index().clear();
    for (const c10::OperatorName& name : registered()) {
        index()[name.name].push_back(name);
    }
}

std::vector<std::string> operator_names() {
    std::vector<std::string> names;
    for (const c10::OperatorName& name : registered()) {
        if (c10::Dispatcher::singleton().findSchema(name).has_value()) {
            names.push_back(full_name(name));
        }
    }
    return names;
}

std::vector<Plan*> plans_of(const std::string& name) {
    if (index().count(name) == 0) {
        refresh();
    }
    const auto found = index().find(name);
    if (found == index().end()) {
        return {};
    }
    std::vector<Plan*> plans;
    for (const c10::OperatorName& overload : found->second) {
        if (Plan* plan = plan_of(overload); plan != nullptr) {
            plans.push_back(plan);
        }
    }
    std::sort(plans.begin(), plans.end(), [](const Plan* a, const Plan* b) { return precedence(*a) < precedence(*b); });
    return plans;
}

std::vector<std::string> method_names() {
    std::set<std::string> names;
    const std::string prefix = "aten::";
    for (const c10::OperatorName& name : registered()) {
        if (name.name.rfind(prefix, 0) != 0) {
            continue;
        }
        const auto handle = c10::Dispatcher::singleton().findSchema(name);
        if (!handle.has_value() || handle->schema().arguments().empty()) {
            continue;
        }
        const c10::Argument& first = handle->schema().arguments()[0];
        if (first.name() == "self" && first.type()->kind() == c10::TypeKind::TensorType) {
            names.insert(name.name.substr(prefix.size()));
        }
    }
    return {names.begin(), names.end()};
}

}  // namespace ltf
