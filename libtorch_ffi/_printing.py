"""How tensors print. (placeholder)"""
def tensor_repr(t): return f"tensor({t.tolist()})"
