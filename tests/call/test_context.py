"""What holds for a process or a thread: threads, determinism, autocast, switches of backends, devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import libtorch_ffi as lt
from libtorch_ffi import amp, backends, cuda

if TYPE_CHECKING:
    from types import ModuleType


def test_numbers_of_threads() -> None:
    before = lt.get_num_threads()
    lt.set_num_threads(1)
    assert lt.get_num_threads() == 1
    lt.set_num_threads(before)
    assert lt.get_num_interop_threads() >= 1
    for wrong in (0, -1):
        with pytest.raises(RuntimeError, match="positive"):
            lt.set_num_threads(wrong)
        with pytest.raises(RuntimeError, match="positive"):
            lt.set_num_interop_threads(wrong)
    with pytest.raises(TypeError):
        lt.set_num_threads("two")


def test_deterministic_algorithms() -> None:
    assert not lt.are_deterministic_algorithms_enabled()
    lt.use_deterministic_algorithms(True, warn_only=True)
    assert lt.are_deterministic_algorithms_enabled()
    assert lt.is_deterministic_algorithms_warn_only_enabled()
    lt.use_deterministic_algorithms(True)
    try:
        with pytest.raises(RuntimeError, match="deterministic"):
            lt.ones(3).put_(lt.tensor([0, 0]), lt.ones(2), accumulate=False)
        assert lt.empty(3).isnan().all().item()
    finally:
        lt.use_deterministic_algorithms(False)
    assert not lt.are_deterministic_algorithms_enabled()


def test_denormal_numbers() -> None:
    tiny = lt.tensor([1e-323], dtype=lt.float64)
    if lt.set_flush_denormal(True):
        assert (tiny * 1).tolist() == [0]
        assert lt.set_flush_denormal(False)
    assert (tiny * 1).tolist() == [1e-323]


def test_precision_of_matrix_products() -> None:
    assert lt.get_float32_matmul_precision() == "highest"
    lt.set_float32_matmul_precision("high")
    assert lt.get_float32_matmul_precision() == "high"
    lt.set_float32_matmul_precision("highest")
    with pytest.raises(ValueError, match="medium"):
        lt.set_float32_matmul_precision("low")


SWITCHES = [
    (backend, name)
    for backend in (
        backends.cudnn,
        backends.cuda,
        backends.mkldnn,
        backends.nnpack,
        backends.cpu,
        backends.deterministic,
    )
    for name in dir(backend)
    if name not in ("is_available", "is_built", "matmul")
]


@pytest.mark.parametrize(("backend", "name"), SWITCHES, ids=str)
def test_switches(backend: Any, name: str) -> None:
    before = getattr(backend, name)
    try:
        setattr(backend, name, not before)
    except RuntimeError as error:
        pytest.skip(f"this processor lacks it: {error}")
    assert getattr(backend, name) is (not before)
    setattr(backend, name, before)
    assert getattr(backend, name) is before


def test_a_switch_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="cudnn"):
        backends.cudnn.turbo = True
    with pytest.raises(AttributeError, match="cudnn"):
        backends.cudnn.turbo  # noqa: B018
    assert backends.cuda.matmul.allow_tf32 is False
    assert "cudnn" in repr(backends.cudnn)


def test_what_libtorch_was_built_with(torch: ModuleType) -> None:
    for name in ("mkl", "mkldnn", "openmp", "cudnn"):
        assert getattr(backends, name).is_available() == getattr(torch.backends, name).is_available(), name
    assert lt.has_lapack == torch._C.has_lapack
    assert lt.has_mkl == torch._C.has_mkl
    assert lt.__config__.show() == torch.__config__.show()
    assert lt.__config__.parallel_info() == torch.__config__.parallel_info()


def test_the_configuration_is_text() -> None:
    assert "C++ Version" in lt.__config__.show()
    assert "thread" in lt.__config__.parallel_info()
    assert isinstance(lt.has_cuda, bool)


# Autocast


def mixed(m: Any) -> Any:
    a = m.ones(4, 4)
    return a @ a, m.softmax(a @ a, 0), a + a


def test_autocast_on_the_cpu() -> None:
    with lt.autocast("cpu"):
        assert lt.is_autocast_enabled("cpu")
        product, _, total = mixed(lt)
        with lt.autocast("cpu", enabled=False):
            assert mixed(lt)[0].dtype == lt.float32
        assert lt.is_autocast_enabled("cpu")
    assert (product.dtype, total.dtype) == (lt.bfloat16, lt.float32)
    assert not lt.is_autocast_enabled("cpu")
    with lt.autocast("cpu", dtype=lt.float16):
        assert mixed(lt)[0].dtype == lt.float16
    assert lt.get_autocast_dtype("cpu") == lt.bfloat16


def test_autocast_is_torchs(torch: ModuleType) -> None:
    dtypes = []
    for module in (torch, lt):
        with module.autocast("cpu"):
            dtypes.append([str(t.dtype) for t in mixed(module)])
    assert dtypes[0] == dtypes[1]


def test_autocast_decorates_and_differentiates() -> None:
    weight = lt.ones(4, 4, requires_grad=True)

    @amp.autocast("cpu")
    def forward(x: Any) -> Any:
        return (x @ weight) @ weight

    y = forward(lt.ones(2, 4))
    assert y.dtype == lt.bfloat16
    y.to(lt.float32).sum().backward()
    assert weight.grad.dtype == lt.float32
    assert weight.grad.tolist() == [[16] * 4] * 4


def test_autocast_ends_with_an_error() -> None:
    with pytest.raises(ZeroDivisionError), lt.autocast("cpu"):
        raise ZeroDivisionError
    assert not lt.is_autocast_enabled("cpu")


def test_autocast_refuses() -> None:
    with pytest.raises(TypeError):
        lt.autocast(3)
    with pytest.raises(RuntimeError, match="unsupported autocast device_type"):
        lt.autocast("meta")
    with pytest.warns(UserWarning, match="not supported"):
        assert not amp.autocast("cpu", dtype=lt.float64).enabled
    assert not amp.is_autocast_available("meta")


def test_functions_under_autocast() -> None:
    seen = []

    class Product(lt.autograd.Function):
        @staticmethod
        @amp.custom_fwd(device_type="cpu")
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x @ x

        @staticmethod
        @amp.custom_bwd(device_type="cpu")
        def backward(ctx: Any, gradient: Any) -> Any:
            (x,) = ctx.saved_tensors
            seen.append((gradient @ x).dtype)
            return (gradient @ x.t() + x.t() @ gradient).to(x.dtype)

    class Cast(Product):
        @staticmethod
        @amp.custom_fwd(device_type="cpu", cast_inputs=lt.float32)
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x @ x

    x = lt.ones(3, 3, requires_grad=True)
    with lt.autocast("cpu"):
        y = Product.apply(x)
        z = Cast.apply(x)
    assert (y.dtype, z.dtype) == (lt.bfloat16, lt.float32)
    y.to(lt.float32).sum().backward()
    z.sum().backward()
    assert seen == [lt.bfloat16, lt.float32]


# Devices


def test_cuda_is_harmless_without_a_device() -> None:
    if cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert cuda.device_count() == 0
    reason = cuda.unavailable_reason()
    assert reason is not None
    assert "CUDA" in reason or "driver" in reason
    cuda.empty_cache()
    cuda.manual_seed(3)
    cuda.manual_seed_all(3)
    cuda.seed()
    cuda.seed_all()
    assert cuda.memory_allocated() == 0
    assert cuda.max_memory_reserved() == 0
    with cuda.device(None), cuda.stream(None):
        pass
    for call in (
        cuda.current_device,
        cuda.synchronize,
        cuda.Stream,
        cuda.Event,
        cuda.memory_stats,
        cuda.current_stream,
    ):
        with pytest.raises(RuntimeError, match="no support for cuda"):
            call()
    with pytest.raises(RuntimeError, match="no support for cuda"):
        cuda.set_device(0)
    with pytest.raises(ValueError, match="cuda device"):
        cuda.synchronize("cpu")
    with pytest.raises((RuntimeError, NotImplementedError)):
        lt.ones(2, device="cuda")


@pytest.mark.cuda
def test_cuda_with_a_device() -> None:
    if not cuda.is_available():
        pytest.skip(str(cuda.unavailable_reason()))
    assert cuda.unavailable_reason() is None
    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    side = cuda.Stream()
    with cuda.device(0), cuda.stream(side):
        assert cuda.current_stream() == side
        start.record()
        x = lt.ones(1000, 1000, device="cuda")
        y = x @ x
        end.record()
    end.synchronize()
    assert start.elapsed_time(end) >= 0
    cuda.current_stream().wait_stream(side)
    assert y[0, 0].item() == 1000
    assert side.query()
    cuda.synchronize()
    z = lt.ones(3, device="cuda", requires_grad=True)
    seen = []
    z.register_hook(lambda g: seen.append(g.device.type))
    (z * 2).sum().backward()
    assert (seen, z.grad.tolist()) == (["cuda"], [2, 2, 2])
    errors: list[Any] = []
    with cuda.on_out_of_memory(errors.append), pytest.raises(cuda.OutOfMemoryError):
        lt.empty(2**50, device="cuda")
    assert len(errors) == 1
