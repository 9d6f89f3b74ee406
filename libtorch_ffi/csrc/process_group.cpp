// Owns the Python face of c10d: TCPStore, and the process group over Gloo that libtorch has inside. Whatever waits for
// another process gives the GIL away. The constructor of ProcessGroupGloo and that of its options are libtorch's; the
// headers of Gloo, which libtorch does not ship, are stood in for by those in gloo/. Classes of c10d are registered for
// this module alone: torch, where it is in the process too, registers the same ones.
#include "process_group.h"

#if !defined(LTF_WITHOUT_GLOO) && __has_include(<torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>)
#define LTF_GLOO
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "releases.h"
#include "tensor.h"

#ifdef LTF_GLOO
PYBIND11_DECLARE_HOLDER_TYPE(T, c10::intrusive_ptr<T>, true);
#endif

namespace ltf {

#ifdef LTF_GLOO

namespace {

namespace py = pybind11;
using c10d::ProcessGroupGloo;
using Milliseconds = std::chrono::milliseconds;
using TensorVector = std::vector<at::Tensor>;
using WorkPointer = c10::intrusive_ptr<c10d::Work>;

Milliseconds timeout_of(double seconds) {
    if (!(seconds > 0 && seconds < 1e9)) {
        throw py::value_error("a timeout has to be a positive number of seconds, but got " + std::to_string(seconds));
    }
    return Milliseconds(static_cast<int64_t>(std::ceil(seconds * 1000)));
}

// The store

std::vector<uint8_t> bytes_of(const py::bytes& value) {
    const std::string text = value;
    return {text.begin(), text.end()};
}

py::bytes to_bytes(const std::vector<uint8_t>& value) {
    return {reinterpret_cast<const char*>(value.data()), value.size()};
}

c10::intrusive_ptr<c10d::TCPStore> make_store(const std::string& host, uint16_t port, std::optional<size_t> world_size,
                                              bool is_master, double timeout, bool wait_for_workers) {
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = is_master;
    options.numWorkers = as_optional(world_size);
    options.waitWorkers = wait_for_workers;
    options.timeout = timeout_of(timeout);
    const WithoutGil released;
    return c10::make_intrusive<c10d::TCPStore>(host, options);
}

/// Runs `body` without the GIL and answers its bytes.
template <class Body>
py::bytes bytes_without_gil(Body&& body) {
    std::vector<uint8_t> value;
    {
        const WithoutGil released;
        value = body();
    }
    return to_bytes(value);
}

void register_store(py::module_& module) {
    using c10d::TCPStore;
    py::class_<TCPStore, c10::intrusive_ptr<TCPStore>>(module, "TCPStoreCore", "Keys and values that processes share.",
                                                       py::module_local())
        .def(py::init(&make_store), py::arg("host"), py::arg("port"), py::arg("world_size"), py::arg("is_master"),
             py::arg("timeout"), py::arg("wait_for_workers"))
        .def("set",
             [](TCPStore& self, const std::string& key, const py::bytes& value) {
                 const std::vector<uint8_t> data = bytes_of(value);
                 const WithoutGil released;
                 self.set(key, data);
             })
        .def("get",
             [](TCPStore& self, const std::string& key) { return bytes_without_gil([&] { return self.get(key); }); })
        .def("compare_set",
             [](TCPStore& self, const std::string& key, const py::bytes& expected, const py::bytes& desired) {
                 const std::vector<uint8_t> before = bytes_of(expected);
                 const std::vector<uint8_t> after = bytes_of(desired);
                 return bytes_without_gil([&] { return self.compareSet(key, before, after); });
             })
        .def("add", &TCPStore::add, py::call_guard<WithoutGil>())
        .def("delete_key", &TCPStore::deleteKey, py::call_guard<WithoutGil>())
        .def("check", &TCPStore::check, py::call_guard<WithoutGil>())
        .def("num_keys", &TCPStore::getNumKeys, py::call_guard<WithoutGil>())
        .def("wait",
             [](TCPStore& self, const std::vector<std::string>& keys, double timeout) {
                 const Milliseconds limit = timeout_of(timeout);
                 const WithoutGil released;
                 self.wait(keys, limit);
             })
        .def("set_timeout", [](TCPStore& self, double timeout) { self.setTimeout(timeout_of(timeout)); })
        .def_property_readonly("host", &TCPStore::getHost)
        .def_property_readonly("port", &TCPStore::getPort);
}

// The process group

/// Gloo reads and writes a tensor's memory from its beginning, as many bytes as it has elements, and asks no questions.
at::Tensor whole(at::Tensor tensor) {
    if (!tensor.defined() || !tensor.is_cpu() || tensor.layout() != at::kStrided || tensor.is_quantized() ||
        tensor.is_nested() || tensor.is_conj() || tensor.is_neg() || !tensor.is_contiguous()) {
        throw py::value_error(
            "processes exchange tensors that lie in the host's memory without gaps (strided and contiguous); got one "
            "that does not: exchange tensor.cpu().contiguous() instead");
    }
    return tensor;
}

TensorVector whole(TensorVector tensors) {
    for (at::Tensor& tensor : tensors) {
        tensor = whole(std::move(tensor));
    }
    return tensors;
}

/// The network interface that torch's variable names, else the one that the host's own name resolves to.
auto gloo_device() {
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    return interface == nullptr || *interface == '\0' ? ProcessGroupGloo::createDefaultDevice()
                                                      : ProcessGroupGloo::createDeviceForInterface(interface);
}

c10d::ReduceOp reduction(int number) {
    if (number < 0 || number >= static_cast<int>(c10d::ReduceOp::PREMUL_SUM)) {
        throw py::value_error("no such reduction: " + std::to_string(number));
    }
    return c10d::ReduceOp(static_cast<c10d::ReduceOp::RedOpType>(number));
}

/// A process group until it is closed. Closing waits for what is under way, and ends the connections.
class Group {
  public:
    Group(const c10::intrusive_ptr<c10d::TCPStore>& store, int rank, int size, double timeout) : size_(size) {
        auto options = ProcessGroupGloo::Options::create(timeout_of(timeout));
        const WithoutGil released;
        options->devices.push_back(gloo_device());
        group_ = c10::make_intrusive<ProcessGroupGloo>(store, rank, size, std::move(options));
    }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;
    ~Group() { close(); }

