"""Norms and distances, a factorization, a transform: functions with an argument that means several operators.

Owns which operator is meant. What `libtorch_ffi.linalg` and `libtorch_ffi.fft` have is an operator each and needs
nothing from here.
"""

from __future__ import annotations

from libtorch_ffi._aten import many, one, overload_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from libtorch_ffi._binding import core
    from libtorch_ffi._C import Tensor

__all__ = ["cdist", "lu", "norm", "stft"]

_cdist = one("cdist")
_lu = many("_lu_with_info")
_matrix_norm = one("linalg_matrix_norm")
_stft = overload_of("stft", "center")  # torch's signature is this one; the other has no padding
_vector_norm = one("linalg_vector_norm")


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
