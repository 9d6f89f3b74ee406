"""Special functions: ``special.erfcx`` is libtorch's ``aten::special_erfcx``.

Owns nothing but the names, which are torch's; help on one shows the schemas of its overloads.
"""

from libtorch_ffi._namespace import namespace

__getattr__, __dir__ = namespace(__name__, "special_")
