"""Values that a model keeps between the stages of one update."""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from lacuna.corpus.batch import Batch

Kept = TypeVar("Kept")


class PerBatch(Generic[Kept]):
    """One value for each batch, for as long as the batch exists; with accumulated gradients there are several batches.

    It is not part of the state of a model: a copy of the model has an empty one.
    """

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Batch, Kept] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self) -> tuple[type[PerBatch[Kept]], tuple[()]]:
        return type(self), ()

    def keep(self, batch: Batch, value: Kept) -> None:
        """Store a value for a batch; it replaces an earlier one."""
        self._kept[batch] = value

    def take(self, batch: Batch, *, last: bool) -> Kept | None:
        """Return the value of a batch, if there is one; ``last`` deletes it."""
        return self._kept.pop(batch, None) if last else self._kept.get(batch)