    /// Leaves the group as it is: to close it would be to wait for an operation that somebody has given up.
    void abandon() { group_.release(); }

    void close() {
        if (group_.defined()) {
            const WithoutGil released;
            group_.reset();
        }
    }

    WorkPointer all_reduce(at::Tensor tensor, int op) {
        c10d::AllreduceOptions options;
        options.reduceOp = reduction(op);
        return run([&](ProcessGroupGloo& group) {
            TensorVector tensors{whole(std::move(tensor))};
            return group.allreduce(tensors, options);
        });
    }

    WorkPointer reduce(at::Tensor tensor, int root, int op) {
        c10d::ReduceOptions options;
        options.reduceOp = reduction(op);
        options.rootRank = checked(root);
        return run([&](ProcessGroupGloo& group) {
            TensorVector tensors{whole(std::move(tensor))};
            return group.reduce(tensors, options);
        });
    }

    WorkPointer broadcast(at::Tensor tensor, int root) {
        c10d::BroadcastOptions options;
        options.rootRank = checked(root);
        return run([&](ProcessGroupGloo& group) {
            TensorVector tensors{whole(std::move(tensor))};
            return group.broadcast(tensors, options);
        });
    }

    WorkPointer all_gather(TensorVector outputs, at::Tensor input) {
        return run([&](ProcessGroupGloo& group) {
            std::vector<TensorVector> lists{whole(std::move(outputs))};
            TensorVector inputs{whole(std::move(input))};
            return group.allgather(lists, inputs);
        });
    }

