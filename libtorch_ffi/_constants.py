"""torch's constants: numbers, and None as an index that adds a dimension. Owns nothing else."""

from math import e, inf, nan, pi

__all__ = ["e", "inf", "nan", "newaxis", "pi"]

newaxis = None
