// What differs between releases of libtorch in things that are named by hand: the one place that knows. Most
// differences are found out by asking whether an expression compiles, so that no list of releases has to be right;
// LTF_SINCE is for what is missing altogether. Owns nothing that runs.
#pragma once

#include <ATen/core/ivalue.h>
#include <c10/core/Stream.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/version.h>

#include <optional>
#include <utility>

/// Whether this libtorch is of release 2.<minor> or a later one.
#define LTF_SINCE(minor) (TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= (minor))

namespace ltf {

/// libtorch's optional: std's, or until 2.2 one of its own.
template <class T>
using Optional = decltype(std::declval<const c10::IValue&>().toOptional<T>());

/// The same value in libtorch's optional.
template <class T>
Optional<T> as_optional(const std::optional<T>& value) {
    return value.has_value() ? Optional<T>(*value) : Optional<T>();
}

#if LTF_SINCE(3)
inline constexpr at::ScalarType unsigned16 = at::kUInt16, unsigned32 = at::kUInt32, unsigned64 = at::kUInt64;

/// A number as a uint64.
inline uint64_t to_unsigned(const at::Scalar& scalar) { return scalar.to<uint64_t>(); }
#else
/// Dtypes that are not there.
inline constexpr at::ScalarType unsigned16 = at::ScalarType::Undefined, unsigned32 = unsigned16,
                                unsigned64 = unsigned16;

/// A number as a uint64: none is larger than an int64.
inline uint64_t to_unsigned(const at::Scalar& scalar) { return static_cast<uint64_t>(scalar.to<int64_t>()); }
#endif

namespace releases {

template <int N>
struct Rank : Rank<N - 1> {};
template <>
struct Rank<0> {};

/// libtorch's `_wrap_outputs`, which has got arguments more over time: what setup_context saved (2.1), how to make a
/// view of a tensor itself (2.4), whether the outputs are views and nothing else (2.6), and the node that it attached
/// (2.15).
template <class Saved, class View, class Node, class... Args>
auto wrap_outputs(Rank<4>, const Saved& saved, const View& view, Node& attached, const Args&... args)
    -> decltype(torch::autograd::_wrap_outputs(args..., saved, view, false, attached)) {
    return torch::autograd::_wrap_outputs(args..., saved, view, false, attached);
}
template <class Saved, class View, class Node, class... Args>
auto wrap_outputs(Rank<3>, const Saved& saved, const View& view, Node&, const Args&... args)
    -> decltype(torch::autograd::_wrap_outputs(args..., saved, view, false)) {
    return torch::autograd::_wrap_outputs(args..., saved, view, false);
}
template <class Saved, class View, class Node, class... Args>
auto wrap_outputs(Rank<2>, const Saved& saved, const View& view, Node&, const Args&... args)
    -> decltype(torch::autograd::_wrap_outputs(args..., saved, view)) {
    return torch::autograd::_wrap_outputs(args..., saved, view);
}
template <class Saved, class View, class Node, class... Args>
auto wrap_outputs(Rank<1>, const Saved& saved, const View&, Node&, const Args&... args)
    -> decltype(torch::autograd::_wrap_outputs(args..., saved)) {
    return torch::autograd::_wrap_outputs(args..., saved);
}
template <class Saved, class View, class Node, class... Args>
auto wrap_outputs(Rank<0>, const Saved&, const View&, Node&, const Args&... args)
    -> decltype(torch::autograd::_wrap_outputs(args...)) {
    return torch::autograd::_wrap_outputs(args...);
}

/// Memory that may be written to: of 2.1 and later, where a storage may be a copy that waits for a first write.
template <class Storage>
auto mutable_data(Rank<1>, const Storage& storage) -> decltype(storage.mutable_data()) {
    return storage.mutable_data();
}
template <class Storage>
void* mutable_data(Rank<0>, const Storage& storage) {
    return storage.data();
}

/// Whether a tensor lies on an MTIA device, of which libtorch knows since 2.1.
template <class Tensor>
auto is_mtia(Rank<1>, const Tensor& tensor) -> decltype(tensor.is_mtia()) {
    return tensor.is_mtia();
}
template <class Tensor>
bool is_mtia(Rank<0>, const Tensor&) {
    return false;
}

[[noreturn]] inline void lacking(const char* what, const char* since) {
    TORCH_CHECK_NOT_IMPLEMENTED(false, "libtorch ", TORCH_VERSION, " has no ", what, ": build against ", since,
                                " or later (LIBTORCH_VERSION)");
}

template <class Guard>
auto new_stream(Rank<1>, const Guard& guard, at::Device device, int priority)
    -> decltype(guard.getNewStream(device, priority)) {
    return guard.getNewStream(device, priority);
}
template <class Guard>
c10::Stream new_stream(Rank<0>, const Guard&, at::Device, int) {
    lacking("streams of one's own", "2.4");
}

template <class Event>
auto synchronize(Rank<1>, const Event& event) -> decltype(event.synchronize()) {
    return event.synchronize();
}
template <class Event>
void synchronize(Rank<0>, const Event&) {
    lacking("events that can be waited for", "2.4");
}

template <class Event>
auto elapsed_time(Rank<1>, const Event& start, const Event& end) -> decltype(start.elapsedTime(end)) {
    return start.elapsedTime(end);
}
template <class Event>
double elapsed_time(Rank<0>, const Event&, const Event&) {
    lacking("events that take the time", "2.4");
}

}  // namespace releases
}  // namespace ltf
