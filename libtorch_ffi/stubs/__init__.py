"""Stubs: what a type checker and an editor are told about the operators.

Owns the way from the schemas of the libtorch at hand to files beside the extension: ``_ops.pyi`` (the functions
and Tensor's methods), ``ops.pyi`` (every overload by its exact name) and ``__init__.pyi`` (the names of the package).
The build writes them after it has compiled; ``python -m libtorch_ffi.stubs`` writes them anew. None is committed:
another release of libtorch has other operators. A checkout that is not built has ``_ops.py`` in their place, which
lets a type checker take an operator for anything.

What is written by hand (``_C.pyi`` and the annotations of the package's own modules) is read here, never written.
"""
