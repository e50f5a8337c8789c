"""A test as recognisers are scored on it, and their answers to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Labels
from lacuna.corpus.schema import Target
from lacuna.evaluation.conditions import Condition, condition_of
from lacuna.evaluation.predict import answer, inference, loader_of, observe
from lacuna.evaluation.shift.resample import dialogue_rows, drawn_together
from lacuna.evaluation.sweep import MOST_GROUPS, Sweep, digest_of, fingerprint_of, groups_of, target_of
from lacuna.metrics.counts import Array, constant_counts, count, labelled, width
from lacuna.missing import Layout, MaskPlan
from lacuna.shift import Corruption
from lacuna.training.trained import TrainedRecognizer


@dataclass(frozen=True, eq=False)
class ShiftTest:
    """A test.

    Attributes:
        name: in tables; exactly one is called ``iid``.
        corpus: what is seen, whole dialogues; labels of what is not scored are hidden (:func:`lacuna.shift.only_part`).
        corruption: laid over the complete batches, before anything goes missing.
        note: what it is, in a sentence.
    """

    name: str
    corpus: Corpus
    corruption: Corruption | None = None
    note: str = ""

    @property
    def seen(self) -> tuple[str, bytes, int, Corruption | None]:
        """Tests that agree in this need one set of answers; equal names and ids alone may have other features."""
        return self.corpus.name, self.corpus.keys.tobytes(), id(self.corpus.frames), self.corruption


@dataclass(frozen=True)
class ShiftConfig:
    """How tests are scored.

    Attributes:
        replicates: of the bootstrap.
        level: of the intervals.
        seed: of the bootstrap and of the corruptions.
        least_group: a group of fewer utterances is no candidate for the worst one.
        batch_size: utterances in a forward pass.
    """

    replicates: int = 500
    level: float = 0.95
    seed: int = 0
    least_group: int = 20
    batch_size: int = 1024


def answers(
    trained: TrainedRecognizer,
    corpus: Corpus,
    plans: Sequence[MaskPlan],
    corruption: Corruption | None = None,
    *,
    seed: int = 0,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
) -> NDArray[np.float32]:
    """Logits (P, N, C) or values (P, N, 1) of every utterance under every plan; a batch is read and corrupted once."""
    layout = Layout.of(corpus)
    masks = [plan.over(layout) for plan in plans]
    found = np.zeros((len(plans), len(corpus), trained.schema.target.width), np.float32)
    loader = loader_of(trained, corpus, batch_size, device)
    with inference(trained.model, device):
        for rows in loader.rows():
            complete = loader.read(rows)
            if corruption is not None:
                complete = corruption.apply(complete, seed)
            here = {m: p.cpu().numpy() for m, p in complete.present.items()}
            answered: dict[bytes, NDArray[np.float32]] = {}
            for index, mask in enumerate(masks):
                present = {m: p & here[m] for m, p in mask.present(rows).items() if m in here}
                key = digest_of(present)
                if key not in answered:
                    answered[key] = answer(trained.model, observe(complete, present))
                found[index, rows] = answered[key]
    return found


@dataclass(frozen=True, eq=False)
class Frame:
    """What is the same for all recognisers on one test.

    Attributes:
        test: the test.
        target: what is predicted.
        conditions: P conditions.
        dialogue: (N,) int64 row of each utterance's dialogue.
        total: D rows.
        known: (N,) bool, the utterance is scored.
        constant: (D, K) counts of the constant answer.
        fingerprint: of what is scored.
        weights: (B, D) how often each dialogue is drawn.
        sizes: (D,) scored utterances of each dialogue.
    """

    test: ShiftTest
    target: Target
    conditions: tuple[Condition, ...]
    dialogue: NDArray[np.int64]
    total: int
    known: NDArray[np.bool_]
    constant: Array
    fingerprint: str
    weights: Array
    sizes: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", np.bincount(self.dialogue[self.known], minlength=self.total).astype(np.float64))

    @property
    def labels(self) -> Labels:
        """(N, ...) labels, hidden where nothing is scored."""
        return self.test.corpus.utterances.labels[self.target.name]

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,) dialogues of what is scored."""
        return self.dialogue[self.known]

    def sweep(self, trained: TrainedRecognizer, logits: NDArray[np.float32]) -> Sweep:
        """A recogniser's answers (P, N, C) as a sweep."""
        sums = np.zeros((len(self.conditions), self.total, width(self.target)))
        for index, one in enumerate(logits):
            sums[index] = count(self.target, one, self.labels, self.dialogue, self.total).values
        name = self.test.corpus.name
        return Sweep(name, trained.variant, trained.seed, self.target, self.conditions, sums, self.constant, self.fingerprint)


def frames_of(
    first: TrainedRecognizer,
    tests: Sequence[ShiftTest],
    plans: Sequence[MaskPlan],
    training_labels: Labels,
    config: ShiftConfig,
) -> list[Frame]:
    """Prepare tests for a target; ``first`` is one of the recognisers.

    Raises:
        ConfigError: a corruption means nothing for its corpus.
        DataError: a corpus has another target, or no label.
    """
    target = first.schema.target
    for test in tests:
        target_of(first, test.corpus)
        if test.corruption is not None:
            test.corruption.check(test.corpus)
    weights = drawn_together({t.name: dialogue_rows(t.corpus, target) for t in tests}, config.replicates, config.seed)
    frames = []
    for test in tests:
        layout, labels = Layout.of(test.corpus), test.corpus.utterances.labels[target.name]
        conditions = tuple(condition_of(plan, plan.over(layout).measured()) for plan in plans)
        dialogue, total = groups_of(test.corpus, target, MOST_GROUPS)
        constant = constant_counts(target, training_labels, labels, dialogue, total).values
        known = labelled(target, labels)
        marked = fingerprint_of(test.corpus, dialogue, labels)
        frames.append(Frame(test, target, conditions, dialogue, total, known, constant, marked, weights[test.name]))
    return frames
