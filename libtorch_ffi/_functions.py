"""torch's functions that are no plain operator: written in Python there, or parsed by hand.

Owns what stands between torch's signatures and aten's: tensors as separate arguments, results that depend on flags,
names of arguments that the schemas lack. Every computation is an operator's. Left out: `lobpcg`, `pca_lowrank` and
`svd_lowrank` (whole algorithms, which are not libtorch's); the functions that torch itself has removed (`eig`, `lstsq`,
`matrix_rank`, `solve`, `symeig`: ``linalg`` has them); ``sym_*`` (no size is symbolic here); and what belongs to
torch's compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from libtorch_ffi._aten import many, one, overload_of
from libtorch_ffi._binding import core

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, TypeAlias, TypeGuard

    from libtorch_ffi._C import Tensor
    from libtorch_ffi.types import Device, DType

    Spread: TypeAlias = Tensor | Sequence[Tensor]

__all__ = [
    "asarray",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "cdist",
    "chain_matmul",
    "einsum",
    "frombuffer",
    "is_conj",
    "is_inference",
    "is_neg",
    "is_storage",
    "is_tensor",
    "lu",
    "meshgrid",
    "nonzero",
    "norm",
    "split",
    "stft",
    "tensordot",
    "typename",
    "unique",
    "unique_consecutive",
    "unravel_index",
]


_atleast = {count: many(f"atleast_{count}d") for count in (1, 2, 3)}
_block_diag = one("block_diag")
_broadcast_tensors = many("broadcast_tensors")
_cartesian_prod = one("cartesian_prod")
_cdist = one("cdist")
_chain_matmul = one("chain_matmul")
_einsum = one("einsum")
_empty = one("empty")
_lu = many("_lu_with_info")
_matrix_norm = one("linalg_matrix_norm")
_meshgrid = many("meshgrid")
_nonzero = one("nonzero")
_nonzero_numpy = many("nonzero_numpy")
_split = many("split")
_stft = overload_of("stft", "center")  # torch's signature is this one; the other has no padding
_tensordot = one("tensordot")
_unique = many("_unique2")
_unique_consecutive = many("unique_consecutive")
_unique_dim = many("unique_dim")
_vector_norm = one("linalg_vector_norm")


def _spread(tensors: tuple[Spread, ...]) -> Sequence[Any]:
    """Return tensors that were given one by one, or as one sequence."""
    first = tensors[0] if len(tensors) == 1 else None
    return first if isinstance(first, (list, tuple)) else tensors


# Making tensors


def asarray(
    obj: object,
    *,
    dtype: DType | None = None,
    device: Device | None = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of some data, sharing its memory where it can.

    Parameters
    ----------
    obj
        A tensor, an array (an object with the buffer protocol, DLPack or NumPy's ``__array__``), a number, or nested
        sequences of numbers.
    dtype, device
        What the tensor is to have; by default what the data has.
    copy
        True never shares memory, False only shares: where it cannot, that is an error.
    requires_grad
        Whether gradients are to reach the tensor.

    Raises
    ------
    ValueError
        If `copy` is False and the data would have to be copied.
    """
    if copy:
        result = core.tensor(obj, dtype=dtype, device=device)
    else:
        source = obj if isinstance(obj, core.Tensor) else _over_memory(obj, dtype, must_share=copy is False)
        result = core.as_tensor(source, dtype=dtype, device=device)
        if copy is False and result.data_ptr() != source.data_ptr():
            raise ValueError(
                f"can't alias tensor of {source.dtype} on {source.device} as {result.dtype} on {result.device}: "
                "leave copy=False out to let it be copied"
            )
    if result.requires_grad and not requires_grad:
        result = result.detach()
    elif requires_grad:
        result.requires_grad = True
    return result


