"""Missing frames filled in by another model before a recogniser reads them.

The recovering model is trained first, alone, on the same training split under masks of the same pattern, and then it is fixed.
The recogniser reads what the recovering model fills in as if it had been observed. It is trained and scored under the masks that
it would have without recovery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.wrappers.wrapped import Wrapped


class Recovered(Wrapped):
    """Recogniser that reads observed frames and, where frames are missing, those of a recovering model.

    A modality without observed frames gets as many frames as the median training utterance has; otherwise gaps before its last
    observed frame are filled. So the number of frames does not depend on the batch.

    Args:
        inner: wrapped recogniser.
        recoverer: a recogniser that recovers; its weights are not among those that training updates.

    Attributes:
        counts: (M,) int64, frames that a missing modality gets; 0 if no training utterance has the modality.
    """

    counts: Tensor

    def __init__(self, inner: Recognizer, recoverer: Recognizer) -> None:
        super().__init__(inner)
        self.recoverer = recoverer.requires_grad_(False).eval()
        self.needs_dialogue = inner.needs_dialogue or recoverer.needs_dialogue
        self.recovers, self.samples = True, False
        self.register_buffer("counts", torch.zeros(len(self.schema.dims), dtype=torch.int64))

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the recogniser; the recovering model stays in evaluation mode."""
        super().train(mode)
        self.recoverer.eval()
        return self

    def adopt(self, members: Sequence[Recognizer]) -> None:
        """Copy the weights of the recovering model, the last member, and pass the others on to the recogniser."""
        *others, recoverer = members
        self.recoverer.load_state_dict(recoverer.state_dict())
        super().adopt(others)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Count frames, then prepare the recogniser on the training split, in which missing modalities are filled in."""
        frames = torch.cat([torch.stack([p.sum(dim=1) for p in b.present.values()], dim=1).cpu() for b in batches()])  # (U, M)
        for column, of_modality in enumerate(frames.T):
            if (of_modality > 0).any():
                self.counts[column] = of_modality[of_modality > 0].median()
        self.inner.prepare(lambda: (self.filled(batch) for batch in batches()))

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle the recogniser on filled batches."""
        self.inner.settle(lambda: (self.filled(batch) for batch in batches()), metric)

    def forward(self, batch: Batch) -> Prediction:
        """Return the prediction of the recogniser, and the recovered frames (U, T_m, d_m) of the recovering model."""
        filled, recovered = self._fill(batch)
        recovered = {m: x[:, : batch.features[m].shape[1]] for m, x in recovered.items()}
        return replace(super().forward(filled), recovered=recovered)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of the recogniser, which reads the filled batch."""
        return self.inner.losses(self._widened(complete), self.filled(observed), stage)

    def filled(self, batch: Batch) -> Batch:
        """Return the batch with recovered frames in place of missing ones; observed frames are unchanged.

        Returns:
            Features (U, T, d_m) with T at least ``counts[m]``. Filled frames are present and have token 0.
        """
        return self._fill(batch)[0]

    def _fill(self, batch: Batch) -> tuple[Batch, dict[str, Tensor]]:
        """Return the filled batch, and the estimates of all missing frames, (U, T, d_m) by modality."""
        batch = self._widened(batch)
        with torch.no_grad():
            recovered: dict[str, Tensor] = self.recoverer(batch).recovered
        features, present = {}, {}
        for (name, observed), count in zip(batch.present.items(), self.counts, strict=True):
            position = torch.arange(observed.shape[1], device=observed.device)
            last = ((position + 1) * observed).amax(dim=1, keepdim=True)  # (U, 1) frames up to the last observed one
            present[name] = position < torch.where(last > 0, last, count)  # (U, T)
            features[name] = recovered[name].to(batch.features[name].dtype) * present[name].unsqueeze(-1)
        return replace(batch, features=features, present=present), recovered

    def _widened(self, batch: Batch) -> Batch:
        """Return the batch with room for ``counts[m]`` frames in every modality: (U, T, d_m)."""
        features, present, tokens = dict(batch.features), dict(batch.present), dict(batch.tokens)
        for name, count in zip(batch.features, self.counts.tolist(), strict=True):
            if (extra := count - features[name].shape[1]) > 0:
                features[name] = functional.pad(features[name], (0, 0, 0, extra))
                present[name] = functional.pad(present[name], (0, extra))
                if name in tokens:
                    tokens[name] = functional.pad(tokens[name], (0, extra))
        return replace(batch, features=features, present=present, tokens=tokens)
