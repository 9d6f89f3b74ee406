"""What every optimizer has: parameter groups, their options, and a state that can be saved and loaded.

Owns the groups, which are plain dicts as torch's are, and torch's checks of them. Never computes a step: a subclass
does, `libtorch_ffi.optim.native` by libtorch's C++, a user's own in Python.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING

from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeAlias

    from libtorch_ffi._C import Tensor

    Group: TypeAlias = dict[str, Any]
    Parameters: TypeAlias = Iterable[Tensor] | Iterable[Group] | Iterable[tuple[str, Tensor]]
    Closure: TypeAlias = Callable[[], Any]

__all__ = ["Optimizer"]

_identity = core.OptimizerCore.identity


class Optimizer:
    """The base of all optimizers.

    Parameters
    ----------
    params
        The tensors to change, leaves that require gradients; or pairs of name and tensor; or dicts, one a group, with
        the tensors under ``params`` and options of the group's own.
    defaults
        The options of a group that does not say otherwise.

    Attributes
    ----------
    param_groups : list of dict
        The groups. An option that is set here holds from the next step on.
    state : Mapping
        What the optimizer remembers of each parameter, a dict; of a subclass written in Python, a ``defaultdict``.

    Raises
    ------
    TypeError
        If `params` holds anything else.
    ValueError
        If `params` is empty, or a tensor in it is no leaf or stands in two groups.
    """

    state: Mapping[Any, dict[str, Any]]

    def __init__(self, params: Parameters, defaults: dict[str, Any]) -> None:
        if isinstance(params, core.Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + params.type()
            )
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self._was_stepped = False
        self._prepare()
        given: list[Any] = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def _prepare(self) -> None:
        """Make an empty state."""
        self.state = defaultdict(dict)

    def step(self, closure: Closure | None = None) -> Any:  # noqa: ANN401 - whatever the closure returns
        """Change the parameters by their gradients.

        Parameters
        ----------
        closure
            Computes the loss and its gradients anew, and returns the loss.
        """
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros.

        Parameters
        ----------
        set_to_none
            Drop them: a parameter that no gradient reaches is then left alone by the next step.
        """
        for group in self.param_groups:
            core.OptimizerCore.zero_grad(group["params"], set_to_none)

    def add_param_group(self, param_group: Group) -> None:
        """Add a group: a dict with the tensors under ``params``, and the options in which it differs.

        Raises
        ------
        TypeError
            If it is no dict, or holds what is no tensor.
        ValueError
            If a tensor in it is no leaf or stands in another group.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = {**param_group, **_listed(param_group["params"])}
        for parameter in group["params"]:
            self._check_parameter(parameter)
        _check_distinct(group["params"], self.param_groups)
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        self.param_groups.append(group)

    def _check_parameter(self, parameter: object) -> None:
        if not isinstance(parameter, core.Tensor):
            kind = f"{type(parameter).__module__}.{type(parameter).__qualname__}".removeprefix("builtins.")
            raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {kind}")
        if not (parameter.is_leaf or parameter.retains_grad):
            raise ValueError("can't optimize a non-leaf Tensor")

    def state_dict(self) -> dict[str, Any]:
        """Return the options and the state, in torch's shape: tensors of the parameters are numbered in their order."""
        numbers: dict[int, int] = {}
        for parameter in chain.from_iterable(group["params"] for group in self.param_groups):
            numbers.setdefault(_identity(parameter), len(numbers))
        groups = [
            {**group, "params": [numbers[_identity(parameter)] for parameter in group["params"]]}
            for group in self.param_groups
        ]
        state = {
            numbers[_identity(key)] if isinstance(key, core.Tensor) else key: value for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another optimizer of the same kind was, this package's or torch's.

        Parameters
        ----------
        state_dict
            What `state_dict` returned. Its tensors are used, not copied, where dtype and device are the parameter's.

        Raises
        ------
        ValueError
            If its groups are not as many, or not as long, as this optimizer's.
        """
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(ours["params"]) != len(theirs["params"]) for ours, theirs in self._beside(saved)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        numbers = chain.from_iterable(group["params"] for group in saved)
        parameters = chain.from_iterable(group["params"] for group in self.param_groups)
        owners = dict(zip(numbers, parameters, strict=True))
        state = {
            owners.get(key, key): _fitted(owners[key], value) if key in owners else value
            for key, value in state_dict["state"].items()
        }
        groups = [
            {**self.defaults, **_names(ours), **theirs, "params": ours["params"]}
            for ours, theirs in self._beside(saved)
        ]
        self.__setstate__({"state": state, "param_groups": groups})

    def _beside(self, saved: list[Group]) -> list[tuple[Group, Group]]:
        return list(zip(self.param_groups, saved, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickles and copies hold."""
        return {"defaults": self.defaults, "state": dict(self.state), "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the attributes of a pickle, or those that `load_state_dict` gives."""
        self.__dict__.update({name: value for name, value in state.items() if name != "state"})
        self.__dict__.setdefault("_was_stepped", False)
        self._prepare()
        self._set_state(state["state"])

    def _set_state(self, state: Mapping[Any, dict[str, Any]]) -> None:
        """Fill an empty state."""
        self.state = defaultdict(dict, state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _listed(params: object) -> Group:
    """Return the parameters of a group as a list; with their names, where they came with names."""
    if isinstance(params, core.Tensor):
        return {"params": [params]}
    if isinstance(params, (set, frozenset)):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
            "will change between runs. Please use a list instead."
        )
    items: list[Any] = list(params)  # type: ignore[call-overload] # whatever it is; what it holds is checked
    if items and all(isinstance(item, tuple) for item in items):
        return {"params": [tensor for _, tensor in items], "param_names": [name for name, _ in items]}
    return {"params": items}


def _names(group: Group) -> Group:
    return {"param_names": group["param_names"]} if "param_names" in group else {}


def _check_distinct(parameters: list[Tensor], groups: list[Group]) -> None:
    ours = [_identity(parameter) for parameter in parameters]
    if len(set(ours)) != len(ours):
        warnings.warn(
            "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see "
            "github.com/pytorch/pytorch/issues/40967 for more information",
            stacklevel=4,
        )
    theirs = {_identity(parameter) for group in groups for parameter in group["params"]}
    if not theirs.isdisjoint(ours):
        raise ValueError("some parameters appear in more than one parameter group")


def _fitted(parameter: Tensor, value: Any, name: str | None = None) -> Any:  # noqa: ANN401 - a state is anything
    """Return a state with its tensors in the parameter's dtype and on its device, but for the count of steps."""
    if isinstance(value, core.Tensor):
        if name == "step":
            return value
        return (
            value.to(parameter.device, parameter.dtype) if parameter.is_floating_point() else value.to(parameter.device)
        )
    if isinstance(value, dict):
        return {key: _fitted(parameter, item, key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_fitted(parameter, item) for item in value)
    return value