def _over_memory(obj: object, dtype: DType | None, *, must_share: bool) -> Tensor:
    if isinstance(obj, (bytes, bytearray, memoryview)):
        return frombuffer(obj, dtype=core.get_default_dtype() if dtype is None else dtype)
    if _has_memory(obj):
        return core.from_numpy(obj)
    if hasattr(type(obj), "__dlpack__") or hasattr(type(obj), "__array__") or type(obj).__name__ == "PyCapsule":
        return core.as_tensor(obj)
    if must_share:
        raise ValueError("can't alias arbitrary sequence into a tensor: leave copy=False out to let it be copied")
    return core.tensor(obj, dtype=dtype)


def _has_memory(obj: object) -> bool:
    try:
        memoryview(obj)  # type: ignore[arg-type] # that it may not be one is the question
    except TypeError:
        return False
    return True


def frombuffer(
    buffer: object, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """Return a 1-dimensional tensor over the memory of an object with the buffer protocol.

    Parameters
    ----------
    buffer
        Such as bytes, a bytearray or an array; it is kept as long as the tensor.
    dtype
        How its bytes are read.
    count
        So many elements; negative for as many as there are.
    offset
        The first so many bytes are passed over.
    requires_grad
        Whether gradients are to reach the tensor.

    Raises
    ------
    ValueError
        If it is no such object, there are fewer bytes than asked for, or bytes that make no whole element.
    """
    try:
        memory = memoryview(buffer).cast("B")  # type: ignore[arg-type] # likewise
    except TypeError as error:
        raise ValueError(f"frombuffer() takes a contiguous object with Python's buffer protocol: {error}") from None
    kind = _empty((0,), dtype=dtype).dtype  # Python's float, say, means one as well
    count = _count(memory.nbytes, kind.itemsize, count, offset)
    result: Tensor = core.from_numpy(memory[offset : offset + count * kind.itemsize]).view(kind)
    result.requires_grad = requires_grad
    return result


def _count(length: int, size: int, count: int, offset: int) -> int:
    """Return how many elements of a size are meant; raise what torch raises where there are not as many."""
    left = length - offset
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1"
        )
    if count < 0 and left % size:
        raise ValueError(
            f"buffer length ({left} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})"
        )
    count = left // size if count < 0 else count
    if count * size > left:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({length} bytes)"
        )
    return count


# Shapes


@overload
def atleast_1d(tensor: Tensor, /) -> Tensor: ...
@overload
def atleast_1d(tensors: Sequence[Tensor], /) -> tuple[Tensor, ...]: ...
@overload
def atleast_1d(first: Tensor, second: Tensor, /, *more: Tensor) -> tuple[Tensor, ...]: ...
def atleast_1d(*tensors: Spread) -> Spread:
    """Return tensors with one dimension or more: one tensor for one, a tuple for many."""
    return _atleast[1](tensors[0] if len(tensors) == 1 else tensors)


@overload
def atleast_2d(tensor: Tensor, /) -> Tensor: ...
@overload
def atleast_2d(tensors: Sequence[Tensor], /) -> tuple[Tensor, ...]: ...
@overload
def atleast_2d(first: Tensor, second: Tensor, /, *more: Tensor) -> tuple[Tensor, ...]: ...
def atleast_2d(*tensors: Spread) -> Spread:
    """Return tensors with two dimensions or more: one tensor for one, a tuple for many."""
    return _atleast[2](tensors[0] if len(tensors) == 1 else tensors)


@overload
def atleast_3d(tensor: Tensor, /) -> Tensor: ...
@overload
def atleast_3d(tensors: Sequence[Tensor], /) -> tuple[Tensor, ...]: ...
@overload
def atleast_3d(first: Tensor, second: Tensor, /, *more: Tensor) -> tuple[Tensor, ...]: ...
def atleast_3d(*tensors: Spread) -> Spread:
    """Return tensors with three dimensions or more: one tensor for one, a tuple for many."""
    return _atleast[3](tensors[0] if len(tensors) == 1 else tensors)


