"""Remove a share of the training and validation data for good: training data that never were complete.

A missing pattern hides data in training, but recovery targets, statistics and teachers still see them. A thinned corpus does not
hold them any more. The test split stays as it is, so that scores compare with those of models that had complete data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Frames
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.statistics import frame_rows
from lacuna.errors import ConfigError
from lacuna.missing.layout import Layout
from lacuna.missing.plan import MaskPlan
from lacuna.registry import check_settings

NOTE = "training data were thinned"  # start of the note in the provenance; reports show a caution where they find it
THINNED = ("train", "valid")


@dataclass(frozen=True)
class Thin:
    """What is removed for good.

    Attributes:
        pattern: registered name of a missing pattern, with its default settings.
        rate: in [0, 1); what it is a share of is the unit of the pattern.
        seed: another seed removes other data.

    Raises:
        ConfigError: an unknown pattern, or a rate or seed out of bounds.
    """

    pattern: str = "rmm"
    rate: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.plan.rate == 1:
            raise ConfigError(f"thin.rate must be below 1, or nothing is left to train on; found {self.rate!r}")

    @property
    def plan(self) -> MaskPlan:
        """The masks of what is removed."""
        return MaskPlan(self.pattern, self.rate, self.seed)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Thin:
        """Return the settings of a mapping, e.g. ``{"pattern": "rmm", "rate": 0.5, "seed": 0}``.

        Raises:
            ConfigError: an unknown key, or a value out of bounds.
        """
        check_settings("thin", "thin", cls, settings)
        return cls(**settings)

    @classmethod
    def parse(cls, text: str) -> Thin:
        """Return the settings of ``pattern:rate`` or ``pattern:rate:seed``, as the command line takes them.

        >>> Thin.parse("outage:0.5")
        Thin(pattern='outage', rate=0.5, seed=0)

        Raises:
            ConfigError: the text has another form, or a value is out of bounds.
        """
        name, *numbers = text.split(":")
        try:
            rate, seed = float(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0
            if len(numbers) > 2:
                raise ValueError
        except (ValueError, IndexError):
            raise ConfigError(f"thin must be PATTERN:RATE or PATTERN:RATE:SEED, e.g. rmm:0.5; found {text!r}") from None
        return cls(name, rate, seed)

    @property
    def slug(self) -> str:
        """The settings as a part of a file name."""
        return f"thin-{self.pattern}-{self.rate:g}-{self.seed}"


def thin(corpus: Corpus, settings: Thin) -> Corpus:
    """Return the corpus without a share of its training and validation data.

    A modality of which nothing is left has no frames, as if it never was recorded; where it is text, the transcript is removed
    too. A single frame that is removed inside a recording keeps its place: its values are 0, its token id is 0, and it counts as
    not observed. Labels, ids and the test split stay.

    Args:
        corpus: with splits; it is not changed.
        settings: pattern, rate and seed; masks are drawn for each split.

    Returns:
        A corpus in memory, with a note on the measured share.

    Raises:
        ConfigError: a setting of the pattern does not fit the corpus, or no utterance is in train.

    >>> from lacuna.synthetic.duet import generate, preset
    >>> corpus = generate(preset("tiny"))
    >>> thinned = thin(corpus, Thin("rmm", 0.5))
    >>> corpus.absences()["text"], thinned.absences()["text"]
    ({'train': 0, 'valid': 0, 'test': 0}, {'train': 17, 'valid': 6, 'test': 0})
    """
    split, count = corpus.utterances.split, {m.name: corpus.frames[m.name].count for m in corpus.modalities}
    removed = {m: np.zeros(int(c.sum()), bool) for m, c in count.items()}  # (sum count,) in row order
    shares = []
    for name in THINNED:
        rows = np.flatnonzero(split == SPLITS.index(name))
        if not len(rows):
            continue
        mask = settings.plan.over(Layout.of(corpus.take(rows)))
        shares.append(f"{name} {mask.measured():.3f}")
        for m, lost in mask.missing_flat().items():
            first = np.cumsum(count[m]) - count[m]  # (N,) first frame of each utterance in row order
            removed[m][frame_rows(first[rows], count[m][rows])] = lost
    if not shares:
        raise ConfigError(f"corpus '{corpus.name}' has no training split to thin: make splits first (split: carve or fold)")
    frames = {m: _without(corpus.frames[m], removed[m]) for m in removed}
    utterances = corpus.utterances
    if "text" in frames and utterances.text is not None:
        lost = (frames["text"].count == 0) & (count["text"] > 0)
        texts = np.asarray(utterances.text().to_pylist(), object)
        texts[lost] = None
        kept = pa.array(texts.tolist(), pa.large_string())
        utterances = replace(utterances, text=lambda: kept)
    note = f"{NOTE}: {settings.plan}; removed for good, as a share of {settings.plan.pattern.unit}: {', '.join(shares)}"
    return replace(
        corpus,
        frames={**corpus.frames, **frames},
        utterances=utterances,
        provenance=corpus.provenance.noting(note),
        digest=None,
        place=None,
    )


def _without(frames: Frames, removed: NDArray[np.bool_]) -> Frames:
    """Return the frames, packed in row order, without those that are removed.

    Args:
        frames: of one modality.
        removed: (sum count,) bool, utterances end to end.
    """
    rows = frame_rows(frames.start, frames.count)
    observed = np.ones(len(rows), bool) if frames.observed is None else np.asarray(frames.observed[rows])
    left = observed & ~removed  # (sum count,)
    utterance = np.repeat(np.arange(len(frames.count)), frames.count)  # (sum count,) which utterance a frame belongs to
    n_left = np.bincount(utterance[left], minlength=len(frames.count))
    n_removed = np.bincount(utterance[removed], minlength=len(frames.count))
    kept = ~((n_left == 0) & (n_removed > 0))[utterance]  # frames of an utterance with nothing left are dropped
    count = np.bincount(utterance[kept], minlength=len(frames.count)).astype(np.int64)
    values = np.array(frames.values[rows[kept]], np.float32)
    values[removed[kept]] = 0
    tokens = None if frames.tokens is None else np.where(removed, 0, frames.tokens[rows])[kept]
    flags = left[kept]
    return Frames(values, np.cumsum(count) - count, count, observed=None if flags.all() else flags, tokens=tokens)
