"""The batch that every model reads: flat over utterances, padded over frames, missingness only in ``present``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema, Target
from lacuna.corpus.statistics import Statistics
from lacuna.corpus.storage.tensors import gather, read_rows
from lacuna.errors import DataError


class Ids(Sequence[str]):
    """The ids of some utterances of a corpus, read when one is asked for: of most batches none ever is."""

    def __init__(self, corpus: Corpus, rows: NDArray[np.int64]) -> None:
        self._corpus, self._rows = corpus, rows

    @cached_property
    def _ids(self) -> list[str]:
        ids: list[str] = self._corpus.utterances.id.take(pa.array(self._rows)).to_pylist()
        return ids

    def take(self, rows: NDArray[np.int64]) -> Ids:
        """The ids at ``rows``."""
        return Ids(self._corpus, self._rows[rows])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, item: Any) -> Any:
        return self._ids[item]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._ids == list(other)

    __hash__ = None  # type: ignore[assignment] # they equal lists


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
        ids: U utterance ids, read when asked for.
        tokens: by modality (U, T_m) int64 token ids, 0 where absent; only modalities that keep them.
    """

    features: dict[str, Tensor]
    present: dict[str, Tensor]
    dialogue: Tensor
    turn: Tensor
    speaker: Tensor
    key: Tensor
    label: Tensor
    ids: Sequence[str]
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
        return replace(self._each(lambda x: x[rows]), ids=ids_at(self.ids, rows.cpu().numpy()))

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


def ids_at(ids: Sequence[str], rows: NDArray[np.int64]) -> Sequence[str]:
    """Some of a batch's ids, unread if they were."""
    return ids.take(rows) if isinstance(ids, Ids) else [ids[row] for row in rows.tolist()]


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
    index = _index(corpus, rows, schema)
    features, present, tokens = {}, {}, {}
    for modality in schema.modalities:
        name = modality.name
        frames = corpus.frames.get(name)
        where = (index[f"{name}.start"], index[f"{name}.count"]) if frames is not None else (np.zeros(len(rows), np.int64),) * 2
        longest = max(1, int(where[1].max(initial=0)))
        here = np.arange(longest) < where[1][:, None]  # (U, T)
        values = np.zeros((len(rows), longest, modality.dim), np.float32)
        if frames is not None:
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
    return Batch(
        features=features,
        present=present,
        dialogue=torch.from_numpy(index["dialogue"]),
        turn=torch.from_numpy(index["turn"]),
        speaker=torch.from_numpy(index["speaker"]),
        key=torch.from_numpy(index["key"].view(np.int64)),
        label=torch.from_numpy(index["label"]) if "label" in index else _unlabelled(len(rows), schema.target),
        ids=Ids(corpus, rows),
        tokens=tokens,
    )


def _index(corpus: Corpus, rows: NDArray[np.int64], schema: Schema) -> dict[str, NDArray[Any]]:
    """All numbers of some utterances but their frames, in one read."""
    u = corpus.utterances
    columns: dict[str, NDArray[Any]] = {"key": corpus.keys, "dialogue": u.dialogue, "turn": u.turn, "speaker": u.speaker}
    for name in schema.dims:
        if name in corpus.frames:
            columns |= {f"{name}.start": corpus.frames[name].start, f"{name}.count": corpus.frames[name].count}
    if schema.target.name in u.labels:
        columns["label"] = u.labels[schema.target.name]
    return dict(zip(columns, gather(list(columns.values()), rows), strict=True))


def _unlabelled(number: int, target: Target) -> Tensor:
    if target.task == "classification":
        return torch.full((number,), -1)
    shape = (number, target.width) if target.task == "soft" else (number,)
    return torch.full(shape, torch.nan)