def broadcast_shapes(*shapes: int | Sequence[int]) -> core.Size:
    """Return the shape that tensors of these shapes have in common once they are broadcast.

    Raises
    ------
    RuntimeError
        If they cannot be.
    ValueError
        If a length is negative.
    """
    sizes = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    result = [1] * max(map(len, sizes), default=0)
    for size in sizes:
        for place in range(-1, -len(size) - 1, -1):
            length = size[place]
            if length < 0:
                raise ValueError(f"Trying to create tensor with negative dimension ({length}): ({length})")
            if result[place] not in (1, length) and length != 1:
                raise RuntimeError(
                    "Shape mismatch: objects cannot be broadcast to a single shape: "
                    f"lengths {result[place]} and {length} meet in dimension {place} of {', '.join(map(str, sizes))}"
                )
            result[place] = length if length != 1 else result[place]
    return core.Size(result)


def broadcast_tensors(*tensors: Spread) -> tuple[Tensor, ...]:
    """Return views of tensors, expanded to the shape that they have in common."""
    return _broadcast_tensors(_spread(tensors))


def meshgrid(*tensors: Spread, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Return the coordinates of a grid.

    Parameters
    ----------
    *tensors
        For each dimension of the grid, its coordinates.
    indexing
        ``"ij"`` for the dimensions in the order of the tensors (also where it is left out), ``"xy"`` for the first two
        swapped.
    """
    return _meshgrid(_spread(tensors), indexing="ij" if indexing is None else indexing)


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Return views of the parts of a tensor.

    Parameters
    ----------
    tensor
        What to split.
    split_size_or_sections
        The length of each part (the last may be shorter), or a length for each.
    dim
        The dimension that is split.
    """
    return _split(tensor, split_size_or_sections, dim)


def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Return for each dimension of a shape the coordinates of flat indices.

    Raises
    ------
    TypeError, ValueError
        If the indices are no integers; if a length is negative.
    """
    if indices.is_floating_point() or indices.is_complex() or indices.dtype == core.bool:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    lengths = [shape] if isinstance(shape, int) else list(shape)
    if any(length < 0 for length in lengths):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(lengths)}")
    coordinates = []
    for length in reversed(lengths):
        coordinates.append(indices % length)
        indices = indices.div(length, rounding_mode="floor")
    return tuple(reversed(coordinates))


# Products and distances


def block_diag(*tensors: Tensor) -> Tensor:
    """Return the matrix with matrices along its diagonal and zeros elsewhere."""
    return _block_diag(tensors)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Return all combinations of the elements of vectors, one a row."""
    return _cartesian_prod(tensors)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """Return the distances between all rows of two batches of matrices.

    Parameters
    ----------
    x1, x2
        Of shapes (…, P, M) and (…, R, M).
    p
        Which norm of the difference is the distance.
    compute_mode
        Whether Euclidean distances come from a matrix product, which is faster and less exact:
        ``use_mm_for_euclid_dist_if_necessary`` (for more than 25 rows), ``use_mm_for_euclid_dist`` (always) or
        ``donot_use_mm_for_euclid_dist``.

    Returns
    -------
    Tensor
        Of shape (…, P, R).

    Raises
    ------
    ValueError
        If there is no such mode.
    """
    modes = {
        "use_mm_for_euclid_dist_if_necessary": None,
        "use_mm_for_euclid_dist": 1,
        "donot_use_mm_for_euclid_dist": 2,
    }
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode: it is one of {', '.join(modes)}")
    return _cdist(x1, x2, p, modes[compute_mode])


def chain_matmul(*matrices: Spread, out: Tensor | None = None) -> Tensor:
    """Return the product of matrices, multiplied in the cheapest order."""
    return _chain_matmul(_spread(matrices)) if out is None else _chain_matmul(_spread(matrices), out=out)


@overload
def einsum(equation: str, *operands: Tensor | Sequence[Tensor]) -> Tensor: ...
@overload
def einsum(equation: Tensor, *operands: Tensor | Sequence[int]) -> Tensor: ...
def einsum(equation: object, *operands: Any) -> Tensor:
    """Return a sum of products, by Einstein's convention.

    Parameters
    ----------
    equation
        Such as ``"ij,jk->ik"``. Or, instead of letters, ints: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    *operands
        The tensors.
    """
    if isinstance(equation, str):
        return _einsum(equation, _spread(operands))
    return _einsum(*_from_sublists((equation, *operands)))


def _from_sublists(arguments: tuple[Any, ...]) -> tuple[str, tuple[Tensor, ...]]:
    result = arguments[-1] if len(arguments) % 2 else None
    tensors, lists = arguments[0 : len(arguments) - 1 : 2], arguments[1::2]
    equation = ",".join(map(_letters, lists)) + ("" if result is None else f"->{_letters(result)}")
    return equation, tensors


def _letters(subscripts: Sequence[Any]) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for subscript in subscripts:
        if subscript is not Ellipsis and not 0 <= subscript < len(letters):
            raise ValueError(f"einsum(): a subscript is Ellipsis or an int in [0, {len(letters)}), not {subscript}")
    return "".join("..." if subscript is Ellipsis else letters[subscript] for subscript in subscripts)


def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Any] | Tensor = 2, out: Tensor | None = None) -> Tensor:
    """Return the sum of products over dimensions of two tensors.

    Parameters
    ----------
    a, b
        What to multiply.
    dims
        How many: the last of `a` with the first of `b`. Or two lists of dimensions, of `a` and of `b`; as a tensor too.
    out
        Takes the result.

    Raises
    ------
    RuntimeError
        If `dims` is negative or more than a tensor has.
    """
    of_a, of_b = _summed(a, b, dims)
    return _tensordot(a, b, of_a, of_b) if out is None else _tensordot(a, b, of_a, of_b, out=out)


