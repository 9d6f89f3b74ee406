// Owns the arithmetic of symbolic shapes: what a graph computes with numbers, as Python does.
#include <cmath>
#include <limits>
#include <unordered_map>

#include "exported.h"

namespace ltf {
namespace {

using c10::IValue;
using Function = IValue (*)(const torch::jit::Stack&);

const IValue& number_argument(const torch::jit::Stack& stack, size_t index) {
    TORCH_CHECK(index < stack.size(), "an argument is missing");
    return stack[index];
}

bool is_float(const IValue& value) { return value.isDouble(); }

double to_double(const IValue& value) {
    return value.isDouble() ? value.toDouble() : value.isBool() ? value.toBool() : static_cast<double>(value.toInt());
}

int64_t to_int(const IValue& value) { return value.isBool() ? value.toBool() : value.toInt(); }

bool to_bool(const IValue& value) { return value.isBool() ? value.toBool() : to_double(value) != 0; }

int64_t checked(bool overflows, int64_t value) {
    TORCH_CHECK(!overflows, "a number of the program's shapes does not fit 64 bits");
    return value;
}

template <class Ints, class Floats>
IValue with_numbers(const torch::jit::Stack& stack, Ints ints, Floats floats) {
    const IValue& a = number_argument(stack, 0);
    const IValue& b = number_argument(stack, 1);
    if (is_float(a) || is_float(b)) {
        return floats(to_double(a), to_double(b));
    }
    return ints(to_int(a), to_int(b));
}

IValue number_sum(const torch::jit::Stack& stack) {
    return with_numbers(
        stack,
        [](int64_t a, int64_t b) {
            int64_t result = 0;
            const bool overflows = __builtin_add_overflow(a, b, &result);
            return checked(overflows, result);
        },
        [](double a, double b) { return a + b; });
}

IValue number_difference(const torch::jit::Stack& stack) {
    return with_numbers(
        stack,
        [](int64_t a, int64_t b) {
            int64_t result = 0;
            const bool overflows = __builtin_sub_overflow(a, b, &result);
            return checked(overflows, result);
        },
        [](double a, double b) { return a - b; });
}

IValue number_product(const torch::jit::Stack& stack) {
    return with_numbers(
        stack,
        [](int64_t a, int64_t b) {
            int64_t result = 0;
            const bool overflows = __builtin_mul_overflow(a, b, &result);
            return checked(overflows, result);
        },
        [](double a, double b) { return a * b; });
}

/// Division of ints as Python rounds it, downwards; -1 is left out, which may not fit.
int64_t number_quotient(int64_t a, int64_t b) {
    TORCH_CHECK(b != 0, "the program's shapes lead to a division by zero");
    if (b == -1) {
        return checked(a == std::numeric_limits<int64_t>::min(), -a);
    }
    const int64_t quotient = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

IValue number_floordiv(const torch::jit::Stack& stack) {
    return with_numbers(stack, number_quotient, [](double a, double b) { return std::floor(a / b); });
}

IValue number_truediv(const torch::jit::Stack& stack) {
    const double divisor = to_double(number_argument(stack, 1));
    TORCH_CHECK(divisor != 0, "the program's shapes lead to a division by zero");
    return to_double(number_argument(stack, 0)) / divisor;
}

IValue number_remainder(const torch::jit::Stack& stack) {
    return with_numbers(
        stack, [](int64_t a, int64_t b) { return b == -1 ? 0 : a - number_quotient(a, b) * b; },
        [](double a, double b) { return a - std::floor(a / b) * b; });
}

IValue raised_number(const torch::jit::Stack& stack) {
    const IValue& base = number_argument(stack, 0);
    const IValue& exponent = number_argument(stack, 1);
    if (is_float(base) || is_float(exponent) || to_int(exponent) < 0) {
        return std::pow(to_double(base), to_double(exponent));
    }
    int64_t result = 1;
    int64_t factor = to_int(base);
    for (int64_t left = to_int(exponent); left > 0; left >>= 1) {
        if ((left & 1) != 0) {
            const bool overflows = __builtin_mul_overflow(result, factor, &result);
            checked(overflows, result);
        }
        if (left > 1) {
            const bool overflows = __builtin_mul_overflow(factor, factor, &factor);
            checked(overflows, factor);
        }
    }
    return result;
}

template <class Compare>
IValue compare_numbers(const torch::jit::Stack& stack, Compare holds) {
    const IValue& a = number_argument(stack, 0);
    const IValue& b = number_argument(stack, 1);
    return is_float(a) || is_float(b) ? holds(to_double(a), to_double(b)) : holds(to_int(a), to_int(b));
}

int64_t rounded(double value) {
    TORCH_CHECK(std::abs(value) < 9.2e18, "a number of the program's shapes does not fit 64 bits");
    return static_cast<int64_t>(value);
}

int64_t shift_of(const IValue& value) {
    const int64_t places = to_int(value);
    TORCH_CHECK(places >= 0 && places < 63, "a shift by ", places, " places");
    return places;
}

const std::unordered_map<std::string, Function>& number_functions() {
    using Stack = torch::jit::Stack;
    static const auto* table = new std::unordered_map<std::string, Function>{
        {"add", number_sum},
        {"sub", number_difference},
        {"mul", number_product},
        {"floordiv", number_floordiv},
        {"truediv", number_truediv},
        {"mod", number_remainder},
        {"pow", raised_number},
        {"eq", [](const Stack& s) { return compare_numbers(s, [](auto a, auto b) { return a == b; }); }},
        {"ne", [](const Stack& s) { return compare_numbers(s, [](auto a, auto b) { return a != b; }); }},
        {"lt", [](const Stack& s) { return compare_numbers(s, [](auto a, auto b) { return a < b; }); }},
        {"le", [](const Stack& s) { return compare_numbers(s, [](auto a, auto b) { return a <= b; }); }},
        {"gt", [](const Stack& s) { return compare_numbers(s, [](auto a, auto b) { return a > b; }); }},
        {"ge", [](const Stack& s) { return compare_numbers(s, [](auto a, auto b) { return a >= b; }); }},
        {"max",
         [](const Stack& s) {
             return to_double(number_argument(s, 0)) < to_double(number_argument(s, 1)) ? s[1] : s[0];
         }},
        {"min",
         [](const Stack& s) {
             return to_double(number_argument(s, 1)) < to_double(number_argument(s, 0)) ? s[1] : s[0];
         }},
        {"neg",
         [](const Stack& s) {
             const IValue zero(int64_t{0});
             return is_float(number_argument(s, 0)) ? IValue(-s[0].toDouble()) : number_difference({zero, s[0]});
         }},
        {"pos", [](const Stack& s) { return number_argument(s, 0); }},
        {"not", [](const Stack& s) { return IValue(!to_bool(number_argument(s, 0))); }},
        {"and_",
         [](const Stack& s) {
             return number_argument(s, 0).isBool() ? IValue(s[0].toBool() && to_bool(number_argument(s, 1)))
                                                   : IValue(to_int(s[0]) & to_int(number_argument(s, 1)));
         }},
        {"or_",
         [](const Stack& s) {
             return number_argument(s, 0).isBool() ? IValue(s[0].toBool() || to_bool(number_argument(s, 1)))
                                                   : IValue(to_int(s[0]) | to_int(number_argument(s, 1)));
         }},
        {"lshift",
         [](const Stack& s) {
             return number_product({number_argument(s, 0), IValue(int64_t{1} << shift_of(number_argument(s, 1)))});
         }},
        {"rshift",
         [](const Stack& s) { return IValue(to_int(number_argument(s, 0)) >> shift_of(number_argument(s, 1))); }},
        {"ite",
         [](const Stack& s) { return to_bool(number_argument(s, 0)) ? number_argument(s, 1) : number_argument(s, 2); }},
        {"sqrt", [](const Stack& s) { return IValue(std::sqrt(to_double(number_argument(s, 0)))); }},
        {"float", [](const Stack& s) { return IValue(to_double(number_argument(s, 0))); }},
        {"int", [](const Stack& s) { return IValue(rounded(std::trunc(to_double(number_argument(s, 0))))); }},
        {"trunc", [](const Stack& s) { return IValue(rounded(std::trunc(to_double(number_argument(s, 0))))); }},
        {"floor", [](const Stack& s) { return IValue(rounded(std::floor(to_double(number_argument(s, 0))))); }},
        {"ceil", [](const Stack& s) { return IValue(rounded(std::ceil(to_double(number_argument(s, 0))))); }},
        {"round", [](const Stack& s) { return IValue(rounded(std::nearbyint(to_double(number_argument(s, 0))))); }},
    };
    return *table;
}

class NumberNode final : public Node {
  public:
    NumberNode(Function function, std::string label, std::vector<Operand> operands, std::vector<Target> targets)
        : Node(std::move(label), std::move(operands), std::move(targets)), function_(function) {}

    void run(Frame& frame) const override {
        push(frame);
        for (c10::IValue& value : frame.stack) {  // where a number was a tensor's item
            value = value.isTensor() ? c10::IValue(value.toTensor().item()) : value;
        }
        IValue result = function_(frame.stack);
        frame.stack.assign(1, std::move(result));
        pop(frame);
    }

  private:
    Function function_;
};

}  // namespace

std::unique_ptr<Node> number_node(const std::string& function, std::string label, std::vector<Operand> operands,
                                  std::vector<Target> targets) {
    const auto found = number_functions().find(function);
    if (found == number_functions().end()) {
        return nullptr;
    }
    return std::make_unique<NumberNode>(found->second, std::move(label), std::move(operands), std::move(targets));
}

}  // namespace ltf