    WorkPointer gather(TensorVector outputs, at::Tensor input, int root) {
        c10d::GatherOptions options;
        options.rootRank = checked(root);
        return run([&](ProcessGroupGloo& group) {
            std::vector<TensorVector> lists;
            if (!outputs.empty()) {
                lists.push_back(whole(std::move(outputs)));
            }
            TensorVector inputs{whole(std::move(input))};
            return group.gather(lists, inputs, options);
        });
    }

    WorkPointer scatter(at::Tensor output, TensorVector inputs, int root) {
        c10d::ScatterOptions options;
        options.rootRank = checked(root);
        return run([&](ProcessGroupGloo& group) {
            TensorVector outputs{whole(std::move(output))};
            std::vector<TensorVector> lists;
            if (!inputs.empty()) {
                lists.push_back(whole(std::move(inputs)));
            }
            return group.scatter(outputs, lists, options);
        });
    }

    WorkPointer send(at::Tensor tensor, int peer, int tag) {
        checked(peer);
        return run([&](ProcessGroupGloo& group) {
            TensorVector tensors{whole(std::move(tensor))};
            return group.send(tensors, peer, tag);
        });
    }

    WorkPointer recv(at::Tensor tensor, int peer, int tag) {
        checked(peer);
        return run([&](ProcessGroupGloo& group) {
            TensorVector tensors{whole(std::move(tensor))};
            return group.recv(tensors, peer, tag);
        });
    }

    WorkPointer barrier() {
        return run([&](ProcessGroupGloo& group) { return group.barrier(); });
    }

  private:
    int checked(int rank) const {
        if (rank < 0 || rank >= size_) {
            throw py::value_error("there is no rank " + std::to_string(rank) + " in a group of " +
                                  std::to_string(size_));
        }
        return rank;
    }

    template <class Body>
    WorkPointer run(Body&& body) {
        // Another thread may close the group while this one waits.
        const c10::intrusive_ptr<ProcessGroupGloo> group = group_;
        if (!group.defined()) {
            throw std::runtime_error("the process group has been destroyed");
        }
        const WithoutGil released;
        return body(*group);
    }

    c10::intrusive_ptr<ProcessGroupGloo> group_;
    int size_;
};

bool wait_for(c10d::Work& work, std::optional<double> timeout) {
    const Milliseconds limit = timeout ? timeout_of(*timeout) : Milliseconds(0);
    const WithoutGil released;
    return work.wait(limit);
}

/// Waits for a moment and answers whether the work is done. For collective operations alone: to wait in vain for a
/// single send or receive ends Gloo's connections.
bool done_within(c10d::Work& work, double seconds) {
    const Milliseconds moment = timeout_of(seconds);
    const WithoutGil released;
    try {
        return work.wait(moment);
    } catch (const std::exception&) {
        if (!work.isCompleted()) {
            return false;  // it was the moment that ended
        }
    }
    return work.wait(Milliseconds(0));  // throws what the work ended with
}

void register_group(py::module_& module) {
    py::class_<c10d::Work, WorkPointer>(module, "DistributedWork", "A collective operation under way.",
                                        py::module_local())
        .def("wait", &wait_for, py::arg("timeout") = py::none())
        .def("done_within", &done_within, py::arg("seconds"))
        .def("is_completed", &c10d::Work::isCompleted);
    py::class_<Group>(module, "GlooGroup", "Processes that compute together.")
        .def(py::init<const c10::intrusive_ptr<c10d::TCPStore>&, int, int, double>(), py::arg("store"), py::arg("rank"),
             py::arg("size"), py::arg("timeout"))
        .def("close", &Group::close)
        .def("abandon", &Group::abandon)
        .def("all_reduce", &Group::all_reduce)
        .def("reduce", &Group::reduce)
        .def("broadcast", &Group::broadcast)
        .def("all_gather", &Group::all_gather)
        .def("gather", &Group::gather)
        .def("scatter", &Group::scatter)
        .def("send", &Group::send)
        .def("recv", &Group::recv)
        .def("barrier", &Group::barrier);
}

}  // namespace

void register_process_group(py::module_& module) {
    register_store(module);
    register_group(module);
}

#else

void register_process_group(pybind11::module_&) {}

#endif

}  // namespace ltf
