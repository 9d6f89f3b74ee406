"""Linear algebra: ``linalg.svd`` is libtorch's ``aten::linalg_svd``.

Owns nothing but the names, which are torch's; help on one shows the schemas of its overloads.
"""

from libtorch_ffi._binding import core
from libtorch_ffi._namespace import namespace

LinAlgError = core.LinAlgError

__getattr__, __dir__ = namespace(__name__, "linalg_")
