// The plan of an operator: what is known of a call before it is made.
//
// A plan is made once, from the schema that the dispatcher holds, and lives as long as the process. A call is unboxed
// where the signature is a common one (direct.h); else it is boxed: `bind` puts the arguments onto a stack, `invoke`
// runs the kernel and wraps what it left there.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "convert.h"
#include "direct.h"
#include "kernel_scope.h"
#include "missing_checks.h"

namespace ltf {

/// The arguments of a vectorcall.
struct Arguments {
    PyObject* const* values;
    Py_ssize_t positional;
    PyObject* names;  // a tuple of str, or null

    Py_ssize_t keywords() const { return names == nullptr ? 0 : PyTuple_GET_SIZE(names); }
    PyObject* keyword_name(Py_ssize_t i) const { return PyTuple_GET_ITEM(names, i); }
    PyObject* keyword_value(Py_ssize_t i) const { return values[positional + i]; }
};

/// More parameters than any schema has.
constexpr size_t kMostParameters = 64;

class Plan;

/// One call on its way: the stack and what was learnt while it was filled.
struct Call {
    explicit Call(Plan& plan);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();

    Plan& plan;
    torch::jit::Stack stack;
    CallFacts facts;
    std::array<PyObject*, kMostParameters> given;  // borrowed; null where the default stands
};

/// How a Tensor[] result comes back.
enum class Lists { list, tuple };

class Plan {
  public:
    explicit Plan(const c10::OperatorHandle& handle);

    const c10::FunctionSchema& schema() const { return handle_.schema(); }
    /// The schema as text, made once.
    const std::string& text() const { return text_; }
    const std::vector<Parameter>& parameters() const { return parameters_; }
    /// The first parameter without a converter, or null: such an operator cannot be called from Python.
    const Parameter* unsupported() const;
    size_t most_positional() const { return positional_; }
    size_t fewest() const { return required_; }
    /// Whether it makes a tensor from dtype, layout, device and pin_memory.
    bool is_factory() const { return factory_; }

    Work work() const { return work_; }
    Results results() const { return results_; }

    /// Calls the operator; null where the arguments do not fit.
    PyObject* try_call(const Arguments& arguments, Match match, Lists lists);
    /// Why the arguments do not fit.
    std::string refusal(const Arguments& arguments);

    /// The object given for a parameter (borrowed), or null; counts the keywords that were used.
    PyObject* find(const Arguments& arguments, size_t index, Py_ssize_t& used) const;
    /// A tuple of results, by name where the schema names them.
    PyObject* pack_results(std::initializer_list<PyObject*> results);
    /// The type of results that have names (borrowed); null where they have none.
    PyTypeObject* result_type();

  private:
    friend struct Call;

    /// Fills `call`; false where the arguments do not fit, and then `reason`, if asked for, says why.
    bool bind(const Arguments& arguments, Match match, Call& call, std::string* reason = nullptr) const;
    /// Runs the kernel on a call that was bound, and answers a new reference to its result.
    PyObject* invoke(Call& call, Lists lists);

    PyObject* new_results();
    PyObject* wrap_results(Call& call, Lists lists);
    PyObject* wrap_result(Call& call, size_t index, Lists lists) const;

    c10::OperatorHandle handle_;
    std::string text_;
    std::vector<Parameter> parameters_;
    std::vector<int> returned_argument_;  // for each return, the parameter that it is; or -1
    size_t positional_ = 0;
    size_t required_ = 0;
    bool named_results_ = false;
    bool changes_list_ = false;  // torch's function answers the list that was changed, the operator nothing
    bool factory_ = false;
    Work work_ = Work::foreign;
    Results results_ = Results::any;
    PyTypeObject* result_type_ = nullptr;
    Check check_ = nullptr;           // what libtorch should have checked, for a few operators
    std::unique_ptr<Direct> direct_;  // null where the call is boxed
    torch::jit::Stack spare_;         // the memory of the last call's stack
};

}  // namespace ltf
