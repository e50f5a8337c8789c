"""The batch that every model reads: flat over utterances, padded over frames, missingness only in ``present``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics
from lacuna.corpus.tensors import read_rows
from lacuna.errors import DataError


@dataclass(frozen=True, eq=False)
class Batch:
    """U utterances, dialogues end to end. Models must not write into it.

    Attributes:
        features: by modality (U, T_m, d_m) float32, standardised, zero where absent.
        present: by modality (U, T_m) bool, True = a real frame that was observed; padding is False.
        dialogue: (U,) int64 codes.
        turn: (U,) int64.
        speaker: (U,) int64 codes.
        key: (U,) int64 stable key of the utterance id, for anything random that must not depend on the batch.
        label: (U,) int64 | (U,) float32 | (U, C) float32; -1 or NaN = unlabelled.
        ids: U utterance ids.
        tokens: by modality (U, T_m) int64 token ids, 0 where absent; only modalities that keep them.
    """

    features: dict[str, Tensor]
    present: dict[str, Tensor]
    dialogue: Tensor
    turn: Tensor
    speaker: Tensor
    key: Tensor
    label: Tensor
    ids: list[str]
    tokens: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled(self) -> Tensor:
        """(U,) bool: the utterance carries a label."""
        if not self.label.is_floating_point():
            return self.label >= 0
        finite = torch.isfinite(self.label)
        return finite.all(dim=1) if finite.ndim == 2 else finite

    def available(self) -> Tensor:
        """(U, M) bool: the modality has at least one observed frame, in the order of ``features``."""
        return torch.stack([p.any(dim=1) for p in self.present.values()], dim=1)

    def observe(self, present: dict[str, Tensor]) -> Batch:
        """The batch as seen through a mask: what is not present is zeroed, what was absent stays absent.

        Args:
            present: by modality (U, T_m) bool; modalities left out stay as they are.
        """
        kept = {m: self.present[m] & present[m] if m in present else self.present[m] for m in self.present}
        return replace(
            self,
            present=kept,
            features={m: x * kept[m].unsqueeze(-1) for m, x in self.features.items()},
            tokens={m: t * kept[m] for m, t in self.tokens.items()},
        )

    def take(self, rows: Tensor) -> Batch:
        """The utterances at ``rows`` ((R,) int64), in that order."""
        return replace(self._each(lambda x: x[rows]), ids=[self.ids[int(r)] for r in rows])

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return self._each(lambda x: x.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with every tensor changed alike."""
        changed: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor):
                changed[f.name] = change(value)
            elif isinstance(value, dict):
                changed[f.name] = {m: change(x) for m, x in value.items()}
        return replace(self, **changed)


def collate(corpus: Corpus, rows: NDArray[np.int64], schema: Schema, statistics: Statistics) -> Batch:
    """Read some utterances of a corpus, pad them, and standardise their frames.

    Args:
        corpus: may lack modalities of the schema; they come out absent. Its labels are read if it has the target.
        rows: (U,) int64 row numbers; keep the turns of a dialogue together for models that read dialogues.
        schema: what the model sees, in its order.
        statistics: of the training split.

    Returns:
        The complete batch: everything that the corpus holds, original absences absent.

    Raises:
        DataError: a frame is not finite.
    """
    features, present, tokens = {}, {}, {}
    for modality in schema.modalities:
        name = modality.name
        frames = corpus.frames.get(name)
        count = frames.count[rows] if frames is not None else np.zeros(len(rows), np.int64)
        longest = max(1, int(count.max(initial=0)))
        here = np.arange(longest) < count[:, None]  # (U, T)
        values = np.zeros((len(rows), longest, modality.dim), np.float32)
        if frames is not None:
            where = frames.start[rows], count
            there = None if frames.observed is None else read_rows(frames.observed, *where)  # (frames of the batch,)
            if there is not None:
                here[here] = there
            read = read_rows(frames.values, *where)  # (frames of the batch, d)
            values[here] = ((read if there is None else read[there]) - statistics.mean[name]) / statistics.scale[name]
            if frames.tokens is not None:
                ids, spelt = np.zeros(here.shape, np.int64), read_rows(frames.tokens, *where)
                ids[here] = spelt if there is None else spelt[there]
                tokens[name] = torch.from_numpy(ids)
            if not np.isfinite(values).all():
                bad = int(np.argwhere(~np.isfinite(values))[0, 0])
                utterance = corpus.utterances.id[int(rows[bad])].as_py()
                raise DataError("a frame is not finite", corpus=corpus.name, utterance=utterance, modality=name)
        features[name], present[name] = torch.from_numpy(values), torch.from_numpy(here)
    u = corpus.utterances
    return Batch(
        features=features,
        present=present,
        dialogue=torch.from_numpy(u.dialogue[rows]),
        turn=torch.from_numpy(u.turn[rows]),
        speaker=torch.from_numpy(u.speaker[rows]),
        key=torch.from_numpy(corpus.keys[rows].view(np.int64)),
        label=_label(corpus, rows, schema),
        ids=[corpus.utterances.id[int(r)].as_py() for r in rows],
        tokens=tokens,
    )


def _label(corpus: Corpus, rows: NDArray[np.int64], schema: Schema) -> Tensor:
    target = schema.target
    values = corpus.utterances.labels.get(target.name)
    if values is not None:
        return torch.from_numpy(values[rows])
    if target.task == "classification":
        return torch.full((len(rows),), -1)
    shape = (len(rows), target.width) if target.task == "soft" else (len(rows),)
    return torch.full(shape, torch.nan)
