"""Tests of a shift evaluation, and the predictions of recognisers on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Labels
from lacuna.corpus.schema import Target
from lacuna.evaluation.conditions import Condition, condition_of
from lacuna.evaluation.past import Answer
from lacuna.evaluation.predict import answer, inference, loader_of, observe
from lacuna.evaluation.shift.resample import dialogue_rows, joint_weights
from lacuna.evaluation.sureness import SetCounts, set_counts, set_sums
from lacuna.evaluation.sweep import MOST_GROUPS, Sweep, digest_of, fingerprint_of, groups_of, target_of
from lacuna.metrics.counts import Array, baseline_counts, count, labelled, width
from lacuna.missing import Layout, MaskPlan
from lacuna.shift import Corruption
from lacuna.training.trained import TrainedRecognizer


@dataclass(frozen=True, eq=False)
class ShiftTest:
    """One test of a shift evaluation.

    Attributes:
        name: in tables; exactly one test is called ``iid``.
        corpus: whole dialogues; labels of utterances that are not scored are hidden (:func:`lacuna.shift.only_part`).
        corruption: applied to complete batches, before anything is masked.
        note: description in one sentence.
    """

    name: str
    corpus: Corpus
    corruption: Corruption | None = None
    note: str = ""

    @property
    def seen(self) -> tuple[str, bytes, int, Corruption | None]:
        """Identity of the model inputs: tests with equal values share predictions. It includes the features, not only the ids."""
        return self.corpus.name, self.corpus.keys.tobytes(), id(self.corpus.frames), self.corruption


class Answers(NamedTuple):
    """Predictions of a recogniser under P masks.

    Attributes:
        logits: (P, N, C) float32 logits, or (P, N, 1) values.
        spread: (P, N) float32, see :class:`lacuna.evaluation.past.Answer`.
        available: (P, N, M) bool, whether the modality had an observed frame.
    """

    logits: NDArray[np.float32]
    spread: NDArray[np.float32]
    available: NDArray[np.bool_]


@dataclass(frozen=True)
class ShiftConfig:
    """Settings of a shift evaluation.

    Attributes:
        replicates: bootstrap replicates.
        level: of the intervals, between 0 and 1.
        seed: of the bootstrap and of the corruptions.
        least_group: fewest utterances of a group that can be the worst group.
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
) -> Answers:
    """Return the predictions for every utterance under every plan; a batch is read and corrupted once.

    Args:
        trained: recogniser.
        corpus: N utterances, whole dialogues.
        plans: P masks.
        corruption: applied before the masks.
        seed: of the corruption.
        batch_size: utterances in a forward pass.
        device: where to compute.
    """
    layout = Layout.of(corpus)
    masks = [plan.over(layout) for plan in plans]
    logits = np.zeros((len(plans), len(corpus), trained.schema.target.width), np.float32)
    spread = np.zeros((len(plans), len(corpus)), np.float32)
    available = np.zeros((len(plans), len(corpus), len(trained.schema.dims)), np.bool_)
    loader = loader_of(trained, corpus, batch_size, device)
    with inference(trained.model, device):
        for rows in loader.rows():
            complete = loader.read(rows)
            if corruption is not None:
                complete = corruption.apply(complete, seed)
            originally = {m: p.cpu().numpy() for m, p in complete.present.items()}
            by_mask: dict[bytes, tuple[Answer, NDArray[np.bool_]]] = {}
            for index, mask in enumerate(masks):
                present = {m: p & originally[m] for m, p in mask.present(rows).items() if m in originally}
                key = digest_of(present)
                if key not in by_mask:
                    observed = observe(complete, present)
                    by_mask[key] = answer(trained.model, observed), observed.available().cpu().numpy()
                (logits[index, rows], spread[index, rows]), available[index, rows] = by_mask[key]
    return Answers(logits, spread, available)


@dataclass(frozen=True, eq=False)
class PreparedTest:
    """A test with everything that is the same for all recognisers.

    Attributes:
        test: the test.
        target: what is predicted.
        conditions: P conditions.
        dialogue: (N,) int64 row of counts of each utterance.
        total: D rows.
        known: (N,) bool, whether the utterance is scored.
        baseline: (D, K) float64 counts of the majority-class (or mean) baseline.
        fingerprint: hash of the scored utterances.
        weights: (B, D) float64, how often each dialogue is drawn.
        sizes: (D,) float64 scored utterances of each dialogue.
    """

    test: ShiftTest
    target: Target
    conditions: tuple[Condition, ...]
    dialogue: NDArray[np.int64]
    total: int
    known: NDArray[np.bool_]
    baseline: Array
    fingerprint: str
    weights: Array
    sizes: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", np.bincount(self.dialogue[self.known], minlength=self.total).astype(np.float64))

    @property
    def labels(self) -> Labels:
        """(N, ...) labels; those of utterances that are not scored are hidden."""
        return self.test.corpus.utterances.labels[self.target.name]

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,) int64 rows of counts of the scored utterances."""
        return self.dialogue[self.known]

    def sweep(self, trained: TrainedRecognizer, logits: NDArray[np.float32]) -> Sweep:
        """Return the sweep of a recogniser with these logits (P, N, C)."""
        sums = np.zeros((len(self.conditions), self.total, width(self.target)))
        for index, condition_logits in enumerate(logits):
            sums[index] = count(self.target, condition_logits, self.labels, self.dialogue, self.total).values
        name = self.test.corpus.name
        return Sweep(name, trained.variant, trained.seed, self.target, self.conditions, sums, self.baseline, self.fingerprint)

    def sets(self, trained: TrainedRecognizer, answered: Answers) -> SetCounts | None:
        """Return how often the prediction sets of a recogniser hold the truth, by condition; ``None`` if it has no sets."""
        counts = set_counts(trained.model, trained.schema, len(self.conditions))
        if counts is not None:
            for index, (logits, spread, available) in enumerate(zip(*answered, strict=True)):
                counts.values[index] = set_sums(trained.model, torch.from_numpy(available), Answer(logits, spread), self.labels)
        return counts


def prepare_tests(
    first: TrainedRecognizer,
    tests: Sequence[ShiftTest],
    plans: Sequence[MaskPlan],
    training_labels: Labels,
    config: ShiftConfig,
) -> list[PreparedTest]:
    """Return the tests, prepared for the target of the recognisers.

    Args:
        first: one of the recognisers.
        tests: the tests.
        plans: masks to score under.
        training_labels: labels of the training split, for the baseline.
        config: settings of the evaluation.

    Raises:
        ConfigError: a corruption does not apply to its corpus.
        DataError: a corpus has another target, or no label.
    """
    target = first.schema.target
    for test in tests:
        target_of(first, test.corpus)
        if test.corruption is not None:
            test.corruption.check(test.corpus)
    weights = joint_weights({t.name: dialogue_rows(t.corpus, target) for t in tests}, config.replicates, config.seed)
    prepared = []
    for test in tests:
        layout, labels = Layout.of(test.corpus), test.corpus.utterances.labels[target.name]
        conditions = tuple(condition_of(plan, plan.over(layout).measured()) for plan in plans)
        dialogue, total = groups_of(test.corpus, target, MOST_GROUPS)
        baseline = baseline_counts(target, training_labels, labels, dialogue, total).values
        known = labelled(target, labels)
        fingerprint = fingerprint_of(test.corpus, dialogue, labels)
        prepared.append(PreparedTest(test, target, conditions, dialogue, total, known, baseline, fingerprint, weights[test.name]))
    return prepared
