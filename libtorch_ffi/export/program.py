"""An exported program that can be called.

Owns `load` and `ExportedProgram`: which of a run's values are inputs, parameters, buffers and results, what is written
back, and the tensors between runs. The graph is `graph`'s, nested values are `pytree`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from libtorch_ffi._binding import core
from libtorch_ffi.autograd import no_grad
from libtorch_ffi.errors import ProgramError
from libtorch_ffi.export import graph, guards, pytree, symbols
from libtorch_ffi.export.archive import Archive, program_document, tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.export.archive import Document, Source
    from libtorch_ffi.types import Device

_SCHEMA = range(5, 9)
"""The major versions of torch's schema that are read: 2.5 wrote 7, 2.13 writes 8."""

_WRITTEN_BACK = {
    "buffer_mutation": "buffer_name",
    "parameter_mutation": "parameter_name",
    "user_input_mutation": "user_input_name",
}


@dataclass
class _Signature:
    """What a graph's inputs and outputs are."""

    names: list[str] = field(default_factory=list)
    checks: list[symbols.InputCheck] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    buffers: list[str] = field(default_factory=list)
    persistent: set[str] = field(default_factory=set)
    outputs: list[Document] = field(default_factory=list)
    written_back: list[tuple[str, str, Document]] = field(default_factory=list)