def _summed(a: Tensor, b: Tensor, dims: int | Sequence[Any] | Tensor) -> tuple[list[int], list[int]]:
    if isinstance(dims, core.Tensor):
        dims = dims.tolist() if dims.numel() > 1 else int(dims.item())
    if not isinstance(dims, int):
        of_a, of_b = dims
        return ([of_a], [of_b]) if isinstance(of_a, int) else (list(of_a), list(of_b))
    if dims < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
    if dims > min(a.dim(), b.dim()):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
    return list(range(a.dim() - dims, a.dim())), list(range(dims))


def norm(
    input: Tensor,  # noqa: A002 - torch's name
    p: float | str | None = "fro",
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    out: Tensor | None = None,
    dtype: core.dtype | None = None,
) -> Tensor:
    """Return a vector norm over some dimensions, or a matrix norm over two.

    Parameters
    ----------
    input
        Of a floating point or complex dtype.
    p
        The order; ``"fro"`` for the Frobenius norm, ``"nuc"`` for the nuclear norm.
    dim
        The dimensions, by default all.
    keepdim
        Keep them, of length 1.
    out
        Takes the result.
    dtype
        The dtype that is computed in.
    """
    options = {"dtype": dtype} if out is None else {"dtype": dtype, "out": out}
    dims = [dim] if isinstance(dim, int) else dim
    if not isinstance(p, str):
        return _vector_norm(input, 2.0 if p is None else p, dims, keepdim, **options)
    if p == "fro" and (dims is None or len(dims) <= 2):  # noqa: PLR2004 - a matrix has two
        return _vector_norm(input, 2, dims, keepdim, **options)
    return _matrix_norm(input, p, list(range(input.dim())) if dims is None else dims, keepdim, **options)


def stft(  # noqa: PLR0913, PLR0917 - torch's signature
    input: Tensor,  # noqa: A002 - torch's name
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    **options: bool | None,
) -> Tensor:
    """Return the short-time Fourier transform of signals.

    Parameters
    ----------
    input
        Of shape (time) or (batch, time).
    n_fft
        The length of a transform.
    hop_length
        From one frame to the next, by default a quarter of `n_fft`.
    win_length, window
        What each frame is multiplied with, by default ones of length `n_fft`.
    center, pad_mode
        Whether frames are centred on their time, and how the signal is padded for that.
    normalized
        Divide by the square root of the frame's length.
    onesided
        Leave out the frequencies that are conjugates of others; by default where the signal is real.
    return_complex
        Answer complex numbers; has to be True where the signal is real.
    **options
        ``align_to_window``, where this libtorch has it.

    Returns
    -------
    Tensor
        Of shape (batch, frequencies, frames).
    """
    given = (input, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided, return_complex)
    return _stft(*given, **options)


