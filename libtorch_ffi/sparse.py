"""Operators on sparse tensors: ``sparse.mm`` is libtorch's ``aten::_sparse_mm``.

Owns nothing but the names, which are torch's; help on one shows the schemas of its overloads.
"""

from libtorch_ffi._namespace import namespace

__getattr__, __dir__ = namespace(
    __name__,
    "_sparse_",
    {"sampled_addmm": "sparse_sampled_addmm", "spdiags": "_spdiags", "spsolve": "_spsolve"},
)