class ExportedProgram:
    """A program of torch.export: called with its arguments, it returns its results in their nested form.

    Nothing is compiled: the operators of the graph are called one after another, without the GIL. Gradients reach
    inputs that require them, and parameters after `requires_grad_`.

    Parameters
    ----------
    document
        As `torch.export.save` writes it.
    state
        Parameters, buffers and constants by name.
    device
        Where to run, by default where it was exported.
    """

    def __init__(self, document: Document, state: dict[str, Tensor], device: core.device | None = None) -> None:
        version = document.get("schema_version", {})
        self.schema_version = (version.get("major"), version.get("minor"))
        self.torch_version = str(document.get("torch_version", "unknown"))
        if self.schema_version[0] not in _SCHEMA:
            raise ProgramError(
                f"the program was written by torch {self.torch_version} in version {self.schema_version[0]} of torch's "
                f"schema; {_SCHEMA.start} to {_SCHEMA.stop - 1} are known. Export it with another torch, or update "
                "libtorch-ffi"
            )
        module = document["graph_module"]
        self.range_constraints = _ranges(document)
        self._read_forms(module)
        self._names: dict[str, int] = {}
        self._state: list[Tensor] = []
        self._signature = self._read_signature(module, state, graph.Scope(device=device))
        positional, named = (one.children for one in self._in_spec.children)
        self._guards = guards.read(
            document.get("guards_code", ()), guards.paths_of(self._in_spec, self._argument_names)
        )
        self._takes_leaves = not named and all(child.type is None for child in positional)
        self._held = core.ProgramState(self._state)
        self._shapes: list[core.Size] = []
        self._running = self._program

    def _read_forms(self, module: Document) -> None:
        fields = {
            str(name): list(one["field_names"]) for name, one in module.get("treespec_namedtuple_fields", {}).items()
        }
        entry = next((e["signature"] for e in module["module_call_graph"] if e["fqn"] == "" and e["signature"]), None)
        if entry is None:
            raise ProgramError("the archive does not say what arguments the program takes")
        self._in_spec = pytree.read_spec(entry["in_spec"], fields)
        self._out_spec = pytree.read_spec(entry["out_spec"], fields)
        self._argument_names = [str(name) for name in entry.get("forward_arg_names") or ()]

    def _read_signature(self, module: Document, state: dict[str, Tensor], scope: graph.Scope) -> _Signature:
        found = _Signature()
        document = module["graph"]
        for spec in module["signature"]["input_specs"]:
            self._read_input(spec, document, state, scope, found)
        for spec in module["signature"]["output_specs"]:
            _read_output(spec, found)
        self._judge(found)
        results = [*found.outputs, *(value for _, _, value in found.written_back)]
        self._program = graph.build(document, scope, found.names, results)
        self.operators = dict(scope.operators)
        if scope.missing:
            raise ProgramError(
                f"this libtorch has no {', '.join(sorted(scope.missing))}, which the program calls. Operators of a "
                "library come with libtorch_ffi.ops.load_library(); for others take a libtorch as new as torch "
                f"{self.torch_version}, or export after run_decompositions()"
            )
        return found

    def _judge(self, found: _Signature) -> None:
        """Refuse a document whose parts do not fit each other."""
        forms = [child.type for child in self._in_spec.children]
        if forms != ["builtins.tuple", "builtins.dict"] or self._in_spec.leaves != len(found.checks):
            raise ProgramError("the archive's inputs are not those that its specification of arguments has")
        if self._out_spec.leaves != len(found.outputs):
            raise ProgramError("the archive's outputs are not those that its specification of results has")
        inputs = {check.name for check in found.checks}
        for kind, name, _ in found.written_back:
            if name not in (inputs if kind == "user_input_mutation" else self._names):
                raise ProgramError(f"the program writes to {name}, which the archive does not have")

    def _read_input(
        self, spec: Document, document: Document, state: dict[str, Tensor], scope: graph.Scope, found: _Signature
    ) -> None:
        kind, value = graph.only(spec)
        if kind in ("user_input", "constant_input"):
            _read_user_input(kind, value, document, found)
            return
        if kind == "token":
            scope.constants[value["arg"]["name"]] = None
            return
        named = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
        if kind not in named:
            raise ProgramError(f"the program takes an input of the kind {kind}, which is not known here")
        name = str(value[named[kind]])
        if name not in state:
            raise ProgramError(f"the archive has no tensor {name}, which the program needs")
        if name not in self._names:
            self._names[name] = len(self._names)
            self._state.append(state[name] if scope.device is None else state[name].to(scope.device))
        scope.state[value["arg"]["name"]] = self._names[name]
        if kind != "tensor_constant":
            (found.parameters if kind == "parameter" else found.buffers).append(name)
        if value.get("persistent", True):
            found.persistent.add(name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it.

        Raises
        ------
        ProgramError
            If the arguments are not of the program's form, or a size is one that it was not exported for.
        RuntimeError
            If an operator refuses what it is given; the text names the node.
        """
        values = self._flatten(args, kwargs)
        found = self._signature
        self._check(values)
        results = self._running.run([values[index] for index in found.given], self._held)
        for (kind, name, _), value in zip(found.written_back, results[len(found.outputs) :], strict=True):
            self._write_back(kind, name, value, values)
        return pytree.unflatten(self._out_spec, iter(results[: len(found.outputs)]))

    def _check(self, values: list[Any]) -> None:
        """Check the values of a run; tensors of the shapes of the run before are known to fit."""
        shapes = [value.shape for value in values if isinstance(value, core.Tensor)]
        if shapes != self._shapes or len(shapes) != len(values):
            symbols.check_inputs(self._signature.checks, values, self.range_constraints)
            for guard in self._guards:
                guard.check(values)
            self._shapes = shapes

    def _flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        positional, named = self._in_spec.children
        if self._takes_leaves and len(args) == len(positional.children) and not kwargs:
            return list(args)
        if len(args) < len(positional.children) and kwargs:
            args, kwargs = self._by_name(args, dict(kwargs), len(positional.children))
        if len(args) != len(positional.children) or set(kwargs) != set(named.keys or ()):
            raise ProgramError(
                f"the program takes {len(positional.children)} arguments"
                + (f" ({', '.join(self._argument_names)})" if self._argument_names else "")
                + f" and by name {list(named.keys or ())}, not {len(args)} and {sorted(kwargs)}"
            )
        flat: list[Any] = []
        for index, (child, value) in enumerate(zip(positional.children, args, strict=True)):
            known = index < len(self._argument_names)
            flat += pytree.flatten(child, value, self._argument_names[index] if known else f"args[{index}]")
        for child, key in zip(named.children, named.keys or (), strict=True):
            flat += pytree.flatten(child, kwargs[key], str(key))
        return flat

    def _by_name(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], count: int
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Move arguments that were given by name, and that the program takes by position."""
        rest = self._argument_names[len(args) : count]
        if all(name in kwargs for name in rest):
            args = (*args, *(kwargs.pop(name) for name in rest))
        return args, kwargs

    def _write_back(self, kind: str, name: str, value: Tensor, values: list[Any]) -> None:
        if kind == "user_input_mutation":
            index = next(i for i, check in enumerate(self._signature.checks) if check.name == name)
            target = values[index]
        else:
            target = self._state[self._names[name]]
        with no_grad():
            target.copy_(value)

    def __repr__(self) -> str:
        calls = sum(self.operators.values())
        return (
            f"<libtorch_ffi.export.ExportedProgram of torch {self.torch_version}: {calls} calls of "
            f"{len(self.operators)} operators, {len(self._names)} tensors>"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an exported program is not pickled and not copied: hand on the path or the bytes of its .pt2, and load it "
            "once more with libtorch_ffi.export.load()"
        )

    def optimize_for_inference(self) -> ExportedProgram:
        """Lay the weights of linear layers and convolutions out for this machine's kernels once, and not in each call.

        For float32 on the CPU; also for layers that ``run_decompositions()`` took apart. A batch normalization in
        evaluation mode is folded into the convolution whose result it alone reads. Where libtorch has oneDNN, linear
        weights of at least 65,536 numbers are laid out, and a gelu after them is computed with them; likewise chains of
        two-dimensional convolutions with at least four kernels larger than 1 by 1 and nothing between them but
        normalizations, activations, sums, pooling and their like, for contiguous inputs of at least 2,048 numbers.
        Results have the strides that they have without.

        The layout is a second copy of those weights, and results differ from the plain program's in their last bits. A
        call that asks for gradients or for autocast goes the plain way; so does a weight, or a statistic, that was
        written to since, until this is called again. What is written past libtorch, through a NumPy array, goes
        unnoticed.

        Returns
        -------
        ExportedProgram
            The program itself.
        """
        self._running = self._program.for_inference(self._held)
        return self

    def module(self) -> ExportedProgram:
        """Return the program itself: torch's exported programs are called through their modules."""
        return self

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the parameters with their names."""
        return ((name, self._state[self._names[name]]) for name in self._signature.parameters)

    def parameters(self) -> Iterator[Tensor]:
        """Iterate over the parameters."""
        return (tensor for _, tensor in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the buffers with their names."""
        return ((name, self._state[self._names[name]]) for name in self._signature.buffers)

    def buffers(self) -> Iterator[Tensor]:
        """Iterate over the buffers."""
        return (tensor for _, tensor in self.named_buffers())

    def state_dict(self) -> dict[str, Tensor]:
        """Return parameters and persistent buffers by name, sharing memory with the program."""
        everything = (*self.named_parameters(), *self.named_buffers())
        return {name: tensor.detach() for name, tensor in everything if name in self._signature.persistent}

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Copy values into parameters and buffers.

        Raises
        ------
        ProgramError
            If a name or a shape does not fit; then nothing was copied.
        """
        own = {**self.state_dict(), **{name: tensor.detach() for name, tensor in self.named_buffers()}}
        for name, value in state_dict.items():
            if name not in own or own[name].shape != value.shape:
                expected = tuple(own[name].shape) if name in own else "no such tensor"
                raise ProgramError(
                    f"the state does not fit the program: {name} is {tuple(value.shape)}, not {expected}"
                )
        for name, value in state_dict.items():
            own[name].copy_(value)

    def requires_grad_(self, requires_grad: bool = True) -> ExportedProgram:
        """Say whether gradients are to reach the parameters; at first they do not."""
        for tensor in self.parameters():
            tensor.requires_grad = requires_grad
        return self


def _read_output(spec: Document, found: _Signature) -> None:
    kind, value = graph.only(spec)
    if kind in _WRITTEN_BACK:
        found.written_back.append((kind, str(value[_WRITTEN_BACK[kind]]), {"as_tensor": value["arg"]}))
    elif kind in ("user_output", "loss_output"):
        found.outputs.append(value["arg"] if kind == "user_output" else {"as_tensor": value["arg"]})
    elif kind != "token":
        raise ProgramError(f"the program has an output of the kind {kind}, which is not known here")


def _read_user_input(kind: str, value: Document, document: Document, found: _Signature) -> None:
    if kind == "constant_input":
        inner = value["value"]
        found.checks.append(symbols.InputCheck(str(value["name"]), constant=(graph.argument(inner, graph.Scope()),)))
        return
    form, inner = graph.only(value["arg"])
    if form == "as_tensor":
        found.checks.append(_tensor_check(inner["name"], document["tensor_values"][inner["name"]]))
    elif form in ("as_sym_int", "as_sym_float", "as_sym_bool") and "as_name" in inner:
        name = str(inner["as_name"])
        text = document.get("sym_int_values", {}).get(name, {}).get("as_expr", {}).get("expr_str")
        found.checks.append(symbols.InputCheck(name, symbol=symbols.symbol_of(text) if text else None))
    elif form == "as_custom_obj":
        raise ProgramError("the program takes an object of a class of its own, which cannot be loaded here")
    else:
        constant = graph.argument(value["arg"], graph.Scope())
        found.checks.append(symbols.InputCheck(f"number {len(found.checks)}", constant=(constant,)))
        return
    found.given.append(len(found.checks) - 1)
    found.names.append(found.checks[-1].name)


def _tensor_check(name: str, meta: Document) -> symbols.InputCheck:
    check = symbols.InputCheck(str(name), dims=[])
    for size in meta["sizes"]:
        text = "" if "as_int" in size else str(size["as_expr"]["expr_str"])
        dim = size["as_int"] if not text else symbols.symbol_of(text) or symbols.expression(text)
        check.dims.append(dim)  # type: ignore[union-attr] # set above
    return check


def _ranges(document: Document) -> dict[str, tuple[int | None, int | None]]:
    """Return the least and the largest value of each symbol; None where there is no bound."""
    bounds = {}
    for name, one in document.get("range_constraints", {}).items():
        low, high = one.get("min_val"), one.get("max_val")
        bounds[str(name)] = (low if isinstance(low, int) else None, high if isinstance(high, int) else None)
    return bounds


def load(f: Source, *, name: str = "model", map_location: Device | None = None) -> ExportedProgram:
    """Load a program that `torch.export.save` wrote.

    No Python of the archive runs, and weights are read by a reader that makes nothing but tensors; the program itself
    calls operators of libtorch, so run only what you trust. An archive of torch 2.5 to 2.13 is read, whatever libtorch
    runs it: operators that this one does not have are listed. The weights are read once into one stretch of memory, in
    huge pages where the system has them; it is freed when nothing uses any of them.

    Parameters
    ----------
    f
        A path, the bytes of an archive, or a file object that can seek.
    name
        Of the program, where an archive has several.
    map_location
        Where to run, by default where it was exported.

    Raises
    ------
    ProgramError
        If it is no archive of an exported program, damaged, of an unknown version, or this libtorch lacks operators.
    FileNotFoundError
        If there is no such file.
    """
    device = None if map_location is None else core.device(map_location)
    with Archive(f) as archive:
        try:
            return ExportedProgram(program_document(archive, name), tensors(archive, name), device)
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError, OverflowError) as error:
            raise ProgramError(f"{archive.name} is damaged: its program lacks a part ({error!r})") from None
