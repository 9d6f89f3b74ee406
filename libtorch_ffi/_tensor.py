"""The methods of Tensor that are written in Python.

Owns what torch defines on its Tensor beside the operators of aten, and what needs arguments that no schema has. The
compiled core puts every operator with a ``self`` on the type; `complete` adds these, and wins over an operator of the
same name.
"""

from __future__ import annotations

from libtorch_ffi import _C as core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import numpy as np

    from libtorch_ffi._C import Tensor


def complete(tensor_type: type[Tensor]) -> None:
    """Add the methods below to the type."""
    for method in _METHODS:
        setattr(tensor_type, method.__name__, method)


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradient of this tensor to the leaves that it depends on.

    Parameters
    ----------
    gradient
        The gradient of some scalar with respect to this tensor, of its shape; may be left out for a tensor of one
        element.
    retain_graph
        Keep the graph, to differentiate once more; by default what `create_graph` is.
    create_graph
        Record the differentiation, so that it can be differentiated itself.
    inputs
        Only these leaves gather gradients; by default all do.

    Raises
    ------
    RuntimeError
        If nothing was recorded that led to this tensor, or the graph was used up.
    """
    leaves = [] if inputs is None else [inputs] if isinstance(inputs, core.Tensor) else list(inputs)
    if inputs is not None and not leaves:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    core.backward([self], [] if gradient is None else [gradient], retain_graph, create_graph, leaves)


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray[Any, Any]:
    """Return a NumPy array over this tensor's memory.

    Parameters
    ----------
    force
        Detach, move to the host and resolve what has to be: a copy where the memory cannot be shared.

    Raises
    ------
    TypeError, RuntimeError
        If the memory cannot be shared as it is: on another device, sparse, requiring grad, of a dtype that NumPy lacks.
    """
    array: np.ndarray[Any, Any] = core.to_numpy(self, force)
    return array


_METHODS: list[Callable[..., Any]] = [backward, numpy]
