// The state that a kernel runs in: without the GIL, and below Autograd where nothing is to be recorded.
#pragma once

#include <optional>

#include "convert.h"

namespace ltf {

/// Up to so many elements a kernel on the CPU is shorter than giving the GIL away and taking it back.
constexpr int64_t kFewElements = 1024;

/// What a kernel of aten may cost, which tells whether the GIL is worth releasing.
enum class Work {
    view,       // nothing is computed
    bounded,    // bounded by the arguments' sizes
    factory,    // makes as many elements as the list of sizes says
    unbounded,  // a small argument may make a large result
    foreign,    // not an operator of aten: anything
};

/// What an operator's results are, which tells what may be left out around its kernel.
enum class Results {
    any,  // views of its arguments, or the arguments themselves, among others
    new_  // its own: Autograd's kernel leaves out ADInplaceOrView too, so that they begin with the version 0
};

/// Lives around one kernel. Where nothing is recorded, aten's Autograd kernels do nothing but pass on, and are left
/// out; ADInplaceOrView, which counts versions and ties views to their bases, where the results are new.
/// What `CallFacts::unusual` says takes the long way.
///
/// No Python error may be raised inside: the GIL may be gone.
class KernelScope {
  public:
    KernelScope(const CallFacts& facts, Work work, Results results = Results::any)
        : released_(releases_gil(facts, work)) {
        if (work != Work::foreign && !facts.unusual && !facts.dual &&
            (!facts.requires_grad || !at::GradMode::is_enabled())) {
            below_.emplace(results == Results::new_ ? c10::autograd_dispatch_keyset_with_ADInplaceOrView
                                                    : c10::autograd_dispatch_keyset);
        }
    }

  private:
    static bool releases_gil(const CallFacts& facts, Work work) {
        switch (work) {
            case Work::view:
                return false;
            case Work::bounded:
                return facts.tensors == 0 || !facts.on_cpu || facts.elements > kFewElements;
            case Work::factory:
                return facts.requested < 0 || facts.requested > kFewElements || !facts.on_cpu;
            default:
                return true;
        }
    }

    WithoutGil released_;
    std::optional<c10::impl::ExcludeDispatchKeyGuard> below_;
};

}  // namespace ltf
