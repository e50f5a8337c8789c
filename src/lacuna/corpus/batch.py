"""The batch that models read: flat over utterances, padded over frames; ``present`` tells which frames exist."""

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
    """The ids of some utterances of a corpus, read from disk on first access."""

    def __init__(self, corpus: Corpus, rows: NDArray[np.int64]) -> None:
        self._corpus, self._rows = corpus, rows

    @cached_property
    def _ids(self) -> list[str]:
        ids: list[str] = self._corpus.utterances.id.take(pa.array(self._rows)).to_pylist()
        return ids

    def take(self, rows: NDArray[np.int64]) -> Ids:
        """Return the ids at ``rows`` ((R,) int64), still unread."""
        return Ids(self._corpus, self._rows[rows])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, item: Any) -> Any:
        return self._ids[item]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._ids == list(other)

    __hash__ = None  # type: ignore[assignment] # equal to lists, which are not hashable


@dataclass(frozen=True, eq=False)
class Batch:
    """U utterances, dialogues end to end. Models must not write into its tensors.

    Attributes:
        features: by modality (U, T_m, d_m) float32, standardised, zero where absent.
        present: by modality (U, T_m) bool, True = an observed frame; False on missing frames and padding.
        dialogue: (U,) int64 codes.
        turn: (U,) int64 position in the dialogue.
        speaker: (U,) int64 codes.
        key: (U,) int64 stable key of the utterance id, to seed draws that must not depend on the batch.
        label: (U,) int64 class codes | (U,) float32 scores | (U, C) float32 shares; -1 or NaN = unlabelled.
        ids: U utterance ids, read on first access.
        tokens: by modality (U, T_m) int64 token ids, 0 where absent; only modalities that have token ids.
        others: labels of the auxiliary targets by name, in the shapes of ``label``.

    >>> import numpy as np
    >>> from lacuna.corpus.statistics import fit_statistics
    >>> from lacuna.synthetic.duet import generate, preset
    >>> corpus = generate(preset("tiny"))
    >>> batch = collate(corpus, np.array([0, 1]), corpus.schema(), fit_statistics(corpus))
    >>> {modality: tuple(values.shape) for modality, values in batch.features.items()}
    {'text': (2, 4, 64), 'audio': (2, 4, 32), 'vision': (2, 3, 24)}
    >>> observed = batch.observe({"audio": torch.zeros_like(batch.present["audio"])})
    >>> observed.available().tolist()  # text, audio, vision
    [[True, False, True], [True, False, True]]
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
    others: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled(self) -> Tensor:
        """(U,) bool: the utterance has a label."""
        if not self.label.is_floating_point():
            return self.label >= 0
        finite = torch.isfinite(self.label)
        return finite.all(dim=1) if finite.ndim == 2 else finite

    def available(self) -> Tensor:
        """Return (U, M) bool: at least one frame of the modality was observed; modalities in the order of ``features``."""
        return torch.stack([p.any(dim=1) for p in self.present.values()], dim=1)

    def observe(self, present: dict[str, Tensor]) -> Batch:
        """Return the batch under a mask: frames that are not present are zero; frames that were absent stay absent.

        Args:
            present: by modality (U, T_m) bool; modalities left out are not masked.
        """
        kept = {m: self.present[m] & present[m] if m in present else self.present[m] for m in self.present}
        return replace(
            self,
            present=kept,
            features={m: x * kept[m].unsqueeze(-1) for m, x in self.features.items()},
            tokens={m: t * kept[m] for m, t in self.tokens.items()},
        )

    def take(self, rows: Tensor) -> Batch:
        """Return the utterances at ``rows`` ((R,) int64), in that order."""
        return replace(self._each(lambda x: x[rows]), ids=ids_at(self.ids, rows.cpu().numpy()))

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        return self._each(lambda x: x.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with a function applied to every tensor."""
        changed: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor):
                changed[f.name] = change(value)
            elif isinstance(value, dict):
                changed[f.name] = {m: change(x) for m, x in value.items()}
        return replace(self, **changed)


def ids_at(ids: Sequence[str], rows: NDArray[np.int64]) -> Sequence[str]:
    """Return the ids at ``rows`` ((R,) int64); unread ids stay unread."""
    return ids.take(rows) if isinstance(ids, Ids) else [ids[row] for row in rows.tolist()]


