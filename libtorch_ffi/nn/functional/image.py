"""Images and other grids, as torch's ``nn.functional`` has them: other sizes, other places, patches.

Owns the choice of the operator by mode and number of dimensions, and torch's checks. An image is (batch, channels,
height, width).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from libtorch_ffi._aten import one, overload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from libtorch_ffi._C import Tensor

    Sizes: TypeAlias = int | Sequence[int]

_affine_grid, _grid_sampler = one("affine_grid_generator"), one("grid_sampler")
_col2im, _im2col = one("col2im"), one("im2col")

_PLAIN: dict[tuple[int, str], Callable[..., Tensor]] = {
    (3, "nearest"): overload_of("upsample_nearest1d", "vec"),
    (4, "nearest"): overload_of("upsample_nearest2d", "vec"),
    (5, "nearest"): overload_of("upsample_nearest3d", "vec"),
    (3, "nearest-exact"): overload_of("_upsample_nearest_exact1d", "vec"),
    (4, "nearest-exact"): overload_of("_upsample_nearest_exact2d", "vec"),
    (5, "nearest-exact"): overload_of("_upsample_nearest_exact3d", "vec"),
}
"""Operators by the input's dimensions and the mode: those without corners."""

_WITH_CORNERS: dict[tuple[int, str], Callable[..., Tensor]] = {
    (3, "linear"): overload_of("upsample_linear1d", "vec"),
    (4, "bilinear"): overload_of("upsample_bilinear2d", "vec"),
    (4, "bicubic"): overload_of("upsample_bicubic2d", "vec"),
    (5, "trilinear"): overload_of("upsample_trilinear3d", "vec"),
}
_SMOOTHED: dict[tuple[int, str], Callable[..., Tensor]] = {
    (4, "bilinear"): overload_of("_upsample_bilinear2d_aa", "vec"),
    (4, "bicubic"): overload_of("_upsample_bicubic2d_aa", "vec"),
}
_MEANS = {3: one("adaptive_avg_pool1d"), 4: one("adaptive_avg_pool2d"), 5: one("adaptive_avg_pool3d")}


def interpolate(
    input: Tensor,
    size: Sizes | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Return grids of another size.

    Parameters
    ----------
    input
        Of shape (batch, channels, …), with one to three dimensions more.
    size
        Of the result, a number for all of these dimensions or one for each.
    scale_factor
        Instead: how much larger.
    mode
        ``"nearest"``, ``"nearest-exact"``, ``"area"``, ``"linear"`` for one dimension, ``"bilinear"`` and ``"bicubic"``
        for two, ``"trilinear"`` for three.
    align_corners
        Of the last four modes: whether the corners' centres stay where they are, rather than the borders.
    recompute_scale_factor
        Compute with the factor that the rounded size amounts to.
    antialias
        Smooth an image that gets smaller, in the modes bilinear and bicubic.

    Raises
    ------
    ValueError
        If the arguments contradict each other.
    NotImplementedError
        If the mode is not one for as many dimensions.
    """
    if mode not in ("nearest", "area", "nearest-exact"):
        align_corners = bool(align_corners)
    elif align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    sizes, factors = _target(input, size, scale_factor)
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if factors is not None and (recompute_scale_factor or mode == "area"):
        sizes = [int(length * factor) for length, factor in zip(input.shape[2:], factors, strict=True)]
        factors = None
    if antialias and not (mode in ("bilinear", "bicubic") and input.dim() == 4):  # noqa: PLR2004 - an image's
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    if mode == "area" and input.dim() in _MEANS:
        return _MEANS[input.dim()](input, sizes)
    key = (input.dim(), mode)
    if key in _PLAIN:
        return _PLAIN[key](input, sizes, factors)
    _check_mode(*key)
    return (_SMOOTHED if antialias else _WITH_CORNERS)[key](input, sizes, align_corners, factors)


def upsample(
    input: Tensor,
    size: Sizes | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Do what `interpolate` does, under the name that it had."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def _target(
    input: Tensor, size: Sizes | None, scale_factor: float | Sequence[float] | None
) -> tuple[list[int] | None, list[float] | None]:
    """Return the sizes or the factors, one for each dimension."""
    count = input.dim() - 2
    if (size is None) == (scale_factor is None):
        if size is None:
            raise ValueError("either size or scale_factor should be defined")
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, int):
            return [size] * count, None
        _check_count("output size", size, input)
        return list(size), None
    assert scale_factor is not None  # noqa: S101 - said above
    if isinstance(scale_factor, (int, float)):
        return None, [float(scale_factor)] * count
    _check_count("scale_factor", scale_factor, input)
    return None, list(scale_factor)


def _check_count(what: str, given: Sequence[float], input: Tensor) -> None:
    if len(given) != input.dim() - 2:
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {list(input.shape[2:])} and {what} of {given}. Please provide input tensor in (N, C, d1, d2, ...,dK) "
            "format and one number for each of d1 to dK."
        )


def _check_mode(dimensions: int, mode: str) -> None:
    if (dimensions, mode) in _WITH_CORNERS:
        return
    needed = {name: count for count, name in _WITH_CORNERS if name != "bicubic"}
    if dimensions in _MEANS and mode in needed:
        raise NotImplementedError(f"Got {dimensions}D input, but {mode} mode needs {needed[mode]}D input")
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {dimensions}D) for the modes: nearest | "
        f"linear | bilinear | bicubic | trilinear | area | nearest-exact (got {mode})"
    )


# Other places

_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Return an image's values at the places that a grid names.

    Parameters
    ----------
    input
        Of shape (batch, channels, height, width), or with a depth before the height.
    grid
        Of shape (batch, height, width, 2): x and y, from -1 to 1. With a depth, z too.
    mode
        ``"bilinear"``, ``"nearest"`` or ``"bicubic"``.
    padding_mode
        What lies outside: ``"zeros"``, ``"border"`` or ``"reflection"``.
    align_corners
        Whether -1 and 1 are the centres of the outermost elements, rather than their borders.

    Raises
    ------
    ValueError
        If a mode is another.
    """
    if mode not in _MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    return _grid_sampler(input, grid, _MODES[mode], _PADDINGS[padding_mode], _corners(align_corners))


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Return the grid for `grid_sample` that affine maps make.

    Parameters
    ----------
    theta
        The maps, of shape (batch, 2, 3); for images with a depth (batch, 3, 4).
    size
        Of the image to be: (batch, channels, height, width), or with a depth.
    align_corners
        As `grid_sample` has it.

    Raises
    ------
    ValueError
        If the shapes do not fit each other.
    NotImplementedError
        If the image has another number of dimensions.
    """
    corners = _corners(align_corners)
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    count = len(size) - 2
    if count not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {size}."
        )
    if theta.dim() != 3 or tuple(theta.shape[1:]) != (count, count + 1):  # noqa: PLR2004 - a batch of matrices
        raise ValueError(
            f"Expected a batch of {count}D affine matrices of shape Nx{count}x{count + 1} for size {size}. "
            f"Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return _affine_grid(theta, size, corners)


def _corners(align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired.",
            stacklevel=3,
        )
    return bool(align_corners)


# Patches


def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """Return the patches of images as columns, of shape (batch, channels * patch, patches)."""
    return _im2col(input, _both(kernel_size), _both(dilation), _both(padding), _both(stride))


def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """Return the images of `output_size` that are the sums of patches, which `unfold` made of an image."""
    sizes = (output_size, kernel_size, dilation, padding, stride)
    return _col2im(input, *map(_both, sizes))


def _both(size: Sizes) -> Sequence[int]:
    return (size, size) if isinstance(size, int) else size
