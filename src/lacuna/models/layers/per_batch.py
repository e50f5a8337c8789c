"""What a model remembers between the stages of one update."""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from lacuna.corpus.batch import Batch

Kept = TypeVar("Kept")


class PerBatch(Generic[Kept]):
    """One thing a batch, for as long as the batch lives; several batches may be under way, as when gradients are accumulated.

    It is part of no state: copied or pickled with its model, it is empty.
    """

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Batch, Kept] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self) -> tuple[type[PerBatch[Kept]], tuple[()]]:
        return type(self), ()

    def keep(self, batch: Batch, what: Kept) -> None:
        """Remember it, in place of what was remembered for that batch."""
        self._kept[batch] = what

    def take(self, batch: Batch, *, last: bool) -> Kept | None:
        """What is remembered for that batch, if anything; ``last`` forgets it."""
        return self._kept.pop(batch, None) if last else self._kept.get(batch)
