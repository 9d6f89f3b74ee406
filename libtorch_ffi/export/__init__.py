"""Programs of torch.export (``.pt2``), run without torch.

Owns `load`, which reads an archive into a program that libtorch's dispatcher can run: `archive` has the layouts of the
file and its tensors, `graph` turns the nodes into calls of operators, `pytree` the arguments into values and the values
into results, `symbols` the checks of shapes. Nothing is compiled and no Python of the archive runs; its operators do.
"""

from __future__ import annotations

from libtorch_ffi.export.program import ExportedProgram, load
from libtorch_ffi.export.pytree import register_type

__all__ = ["ExportedProgram", "load", "register_type"]
