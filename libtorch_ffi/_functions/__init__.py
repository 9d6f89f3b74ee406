"""torch's functions that are no plain operator: written in Python there, or parsed by hand.

Owns what stands between torch's signatures and aten's: tensors as separate arguments, results that depend on flags,
names of arguments that the schemas lack. Every computation is an operator's. A module is imported when a name of it is
first asked for; which name is whose stands in ``libtorch_ffi``'s own table. Left out: `lobpcg`, `pca_lowrank` and
`svd_lowrank` (whole algorithms, which are not libtorch's); the functions that torch itself has removed (`eig`, `lstsq`,
`matrix_rank`, `solve`, `symeig`: ``linalg`` has them); ``sym_*`` (no size is symbolic here); and what belongs to
torch's compiler.
"""
