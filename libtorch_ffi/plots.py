"""Pictures in plain text: a curve over epochs, and grey images as block art.

Owns the drawing and nothing else: numbers in, lines of text out. Never prints, and needs no package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"
SHADES = " ░▒▓█"
ASCII_EIGHTHS = "    ::::#"
ASCII_SHADES = " .+x#"

BLOCKS = EIGHTHS + SHADES
"""Every character beyond ASCII that a picture may hold: draw in ASCII where an output can't write them."""


def curve(
    title: str, values: Sequence[float], *, height: int = 8, width: int = 30, ascii_only: bool = False
) -> list[str]:
    """Draw a series as filled columns, its least and largest value at the left.

    Parameters
    ----------
    title
        The first line.
    values
        At least one number; the columns stand for as many equal parts of it, each drawn by its mean.
    height, width
        The size of the picture in characters, without title and scale.
    ascii_only
        Draw with ASCII only.

    Returns
    -------
    list of str
        ``height`` + 1 lines of equal length.
    """
    marks = ASCII_EIGHTHS if ascii_only else EIGHTHS
    steps = len(marks) - 1
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    # The least value keeps one step, so that the curve has a foot to stand on.
    levels = [1 + round((value - low) / span * (height * steps - 1)) for value in _resample(values, width)]
    scale = max(len(f"{low:.3g}"), len(f"{high:.3g}"))
    lines = [title.ljust(scale + 1 + len(levels))]
    for row in reversed(range(height)):
        legend = f"{high:.3g}" if row == height - 1 else f"{low:.3g}" if row == 0 else ""
        columns = "".join(marks[min(max(level - row * steps, 0), steps)] for level in levels)
        lines.append(f"{legend.rjust(scale)} {columns}")
    return lines


def image(pixels: Sequence[Sequence[float]], *, ascii_only: bool = False) -> list[str]:
    """Draw a grey image, two characters a pixel, shades from the least value of it to the largest."""
    shades = ASCII_SHADES if ascii_only else SHADES
    low = min(min(row) for row in pixels)
    span = (max(max(row) for row in pixels) - low) or 1.0
    return ["".join(2 * shades[round((pixel - low) / span * (len(shades) - 1))] for pixel in row) for row in pixels]


def side_by_side(pictures: Sequence[Sequence[str]], *, gap: int = 4) -> list[str]:
    """Put pictures of equal height beside each other."""
    return [(" " * gap).join(rows).rstrip() for rows in zip(*pictures, strict=True)]


def _resample(values: Sequence[float], width: int) -> list[float]:
    """Average the values over ``width`` equal parts, or repeat them where they are fewer."""
    means = []
    for column in range(width):
        first = column * len(values) // width
        part = values[first : max((column + 1) * len(values) // width, first + 1)]
        means.append(sum(part) / len(part))
    return means
