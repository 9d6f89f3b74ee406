"""TorchScript: compiled programs that libtorch runs by itself, with torch's names.

Owns `load`, the face of a module (`ScriptModule`: torch's methods over the core's), `freeze`,
`optimize_for_inference`, functions compiled from source (`CompilationUnit`) and recorded ones (`trace`). Nothing here
compiles Python: `script` of a Python function is torch's, what it saves is loaded here. The GIL is released while a
program runs. An archive holds a program, which can call any operator of libtorch: run only what you trust.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from libtorch_ffi._aten import one
from libtorch_ffi._binding import core
from libtorch_ffi._script_files import called, content_of, judge
from libtorch_ffi.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from libtorch_ffi._C import Tensor
    from libtorch_ffi._script_files import Source
    from libtorch_ffi.types import Device

__all__ = [
    "CompilationUnit",
    "Error",
    "Future",
    "ScriptFunction",
    "ScriptModule",
    "freeze",
    "load",
    "optimize_for_inference",
    "save",
    "trace",
]

CompilationUnit = core.CompilationUnit
Error = core.ScriptError
Future = core.Future
ScriptFunction = core.ScriptFunction

_set_data, _copy_ = map(one, ("set_data", "copy_"))


class ScriptModule:
    """A module of TorchScript.

    Its attributes, submodules, methods and properties are attributes; a submodule is a ScriptModule. What can be set is
    what the module had when it was compiled, with values of the same types.

    Parameters
    ----------
    name
        Of a new module, which `register_parameter`, `register_buffer`, `register_attribute` and `define` fill; `load`
        makes modules of archives.

    Examples
    --------
    >>> module = ScriptModule("Shift")
    >>> module.register_parameter("by", ones(2))
    >>> module.define("def forward(self, x): return x + self.by")
    >>> module(zeros(2))
    tensor([1., 1.])
    """

    _script_module: core.ScriptModule
    _forward: Callable[..., Any] | None

    def __init__(self, name: str = "Module") -> None:
        vars(self).update(_script_module=core.ScriptModule(name), _forward=None)
        self.register_attribute("training", True)

    @classmethod
    def _over(cls, module: core.ScriptModule) -> ScriptModule:
        """Return the face of a module of the core."""
        made = cls.__new__(cls)
        vars(made).update(_script_module=module, _forward=None)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``."""
        if self._forward is None:
            vars(self)["_forward"] = self._script_module.attribute("forward")
        return _faced(self._forward(*args, **kwargs))  # type: ignore[misc] # the line above sets it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"a ScriptModule has no attribute {name!r}")
        return _faced(self._script_module.attribute(name))

    def __setattr__(self, name: str, value: object) -> None:
        self._script_module.set_attribute(name, value)

    def __dir__(self) -> list[str]:
        names = [name for name, _, _ in self._script_module.slots()]
        return sorted({*names, *self._script_module.method_names(), *super().__dir__()})

    def __eq__(self, other: object) -> bool:
        """Whether both are the same module, which has one set of attributes."""
        if not isinstance(other, ScriptModule):
            return NotImplemented
        return self._script_module.identity == other._script_module.identity

    def __hash__(self) -> int:
        return hash(self._script_module.identity)

    def __repr__(self) -> str:
        lines = [f"  ({name}): {module!r}".replace("\n", "\n  ") for name, module in self.named_children()]
        inside = "\n" + "\n".join(lines) + "\n" if lines else ""
        return f"{self.original_name}({inside})"

    def __copy__(self) -> ScriptModule:
        return self._over(self._script_module.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> ScriptModule:
        return self._over(self._script_module.deepcopy())

    def __reduce__(self) -> tuple[Callable[..., ScriptModule], tuple[bytes]]:
        return load, (self.save_to_buffer(),)

    # What it holds

    @property
    def original_name(self) -> str:
        """The name of the class that was compiled."""
        name: str = self._script_module.type_name
        return name

    def children(self) -> Iterator[ScriptModule]:
        """Iterate over the modules that are attributes."""
        return (module for _, module in self.named_children())

    def named_children(self) -> Iterator[tuple[str, ScriptModule]]:
        """Iterate over the modules that are attributes, with their names."""
        slots = self._script_module.slots()
        return ((name, self._over(value)) for name, kind, value in slots if kind == "module")

    def modules(self) -> Iterator[ScriptModule]:
        """Iterate over this module and all within."""
        return (module for _, module in self.named_modules())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, ScriptModule]]:
        """Iterate over this module and all within, each once, with names such as ``encoder.layer.0``."""
        seen: set[int] = set()
        return _walk(self, prefix, seen)

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterate over the parameters, of all modules within as well where `recurse` is true."""
        return (tensor for _, tensor in self.named_parameters(recurse=recurse))

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the parameters with their names."""
        return self._named("parameter", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterate over the buffers."""
        return (tensor for _, tensor in self.named_buffers(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the buffers with their names."""
        return self._named("buffer", prefix, recurse)

    def _named(self, wanted: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, kind, value in module._script_module.slots():
                if kind == wanted and isinstance(value, core.Tensor):
                    yield (f"{path}.{name}" if path else name), value

    def state_dict(self) -> dict[str, Tensor]:
        """Return parameters and buffers by name, detached and sharing memory with the module."""
        return {name: tensor.detach() for name, tensor in (*self.named_parameters(), *self.named_buffers())}

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> None:
        """Copy values into parameters and buffers.

        Parameters
        ----------
        state_dict
            Tensors by name, as `state_dict` returns them.
        strict
            Refuse names that are missing or unknown.

        Raises
        ------
        RuntimeError
            If a name or a shape does not fit; then nothing was copied.
        """
        own = self.state_dict()
        problems = [f"missing {name}" for name in own if name not in state_dict] if strict else []
        problems += [f"unknown {name}" for name in state_dict if name not in own] if strict else []
        problems += [
            f"{name} has the shape {tuple(own[name].shape)}, not {tuple(value.shape)}"
            for name, value in state_dict.items()
            if name in own and own[name].shape != value.shape
        ]
        if problems:
            raise RuntimeError(f"the state does not fit {self.original_name}: {'; '.join(problems)}")
        for name, value in state_dict.items():
            if name in own:
                _copy_(own[name], value)

    # What is done to it

    def train(self, mode: bool = True) -> ScriptModule:
        """Set training mode, which dropout and normalization ask for."""
        self._script_module.train(mode)
        return self

    def eval(self) -> ScriptModule:
        """Set evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> ScriptModule:
        """Say whether gradients are to reach the parameters."""
        for tensor in self.parameters():
            tensor.requires_grad = requires_grad
        return self

    def to(self, *args: Any, **kwargs: Any) -> ScriptModule:
        """Convert parameters and buffers in place, with the arguments of `Tensor.to`; a dtype only those of floats."""
        dtype = next((a for a in (*args, kwargs.get("dtype")) if isinstance(a, core.dtype)), None)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"a module can be converted to a floating point or complex dtype, not to {dtype}")
        moved = [a for a in args if a is not dtype], {name: a for name, a in kwargs.items() if a is not dtype}
        for tensor in (*self.parameters(), *self.buffers()):
            keeps_dtype = dtype is not None and not (tensor.is_floating_point() or tensor.is_complex())
            given, named = moved if keeps_dtype else (args, kwargs)
            if given or named:
                _set_data(tensor, tensor.detach().to(*given, **named))
        return self

    def cpu(self) -> ScriptModule:
        """Move it to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Device | None = None) -> ScriptModule:
        """Move it to a CUDA device, by default the current one."""
        return self.to("cuda" if device is None else core.device("cuda", device) if isinstance(device, int) else device)

    def float(self) -> ScriptModule:
        """Convert what is of floats to float32."""
        return self.to(core.float32)

    def double(self) -> ScriptModule:
        """Convert what is of floats to float64."""
        return self.to(core.float64)

    def half(self) -> ScriptModule:
        """Convert what is of floats to float16."""
        return self.to(core.float16)

    def define(self, source: str) -> None:
        """Compile methods from TorchScript's source, each a ``def`` with ``self``.

        A submodule is called by its method: ``self.inner.forward(x)``.

        Raises
        ------
        RuntimeError
            If it does not compile; the text shows the place.
        """
        import textwrap

        self._script_module.define(textwrap.dedent(source) + "\n")

    def register_parameter(self, name: str, param: Tensor) -> None:
        """Add a parameter."""
        self._script_module.register(name, "parameter", param)

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Add a buffer."""
        self._script_module.register(name, "buffer", tensor)

    def register_attribute(self, name: str, value: object) -> None:
        """Add a constant value, a tensor that is neither parameter nor buffer, or a module."""
        self._script_module.register(name, "attribute", value)

    # What it is

    @property
    def graph(self) -> str:
        """The graph of ``forward``, as text."""
        return self._texts().graph

    @property
    def inlined_graph(self) -> str:
        """The graph of ``forward`` with the methods that it calls in their places, as text."""
        return self._texts().inlined_graph

    @property
    def code(self) -> str:
        """The source of ``forward``, as TorchScript prints it."""
        return self._texts().code

    def _texts(self) -> core.ScriptFunction:
        forward: core.ScriptFunction = self._script_module.attribute("forward")
        return forward

    def dump_to_str(self) -> str:
        """Return all methods and submodules, as text."""
        return self._script_module.dump()

    def save(self, f: Source, _extra_files: Mapping[str, str | bytes] | None = None) -> None:
        """Write an archive that `load`, torch.jit.load and C++ read.

        Parameters
        ----------
        f
            A path, or a file object that is open for writing.
        _extra_files
            Further members, by name.
        """
        extra = dict(_extra_files or {})
        if isinstance(f, (str, os.PathLike)):
            self._script_module.save_file(os.fspath(f), extra)
        elif isinstance(f, bytes):
            raise TypeError("save() writes to a path or a file object; save_to_buffer() returns bytes")
        else:
            f.write(self._script_module.save(extra))

    def save_to_buffer(self, _extra_files: Mapping[str, str | bytes] | None = None) -> bytes:
        """Return the archive."""
        return self._script_module.save(dict(_extra_files or {}))


def load(f: Source, map_location: Device | None = None, _extra_files: dict[str, Any] | None = None) -> ScriptModule:
    """Load a module that was saved by `save`, by torch.jit.save or from C++.

    Parameters
    ----------
    f
        A path, the bytes of an archive, or a file object that is open for reading.
    map_location
        The device for all tensors, by default the one that each was on.
    _extra_files
        The names of further members to read, as keys; the values become their bytes.

    Raises
    ------
    ProgramError
        If it is no archive of TorchScript, or of a kind that needs another loader.
    FileNotFoundError
        If there is no such file.
    """
    extra = {} if _extra_files is None else _extra_files
    where = None if map_location is None else core.device(map_location)
    content = content_of(f)
    judge(content)
    try:
        if isinstance(content, str):
            module, found = core.load_script_file(content, where, list(extra))
        else:
            module, found = core.load_script_buffer(content, where, list(extra))
    except RuntimeError as error:
        raise ProgramError(f"{called(content)} is no module of TorchScript that libtorch can load: {error}") from None
    except MemoryError:
        raise ProgramError(
            f"{called(content)} asks for more memory than there is: it is damaged, or too large for this machine"
        ) from None
    extra.update(found)
    return ScriptModule._over(module)


def save(m: ScriptModule | ScriptFunction, f: Source, _extra_files: Mapping[str, str | bytes] | None = None) -> None:
    """Write an archive of a module, or of a function, which becomes the ``forward`` of an empty module."""
    if not isinstance(m, (ScriptModule, ScriptFunction)):
        raise TypeError(
            f"jit.save() takes a ScriptModule or a ScriptFunction, not {type(m).__name__}: of a module of Python's, "
            "libtorch_ffi.save writes the state_dict()"
        )
    module = ScriptModule._over(core.script_module_with(m)) if isinstance(m, ScriptFunction) else m
    module.save(f, _extra_files)


def freeze(
    mod: ScriptModule, preserved_attrs: Sequence[str] | None = None, optimize_numerics: bool = True
) -> ScriptModule:
    """Return a module whose parameters and attributes are constants of its graph, which libtorch then optimizes.

    Parameters
    ----------
    mod
        In evaluation mode.
    preserved_attrs
        Attributes and methods to keep beside ``forward``.
    optimize_numerics
        Let passes run that may change results within rounding, such as the folding of normalizations into convolutions.

    Raises
    ------
    RuntimeError
        If the module is in training mode.
    """
    if getattr(mod, "training", False):
        raise RuntimeError("freeze() takes a module in evaluation mode: call eval() on it first")
    return ScriptModule._over(mod._script_module.freeze(list(preserved_attrs or ()), optimize_numerics))


def optimize_for_inference(mod: ScriptModule, other_methods: Sequence[str] | None = None) -> ScriptModule:
    """Return a frozen module rewritten for speed on this machine; it can not be saved afterwards.

    Parameters
    ----------
    mod
        In evaluation mode, or frozen already.
    other_methods
        Methods to optimize beside ``forward``.
    """
    if getattr(mod, "training", False):
        raise RuntimeError("optimize_for_inference() takes a module in evaluation mode: call eval() on it first")
    return ScriptModule._over(mod._script_module.optimize_for_inference(list(other_methods or ())))


def trace(
    func: Callable[..., Any],
    example_inputs: Tensor | tuple[Any, ...],
    *,
    strict: bool = True,
    name: str | None = None,
) -> ScriptFunction:
    """Run a Python function once and return what it did to its tensors, as a function of TorchScript.

    Python's own control flow is not recorded, and what Python reads of a tensor (its shape, an item) becomes a constant
    of the trace.

    Parameters
    ----------
    func
        Takes and returns tensors, or tuples, lists and dicts of them.
    example_inputs
        A tensor, or the tuple of arguments.
    strict
        Refuse functions that return lists or dicts, which a trace could not tell from each other.
    name
        Of the function, by default its own.

    Raises
    ------
    RuntimeError
        If libtorch cannot record it: the result does not depend on tensors, or a tensor from outside requires grad.
    """
    examples = (example_inputs,) if isinstance(example_inputs, core.Tensor) else tuple(example_inputs)
    named = str(name or getattr(func, "__name__", ""))
    return core.trace_script(func, examples, named if named.isidentifier() else "traced", strict, [])


def _faced(value: Any) -> Any:
    """Return a value with a face where it is a module."""
    return ScriptModule._over(value) if isinstance(value, core.ScriptModule) else value


def _walk(module: ScriptModule, path: str, seen: set[int]) -> Iterator[tuple[str, ScriptModule]]:
    identity = module._script_module.identity
    if identity in seen:
        return
    seen.add(identity)
    yield path, module
    for name, child in module.named_children():
        yield from _walk(child, f"{path}.{name}" if path else name, seen)
