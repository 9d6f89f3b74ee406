"""A worker of the differential test: makes the same calls in torch and here, and reports what differs.

Owns the comparison. For each operator: its overloads by their exact names, then torch's function and torch's method,
each in all the forms that the schema makes possible; then the gradients. Where torch's own answer is not the same
twice, a difference does not count. What torch refuses as a form (TypeError) may be taken here: the functions take
whatever the schema takes.
"""

from __future__ import annotations

import os
import warnings
import zlib
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import torch
from differential import Outcome, Unknown, arguments, build, describe, forms, outcome, with_grad
from schemas import parse
from workers import answer, each_name

import libtorch_ffi as lt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from schemas import Schema
    from workers import Journal

ATTEMPTS = int(os.environ.get("DIFFERENTIAL_ATTEMPTS", "40"))
SUCCESSES = int(os.environ.get("DIFFERENTIAL_SUCCESSES", "5"))
"""After so many calls that torch answers, an overload has been tried enough."""

Call = tuple[str, "list[Any]", "dict[str, Any]"]

OTHER_FORMS = {
    "add": "torch reads a second position as alpha of a form that it has deprecated since 0.4: `add(x, alpha, y)`",
    "add_": "likewise",
    "sub": "likewise",
    "sub_": "likewise",
    "quantized_gru": "torch's function is TorchScript's, which raises RuntimeError for a wrong type",
    "quantized_lstm": "likewise",
    "resize": "torch's method is written in Python, around autograd's Resize",
    "resize_as": "likewise",
    "set_": "torch's method refuses a tensor of another dtype; the operator takes it",
    "sparse_bsc_tensor": "torch's function takes data and not tensors",
    "sparse_bsr_tensor": "likewise",
    "sparse_compressed_tensor": "likewise",
    "sparse_coo_tensor": "likewise",
    "sparse_csc_tensor": "likewise",
    "sparse_csr_tensor": "likewise",
    "stft": "torch's function is written in Python, and takes no number for another",
    "to": "torch takes `x.to(0.5)` for a tensor of that number",
    "unique_consecutive": "torch's function takes its second position for the fourth, return_counts",
    "where": "torch takes `self=` by keyword for a number",
}
"""Operators whose functions and methods in torch are not of the schema's form, and why: their overloads are compared by
exact name."""

OTHER_DEFAULTS = {
    "cosine_embedding_loss": "torch's function reads the default `reduction=Mean` as 0, which is no reduction",
    "ctc_loss": "likewise",
    "hinge_embedding_loss": "likewise",
    "margin_ranking_loss": "likewise",
    "triplet_margin_loss": "likewise",
    "binary_cross_entropy_with_logits": "likewise",
    "kl_div": "likewise",
}
"""Operators whose defaults in torch's function are not the schema's: likewise."""

UNSPECIFIED = {
    "empty": "whatever the memory held",
    "empty_like": "likewise",
    "empty_permuted": "likewise",
    "empty_quantized": "likewise",
    "empty_strided": "likewise",
    "new_empty": "likewise",
    "new_empty_strided": "likewise",
    "resize": "likewise",
    "resize_": "likewise",
    "resize_as": "likewise",
    "resize_as_": "likewise",
    "linalg_lstsq": "of a system without full rank, LAPACK's answer depends on where in memory it lies",
}
"""What the elements of results are that only their kind is compared of."""

ACCIDENTS = {
    ("dsplit.int", "method", "0-dim tensor for a number"): "torch's method takes the tensor for a list of indices",
    ("hsplit.int", "method", "0-dim tensor for a number"): "likewise",
    ("vsplit.int", "method", "0-dim tensor for a number"): "likewise",
}
"""Forms that torch's function and method differ in."""

OTHER_RESULTS = {
    "promote_types": "torch.ops answers a dtype as its number",
    "result_type": "likewise",
}
"""Operators that torch.ops answers in another form than torch's functions do: compared through the functions only."""


def _same(face: str, want: Outcome, got: Outcome) -> bool:
    if want.error == "TypeError" and face != "exact":
        return True
    if face == "exact":  # torch.ops answers plain tuples
        return want.error == got.error and _plain(want.value) == _plain(got.value)
    return want.error == got.error and want.value == got.value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple("tuple" if i == 0 and item == "named" else _plain(item) for i, item in enumerate(value))
    return value


def _difference(want: Any, got: Any, path: str = "") -> str:
    if isinstance(want, tuple) and isinstance(got, tuple) and len(want) == len(got):
        parts = (_difference(a, b, f"{path}.{i}") for i, (a, b) in enumerate(zip(want, got, strict=True)) if a != b)
        return "; ".join(parts)
    return f"{path} {str(want)[:80]} != {str(got)[:80]}"


