"""Dialogue encoder for models of single utterances: the classifier reads the vectors of the other turns too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.layers.head import DialogueHead
from lacuna.models.wrappers.wrapped import Wrapped


class InDialogue(Wrapped):
    """Recogniser whose heads read dialogues; this wrapper tells them which turns the batch holds.

    The vector of a turn is what the model computes from its observed frames, so a missing modality enters as the model reads it.

    Args:
        inner: wrapped recogniser; its last layers are those of :func:`lacuna.models.layers.head.classifier`.
        hidden: units of each direction of the dialogue encoder; already in the settings of ``inner``.

    Raises:
        ConfigError: the model reads dialogues already, or has no such last layer.
    """

    def __init__(self, inner: Recognizer, hidden: int) -> None:
        super().__init__(inner)
        self._heads = [module for module in inner.modules() if isinstance(module, DialogueHead)]
        if inner.needs_dialogue or not self._heads:
            reason = "reads dialogues already" if inner.needs_dialogue else "has no head that a dialogue encoder can precede"
            raise ConfigError(f"model '{inner.name}' {reason}; set dialogue: 0, found {hidden}")
        self.needs_dialogue = True

    @contextmanager
    def _reading(self, batch: Batch) -> Iterator[None]:
        """Set the turns that the heads read."""
        turns = DialogueHead.turns_of(batch)
        for head in self._heads:
            head.turns = turns
        try:
            yield
        finally:
            for head in self._heads:
                head.turns = None

    def _each(self, batches: Callable[[], Iterable[Batch]]) -> Callable[[], Iterator[Batch]]:
        """Return a function that yields the batches; while the caller holds one, the heads read its turns."""

        def read() -> Iterator[Batch]:
            for batch in batches():
                with self._reading(batch):
                    yield batch

        return read

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Prepare the inner model."""
        self.inner.prepare(self._each(batches))

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle the inner model."""
        self.inner.settle(self._each(batches), metric)

    def forward(self, batch: Batch) -> Prediction:
        """Return the prediction of the inner model."""
        with self._reading(batch):
            return super().forward(batch)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of the inner model; the complete batch holds the same turns."""
        with self._reading(observed):
            return super().losses(complete, observed, stage)