def collate(corpus: Corpus, rows: NDArray[np.int64], schema: Schema, statistics: Statistics) -> Batch:
    """Read some utterances of a corpus, pad them, and standardise their frames.

    Args:
        corpus: modalities of the schema that it lacks are absent from the batch; labels are read if it has the target.
        rows: (U,) int64 row numbers; keep the turns of a dialogue together for models that read dialogues.
        schema: modalities and target of the model.
        statistics: mean and scale of the training split.

    Returns:
        The complete batch: all frames of these utterances that the corpus has.

    Raises:
        DataError: a frame is not finite.
    """
    index = _index(corpus, rows, schema)
    features, present, tokens = {}, {}, {}
    for modality in schema.modalities:
        name = modality.name
        frames = corpus.frames.get(name)
        if frames is None:
            features[name] = torch.zeros(len(rows), 1, modality.dim)
            present[name] = torch.zeros(len(rows), 1, dtype=torch.bool)
            continue
        start, count = index[f"{name}.start"], index[f"{name}.count"]
        padded = np.arange(max(1, int(count.max(initial=0)))) < count[:, None]  # (U, T), False on padding
        flat = read_rows(frames.values, start, count)  # (sum count, d)
        flat_tokens = None if frames.tokens is None else read_rows(frames.tokens, start, count)  # (sum count,)
        if frames.observed is not None:
            observed = read_rows(frames.observed, start, count)  # (sum count,)
            padded[padded] = observed
            flat, flat_tokens = flat[observed], None if flat_tokens is None else flat_tokens[observed]
        values = np.zeros((*padded.shape, modality.dim), np.float32)
        values[padded] = (flat - statistics.mean[name]) / statistics.scale[name]
        if not np.isfinite(values).all():
            row = int(rows[np.argwhere(~np.isfinite(values))[0, 0]])
            raise DataError(
                "a frame is not finite",
                corpus=corpus.name,
                utterance=corpus.utterances.id[row].as_py(),
                modality=name,
                hint="run `lacuna doctor` on the source; option `nonfinite` of the importers says what to do with such frames",
            )
        if flat_tokens is not None:
            padded_tokens = np.zeros(padded.shape, np.int64)
            padded_tokens[padded] = flat_tokens
            tokens[name] = torch.from_numpy(padded_tokens)
        features[name], present[name] = torch.from_numpy(values), torch.from_numpy(padded)
    return Batch(
        features=features,
        present=present,
        dialogue=torch.from_numpy(index["dialogue"]),
        turn=torch.from_numpy(index["turn"]),
        speaker=torch.from_numpy(index["speaker"]),
        key=torch.from_numpy(index["key"].view(np.int64)),
        label=_labels(index, len(rows), schema.target),
        ids=Ids(corpus, rows),
        tokens=tokens,
        others={target.name: _labels(index, len(rows), target) for target in schema.auxiliary},
    )


def _index(corpus: Corpus, rows: NDArray[np.int64], schema: Schema) -> dict[str, NDArray[Any]]:
    """Read all numbers of some utterances except their frames, in one pass."""
    u = corpus.utterances
    columns: dict[str, NDArray[Any]] = {"key": corpus.keys, "dialogue": u.dialogue, "turn": u.turn, "speaker": u.speaker}
    for name in schema.dims:
        if name in corpus.frames:
            columns |= {f"{name}.start": corpus.frames[name].start, f"{name}.count": corpus.frames[name].count}
    for target in (schema.target, *schema.auxiliary):
        if target.name in u.labels:
            columns[f"label/{target.name}"] = u.labels[target.name]
    return dict(zip(columns, gather(list(columns.values()), rows), strict=True))


def _labels(index: dict[str, NDArray[Any]], n_utterances: int, target: Target) -> Tensor:
    """Return the labels of a target; where the corpus lacks it, all utterances are unlabelled, in the shape of the target."""
    if f"label/{target.name}" in index:
        return torch.from_numpy(index[f"label/{target.name}"])
    if target.task == "classification":
        return torch.full((n_utterances,), -1)
    shape = (n_utterances, target.width) if target.task == "soft" else (n_utterances,)
    return torch.full(shape, torch.nan)