class Comparison:
    """The calls of one operator, counted, and the differences found."""

    def __init__(self, schema: Schema, journal: Journal) -> None:
        self.schema, self.journal = schema, journal
        self.counts: Counter[str] = Counter()
        self.differences: list[str] = []
        self.contents = schema.name not in UNSPECIFIED

    def _outcome(self, library: Any, call: Callable[..., Any], args: list[Any], named: dict[str, Any]) -> Outcome:
        return outcome(library, call, args, named, contents=self.contents)

    def compare(self, face: str, theirs: Callable[..., Any], ours: Callable[..., Any], call: Call) -> Outcome:
        """Make one call in both; answer what torch's came to."""
        label, args, named = call
        what = f"{face} {label} {args} {named}"
        self.journal.note(self.schema.full_name, f"in torch: {what}")
        want = self._outcome(torch, theirs, args, named)
        self.journal.note(self.schema.full_name, f"here: {what}")
        got = self._outcome(lt, ours, args, named)
        self.counts[f"{face}: {'raised' if want.error else 'answered'}"] += 1
        if _same(face, want, got) or (want.error == got.error and self._wavers(theirs, call, want)):
            return want
        what = f"{want.error or 'an answer'}, here {got.error or 'an answer'}: {want.text[:200]} | {got.text[:400]}"
        if want.error == got.error:
            what = _difference(want.value, got.value)
        self.differences.append(f"{face}, {label}: {what} for {args} {named}"[:1500])
        return want

    def _wavers(self, theirs: Callable[..., Any], call: Call, want: Outcome) -> bool:
        """Tell whether torch itself answers otherwise when asked again."""
        return any(self._outcome(torch, theirs, *call[1:]).value != want.value for _ in range(4))

    def gradients(self, theirs: Callable[..., Any], ours: Callable[..., Any], call: Call) -> None:
        """Compare the gradients of the sum of all results."""
        args = [with_grad(value) for value in call[1]]
        self.journal.note(self.schema.full_name, f"in torch: gradients {args} {call[2]}")
        want, got = (_gradients(m, f, args, call[2]) for m, f in ((torch, theirs), (lt, ours)))
        self.counts["gradient"] += want is not None
        if want != got and not any(_gradients(torch, theirs, args, call[2]) != want for _ in range(3)):
            self.differences.append(f"gradients: {_difference(want, got)} for {args} {call[2]}"[:1500])


def _floating(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _floating(item)
    elif getattr(value, "requires_grad", False):
        yield value


def _gradients(library: Any, call: Callable[..., Any], args: list[Any], named: dict[str, Any]) -> Any:
    """Describe the gradients of all inputs; an exception by its type; None where nothing was recorded."""
    built = build(library, args)
    library.manual_seed(7)
    try:
        results = list(_floating([call(*built, **build(library, named))]))
        if not results:
            return None
        library.autograd.backward(results, [library.ops.aten.ones_like.default(result) for result in results])
    except Exception as error:  # noqa: BLE001 - whatever it is, the other library must raise it too
        return type(error).__name__
    return describe(library, [leaf.grad for leaf in _floating(built)])


def _faces(schema: Schema) -> list[tuple[str, Any, Any]]:
    """torch's function and method of this name, and ours."""
    if schema.name in OTHER_FORMS or schema.name in OTHER_DEFAULTS:
        return []
    found = []
    if hasattr(torch, schema.name):
        found.append(("function", getattr(torch, schema.name), getattr(lt, schema.name)))
    takes_self = bool(schema.arguments) and schema.arguments[0].name == "self" and schema.arguments[0].kind == "Tensor"
    if takes_self and hasattr(torch.Tensor, schema.name):
        found.append(("method", getattr(torch.Tensor, schema.name), getattr(lt.Tensor, schema.name)))
    return found


def _is_torchs(schema: Schema, face: str, form: Call) -> bool:
    """Tell whether what torch does with a form is what it means to do."""
    if face == "method" and not form[1]:  # whether `self=` is taken depends on the language that a method is written in
        return False
    return (f"{schema.name}.{schema.overload}", face, form[0]) not in ACCIDENTS


def compare(schema: Schema, journal: Journal) -> Comparison:
    """Compare one overload."""
    comparison = Comparison(schema, journal)
    rng = Random(zlib.crc32(schema.full_name.encode()))
    exact = getattr(getattr(torch.ops.aten, schema.name), schema.overload), schema.operator
    faces = _faces(schema)
    answered = 0
    for _ in range(ATTEMPTS):
        try:
            call = ("as the schema has it", *arguments(rng, schema))
        except Unknown:
            break
        want = comparison.compare("exact", *exact, call) if schema.name not in OTHER_RESULTS else Outcome(0, "")
        if answered >= SUCCESSES or (want.error and rng.random() < 0.9):
            continue
        answered += not want.error
        for form in [call, *forms(schema, *call[1:])]:
            for face, theirs, ours in faces:
                if _is_torchs(schema, face, form):
                    comparison.compare(face, theirs, ours, form)
        if not want.error and not any(argument.written for argument in schema.arguments):
            comparison.gradients(*exact, call)
    return comparison


def main() -> None:
    """Compare what the parent names."""
    warnings.simplefilter("ignore")
    for name, journal in each_name():
        rest = name.partition("::")[2]
        operator, _, overload = rest.partition(".")
        comparison = compare(parse(getattr(getattr(lt.ops.aten, operator), overload).schema), journal)
        answer(name, [dict(comparison.counts), comparison.differences])


if __name__ == "__main__":
    main()