def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> tuple[Tensor, ...]:  # noqa: N803 - torch's name
    """Return the LU factorization of matrices, their pivots and, if asked for, whether each succeeded."""
    factors, pivots, infos = _lu(A, pivot, not get_infos)
    return (factors, pivots, infos) if get_infos else (factors, pivots)


# Looking for elements


def nonzero(
    input: Tensor,  # noqa: A002 - torch's name
    *,
    out: Tensor | None = None,
    as_tuple: bool = False,
) -> Tensor | tuple[Tensor, ...]:
    """Return the indices of the elements that are not zero.

    Parameters
    ----------
    input
        Where to look.
    out
        Takes the result.
    as_tuple
        Answer a vector for each dimension, to index with, instead of a matrix with a row for each element.
    """
    if as_tuple:
        return _nonzero_numpy(input)
    return _nonzero(input) if out is None else _nonzero(input, out=out)


@overload
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    dim: int | None = None,
) -> Tensor: ...
@overload
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]: ...
def unique(
    input: Tensor,  # noqa: A002 - torch's name
    sorted: bool = True,  # noqa: A002 - torch's name
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """Return the elements of a tensor, each once.

    Parameters
    ----------
    input
        Where to look.
    sorted
        In ascending order.
    return_inverse
        Also the indices of the input's elements among those.
    return_counts
        Also how often each is there.
    dim
        Compare the slices along this dimension instead of elements.

    Returns
    -------
    Tensor or tuple of Tensor
        The elements; in a tuple with what else was asked for.
    """
    if dim is None:
        results = _unique(input, sorted, return_inverse, return_counts)
    else:
        results = _unique_dim(input, dim, sorted, return_inverse, return_counts)
    return _asked_for(results, return_inverse, return_counts)


@overload
def unique_consecutive(
    input: Tensor,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    dim: int | None = None,
) -> Tensor: ...
@overload
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]: ...
def unique_consecutive(
    input: Tensor,  # noqa: A002 - torch's name
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """Return the elements of a tensor without those that equal the one before.

    Parameters
    ----------
    input
        Where to look.
    return_inverse
        Also the indices of the input's elements among those.
    return_counts
        Also how often each is there in a row.
    dim
        Compare the slices along this dimension instead of elements.

    Returns
    -------
    Tensor or tuple of Tensor
        The elements; in a tuple with what else was asked for.
    """
    results = _unique_consecutive(input, return_inverse, return_counts, dim)
    return _asked_for(results, return_inverse, return_counts)


def _asked_for(results: tuple[Tensor, ...], return_inverse: bool, return_counts: bool) -> Tensor | tuple[Tensor, ...]:
    values, inverse, counts = results
    extras = ([inverse] if return_inverse else []) + ([counts] if return_counts else [])
    return (values, *extras) if extras else values


# Questions


def is_conj(input: Tensor) -> bool:  # noqa: A002 - torch's name
    """Return whether a tensor's elements are still to be conjugated."""
    return input.is_conj()


def is_neg(input: Tensor) -> bool:  # noqa: A002 - torch's name
    """Return whether a tensor's elements are still to be negated."""
    return input.is_neg()


def is_inference(input: Tensor) -> bool:  # noqa: A002 - torch's name
    """Return whether inference mode made a tensor."""
    return input.is_inference()


def is_tensor(obj: object) -> TypeGuard[Tensor]:
    """Return whether an object is a Tensor."""
    return isinstance(obj, core.Tensor)


def is_storage(obj: object) -> bool:
    """Return whether an object is an `UntypedStorage`."""
    return isinstance(obj, core.UntypedStorage)


def typename(obj: object) -> str:
    """Return the name of an object's type; of a tensor, what its ``type()`` says."""
    if isinstance(obj, core.Tensor):
        name: str = obj.type()
        return name
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
