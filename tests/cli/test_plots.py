"""Pictures in plain text."""

from __future__ import annotations

from libtorch_ffi.plots import curve, image, side_by_side


def test_curve_rises_from_the_least_to_the_largest() -> None:
    lines = curve("loss", [0.0, 1.0, 2.0, 3.0], height=2, width=4)
    assert lines == ["loss  ", "3   ▃█", "0 ▁▆██"]


def test_curve_averages_what_does_not_fit() -> None:
    assert curve("", [0.0, 2.0, 4.0, 4.0], height=1, width=2)[1] == "4 ▃█"


def test_curve_of_one_value_is_flat() -> None:
    assert curve("", [5.0], height=1, width=3)[1] == "5 ▁▁▁"


def test_curve_in_ascii() -> None:
    text = "\n".join(curve("loss", [3.0, 2.0, 1.0], ascii_only=True))
    assert text.isascii()
    assert "#" in text


def test_image_has_two_characters_a_pixel() -> None:
    assert image([[0, 4], [8, 16]]) == ["  ░░", "▒▒██"]
    assert image([[0, 16]], ascii_only=True) == ["  ##"]


def test_image_of_one_shade_is_blank() -> None:
    assert image([[7, 7]]) == ["    "]


def test_side_by_side() -> None:
    assert side_by_side([["a", "b"], ["c", "d"]], gap=2) == ["a  c", "b  d"]
