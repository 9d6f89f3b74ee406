"""A network as an object: parameters, buffers and modules within, by their names.

Owns `Module` and `Parameter`, and torch's names of what they hold, so that a state dict of torch's fits. What modules
compute is `libtorch_ffi.nn.functional`'s. Hooks are those before and after ``forward``; `Tensor.register_hook` has
those of the backward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from libtorch_ffi._binding import core
from libtorch_ffi._hooks import Removable
from libtorch_ffi.autograd import no_grad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import Device

__all__ = ["KeyMismatch", "Module", "Parameter"]

_HELD = ("_parameters", "_buffers", "_modules")
_FAULTS = ("Missing key(s) in state_dict", "Unexpected key(s) in state_dict")


class Parameter(core.Tensor):
    """A tensor, sharing the memory of another, that a module which it is assigned to counts among its parameters."""

    __slots__ = ()

    def __new__(cls, data: Tensor, requires_grad: bool = True) -> Self:
        """Return it."""
        made = core.Tensor.__new__(cls, data.detach())
        made.requires_grad = requires_grad
        return made

    def __repr__(self) -> str:
        return f"Parameter containing:\n{core.Tensor.__repr__(self)}"


class KeyMismatch(NamedTuple):
    """What `Module.load_state_dict` found to differ: names that the state lacks, and names that the module lacks."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of all networks: a subclass makes its layers in ``__init__`` and computes with them in ``forward``.

    Attributes
    ----------
    training : bool
        Whether it is being trained, which `Dropout` and `BatchNorm2d` heed; `train` and `eval` set it.
    """

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _before: dict[object, Callable[..., Any]]
    _after: dict[object, Callable[..., Any]]

    def __init__(self) -> None:
        held: dict[str, Any] = {name: {} for name in (*_HELD, "_before", "_after")}
        self.__dict__.update(training=True, _transient=set(), **held)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result. A subclass says how."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(): a module computes its result there")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what `forward` computes, with the hooks before and after it."""
        if not (self._before or self._after):
            return self.forward(*args, **kwargs)
        for hook in list(self._before.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook in list(self._after.values()):
            changed = hook(self, args, result)
            result = result if changed is None else changed
        return result

    def register_forward_pre_hook(self, hook: Callable[[Any, tuple[Any, ...]], Any]) -> Removable:
        """Call ``hook(module, args)`` before ``forward``; what it returns, unless None, takes the arguments' place."""
        return _Hook(self._before, hook)

    def register_forward_hook(self, hook: Callable[[Any, tuple[Any, ...], Any], Any]) -> Removable:
        """Call ``hook(module, args, result)`` after ``forward``; what it returns, unless None, is the result."""
        return _Hook(self._after, hook)

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold a module; None stands for one that is left out."""
        self._hold("_modules", name, module, Module)

    register_module = add_module

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Hold a parameter; None stands for one that is left out."""
        self._hold("_parameters", name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Hold a tensor that is no parameter, such as a running mean; in the state dict only if it is persistent."""
        self._hold("_buffers", name, tensor, core.Tensor)
        (self._transient.discard if persistent else self._transient.add)(name)

    def _hold(self, where: str, name: str, value: object, kind: type) -> None:
        held = self._own(where)
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"the name of a module's part is a text without a dot, and not empty; not {name!r}")
        if hasattr(self, name) and name not in held:
            raise KeyError(f"attribute {name!r} of {type(self).__name__} exists already")
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name!r} takes a {kind.__name__} or None, not {type(value).__name__}")
        held[name] = value

    def _own(self, where: str) -> dict[str, Any]:
        if where not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}.__init__ has to call super().__init__() before all else")
        found: dict[str, Any] = self.__dict__[where]
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        kind = "_parameters" if isinstance(value, Parameter) else "_modules" if isinstance(value, Module) else None
        if kind is not None:
            for held in _HELD:
                self._own(held).pop(name, None)
            self.__dict__.pop(name, None)
            self._own(kind)[name] = value
            return
        for held in _HELD:
            if name in self.__dict__.get(held, ()):
                if value is not None and not (held == "_buffers" and isinstance(value, core.Tensor)):
                    wrap = ": nn.Parameter(tensor) is a parameter" if held == "_parameters" else ""
                    raise TypeError(f"{name!r} is among the {held[1:]}, and cannot be a {type(value).__name__}{wrap}")
                self.__dict__[held][name] = value
                return
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for held in _HELD:
            if name in self.__dict__.get(held, ()):
                return self.__dict__[held][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for held in _HELD for name in self.__dict__.get(held, ()))})

    def __delattr__(self, name: str) -> None:
        found = [held for held in _HELD if name in self.__dict__.get(held, ())]
        if found:
            del self.__dict__[found[0]][name]
        else:
            object.__delattr__(self, name)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over the modules that it holds itself, with their names."""
        return ((name, module) for name, module in self._modules.items() if module is not None)

    def children(self) -> Iterator[Module]:
        """Iterate over the modules that it holds itself."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", *, _seen: set[int] | None = None) -> Iterator[tuple[str, Module]]:
        """Iterate over the module and all within it, each once, with their dotted names."""
        seen = set() if _seen is None else _seen
        if id(self) not in seen:
            seen.add(id(self))
            yield prefix, self
            for name, module in self.named_children():
                yield from module.named_modules(f"{prefix}.{name}" if prefix else name, _seen=seen)

    def modules(self) -> Iterator[Module]:
        """Iterate over the module and all within it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Iterate over the parameters, each once, with their dotted names."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Iterate over the parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the buffers, each once, with their dotted names."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterate over the buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, where: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, tensor in module.__dict__[where].items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{path}.{name}" if path else name, tensor

    def get_submodule(self, target: str) -> Module:
        """Return the module of a dotted name; the module itself for the empty one.

        Raises
        ------
        AttributeError
            If there is none of that name.
        """
        found: Any = self
        for name in target.split(".") if target else ():
            found = found._modules.get(name)  # noqa: SLF001 - another module's
            if found is None:
                raise AttributeError(f"{type(self).__name__} has no module {target!r}: there is no {name!r}")
        return found  # type: ignore[no-any-return] # a module, by what modules hold

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter of a dotted name; an AttributeError where there is none."""
        found: Parameter = self._of("_parameters", target)
        return found

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer of a dotted name; an AttributeError where there is none."""
        found: Tensor = self._of("_buffers", target)
        return found

    def _of(self, where: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path).__dict__[where].get(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no {target!r} among its {where[1:]}")
        return found

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call a function with each module within, and with the module itself last; return it."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def state_dict(self, *, prefix: str = "") -> dict[str, Tensor]:
        """Return parameters and persistent buffers by their dotted names, sharing memory with the module."""
        kept = {**self._parameters, **{name: b for name, b in self._buffers.items() if name not in self._transient}}
        state = {f"{prefix}{name}": tensor.detach() for name, tensor in kept.items() if tensor is not None}
        for name, module in self.named_children():
            state.update(module.state_dict(prefix=f"{prefix}{name}."))
        return state

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> KeyMismatch:
        """Copy values into parameters and buffers, from a state dict of this module's or of torch's.

        Raises
        ------
        RuntimeError
            If a shape differs, or with `strict` the names do; then nothing was copied.
        TypeError
            If it is no mapping, or holds what is no tensor under a name of the module's.
        """
        own = self.state_dict()
        _check_state(state_dict, own)
        found = KeyMismatch([n for n in own if n not in state_dict], [n for n in state_dict if n not in own])
        faults = [
            f"size mismatch for {name}: the state has {tuple(value.shape)}, the module {tuple(own[name].shape)}"
            for name, value in state_dict.items()
            if name in own and own[name].shape != value.shape
        ]
        if strict:
            faults += [f"{what}: {', '.join(names)}" for what, names in zip(_FAULTS, found, strict=True) if names]
        if faults:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}: " + "; ".join(faults))
        with no_grad():
            for name in own.keys() & state_dict.keys():
                own[name].copy_(state_dict[name])
        return found

    def train(self, mode: bool = True) -> Self:
        """Say whether it is being trained; return it."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Say that it is not being trained; return it."""
        return self.train(mode=False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Say whether gradients are to reach the parameters; return the module."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        core.OptimizerCore.zero_grad(list(self.parameters()), set_to_none)

    def to(
        self,
        device: Device | core.dtype | Tensor | None = None,
        dtype: core.dtype | None = None,
        non_blocking: bool = False,
    ) -> Self:
        """Move parameters and buffers to a device, those of floats or complex numbers to a dtype; return the module.

        A tensor in the first place stands for its device and dtype. `non_blocking` is `Tensor.to`'s.
        """
        if isinstance(device, core.dtype):
            device, dtype = None, device
        if isinstance(device, core.Tensor):
            dtype, device = device.dtype, device.device
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"Module.to() takes a dtype of floats or complex numbers, not {dtype}")

        def moved(tensor: Tensor) -> Tensor:
            numbers = tensor.is_floating_point() or tensor.is_complex()
            kind = dtype if dtype is not None and numbers else tensor.dtype
            return tensor.to(tensor.device if device is None else device, kind, non_blocking)

        for parameter in self.parameters():
            gradient, parameter.grad = parameter.grad, None
            parameter.data = moved(parameter.data)
            parameter.grad = None if gradient is None else moved(gradient)
        for module in self.modules():
            own = module.__dict__["_buffers"]
            own.update({name: moved(buffer) for name, buffer in own.items() if buffer is not None})
        return self

    def cpu(self) -> Self:
        """Move parameters and buffers into the host's memory; return the module."""
        return self.to("cpu")

    def cuda(self, device: Device | None = None) -> Self:
        """Move parameters and buffers to a CUDA device, by default the current one; return the module."""
        return self.to("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    def float(self) -> Self:
        """Make parameters and buffers of floats or complex numbers float32; return the module."""
        return self.to(core.float32)

    def double(self) -> Self:
        """Make parameters and buffers of floats or complex numbers float64; return the module."""
        return self.to(core.float64)

    def half(self) -> Self:
        """Make parameters and buffers of floats or complex numbers float16; return the module."""
        return self.to(core.float16)

    def bfloat16(self) -> Self:
        """Make parameters and buffers of floats or complex numbers bfloat16; return the module."""
        return self.to(core.bfloat16)

    def extra_repr(self) -> str:
        """Return what `repr` is to say beside the modules within; a subclass says what."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        inner = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self._modules.items()]
        if not inner and "\n" not in extra:
            return f"{type(self).__name__}({extra})"
        lines = [*extra.split("\n"), *inner] if extra else inner
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"


class _Hook(Removable):
    """A function among the hooks of a module, which `remove` takes out again."""

    def __init__(self, hooks: dict[object, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks, self._key = hooks, object()
        hooks[self._key] = hook

    def remove(self) -> None:
        """Take it out; the second time, do nothing."""
        self._hooks.pop(self._key, None)


def _check_state(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict() takes what state_dict() returns, not {type(state).__name__}")
    for name in own.keys() & state.keys():
        if not isinstance(state[name], core.Tensor):
            raise TypeError(
                f"load_state_dict() takes tensors by their names, and {name!r} is {type(state[name]).__name__}: "
                "tensor(data) or from_numpy(array) make one"
            )
