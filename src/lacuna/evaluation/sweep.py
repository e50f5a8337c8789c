"""The sweep: one trained recogniser scored under every missingness plan."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Labels, keys_of
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation.conditions import Condition, condition_of
from lacuna.evaluation.past import answer_from_past
from lacuna.evaluation.predict import answer, inference, loader_of, observe
from lacuna.evaluation.sureness import SetCounts, set_counts, set_sums
from lacuna.metrics.counts import MOST_CLASSES, Array, Counts, baseline_counts, count, has_confusion, width
from lacuna.metrics.scores import metrics_of
from lacuna.missing import Layout, MaskPlan
from lacuna.progress import tracked
from lacuna.training.trained import TrainedRecognizer

MOST_BYTES = 8 << 30  # of the counts of one recogniser
MOST_GROUPS = 512  # more dialogues than this are pooled into groups, which bounds the memory of a bootstrap
FEWEST_GROUPS = 64  # of targets with so many classes that the counts of a dialogue are long


@dataclass(frozen=True, eq=False)
class Sweep:
    """Counts of one trained recogniser: P conditions, D dialogues, K statistics.

    Attributes:
        corpus: name of the corpus that was scored.
        model: name of the recogniser in tables.
        seed: its training seed.
        target: what was predicted.
        conditions: P conditions, in the order of the plans.
        counts: (P, D, K) float64, see :func:`lacuna.metrics.counts.columns`.
        baseline: (D, K) float64, the same statistics of the majority-class (or mean) baseline.
        fingerprint: hash of the scored utterances; sweeps with equal fingerprints and conditions had the same masks.
        sets: how often prediction sets held the truth; ``None`` if the recogniser has no prediction sets.
    """

    corpus: str
    model: str
    seed: int
    target: Target
    conditions: tuple[Condition, ...]
    counts: Array
    baseline: Array
    fingerprint: str
    sets: SetCounts | None = None

    @cached_property
    def pooled(self) -> Counts:
        """Counts of each condition over all dialogues: (P, K)."""
        return Counts(self.target, self.counts).pooled()

    @cached_property
    def pooled_baseline(self) -> Counts:
        """Counts of the baseline over all dialogues: (K,)."""
        return Counts(self.target, self.baseline).pooled()

    def scores(self, detail: bool = True) -> pd.DataFrame:
        """Return every metric of every condition, one row each.

        Args:
            detail: include detailed metrics, such as the F1 of each class (of at most 64 classes).

        Returns:
            Columns corpus, model, seed, pattern, setting, rate, mask_seed, measured_rate, metric, value, n (labelled utterances).
        """
        table = self._table()
        table["n"] = self.pooled.part("n").astype(np.int64)
        blocks = []
        by_class = detail and (self.target.task == "regression" or has_confusion(self.target))
        for metric in metrics_of(self.target, by_class):
            block = table.copy()
            block.insert(len(block.columns) - 1, "metric", metric.name)
            block.insert(len(block.columns) - 1, "value", metric.compute(self.pooled))
            blocks.append(block)
        return pd.concat(blocks, ignore_index=True)

    def confusions(self) -> pd.DataFrame:
        """Return confusion counts, summed over mask seeds; no rows for regression, or with more than 64 classes.

        Returns:
            Columns corpus, model, seed, pattern, setting, rate, true, predicted, count.
        """
        columns = ["corpus", "model", "seed", "pattern", "setting", "rate"]
        classes = list(self.target.classes) if has_confusion(self.target) else []
        confusion = np.zeros((len(self.conditions), 0)) if not classes else self.pooled.part("confusion")
        c = len(classes)
        table = self._table()[columns].loc[np.repeat(np.arange(len(self.conditions)), c * c)].reset_index(drop=True)
        table["true"] = np.tile(np.repeat(np.array(classes, dtype=object), c), len(self.conditions))
        table["predicted"] = np.tile(np.array(classes, dtype=object), c * len(self.conditions))
        table["count"] = confusion.reshape(-1).astype(np.int64)  # (P, C, C) -> (P * C * C,)
        return table.groupby([*columns, "true", "predicted"], sort=False)["count"].sum().reset_index()

    def _table(self) -> pd.DataFrame:
        """Return the key columns, one row for each condition."""
        table = pd.DataFrame({"corpus": self.corpus, "model": self.model, "seed": self.seed}, index=range(len(self.conditions)))
        table["pattern"] = [c.pattern for c in self.conditions]
        table["setting"] = [c.setting for c in self.conditions]
        table["rate"] = [c.rate for c in self.conditions]
        table["mask_seed"] = [c.mask_seed for c in self.conditions]
        table["measured_rate"] = [c.measured for c in self.conditions]
        return table


def sweep(
    trained: TrainedRecognizer,
    corpus: Corpus,
    plans: Sequence[MaskPlan],
    *,
    training_labels: Labels,
    name: str | None = None,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    groups: int = MOST_GROUPS,
    past_only: bool = False,
) -> Sweep:
    """Return the counts of a recogniser under every plan; it costs about one training epoch.

    Each batch is read once, and masks of a batch that are equal share one forward pass.

    Args:
        trained: recogniser to score, on the target that it was trained for.
        corpus: a view on the split to score, usually ``corpus.only("test")``.
        plans: masks to score under.
        training_labels: labels of the training split for the target; the baseline needs them, and every table shows it.
        name: of the recogniser in tables; its variant by default.
        batch_size: utterances in a forward pass.
        device: where to compute.
        groups: more dialogues than this are pooled into this many groups of whole dialogues of about equal size; the bootstrap
            then resamples groups, which bounds memory. With more than 64 classes groups are fewer, see :func:`most_groups`.
        past_only: whether the answer at turn t is from turns 0 to t, see :mod:`lacuna.evaluation.past`. Such a sweep is not
            comparable with one that reads whole dialogues, and has another fingerprint.

    Returns:
        Counts by condition and dialogue. They do not depend on the batch size, up to rounding of the forward pass.

    Raises:
        ConfigError: no plan, a plan twice, or the corpus lacks the target.
        DataError: the corpus does not fit the recogniser or shares a dialogue with its training, nothing is labelled, or a
            prediction is not finite.

    Example:
        >>> from lacuna.corpus.statistics import fit_statistics
        >>> from lacuna.synthetic.duet import generate, preset
        >>> from lacuna.training import Recipe, TrainingConfig, fit
        >>> corpus = generate(preset("tiny"))
        >>> train, valid, test = (corpus.only(split) for split in ("train", "valid", "test"))
        >>> config = TrainingConfig(epochs=1)
        >>> trained = fit(Recipe("linear", corpus.schema(), train, valid, fit_statistics(corpus), config)).trained
        >>> plans, labels = [MaskPlan("rmm", rate) for rate in (0.0, 0.5)], train.utterances.labels["emotion"]
        >>> scores = sweep(trained, test, plans, training_labels=labels).scores()
        >>> scores.query("metric == 'weighted_f1'")["rate"].tolist()
        [0.0, 0.5]
    """
    target = target_of(trained, corpus)
    trained.check_unseen(corpus)
    layout = Layout.of(corpus)
    masks = [plan.over(layout) for plan in plans]
    conditions = tuple(condition_of(plan, mask.measured()) for plan, mask in zip(plans, masks, strict=True))
    if not conditions or len({c.key for c in conditions}) < len(conditions):
        raise ConfigError("a sweep needs at least one plan, and every plan once; remove repeated patterns, rates or mask seeds")
    labels = corpus.utterances.labels[target.name]
    dialogue, total = groups_of(corpus, target, groups)
    _check_memory(len(masks), total, target)
    sums = np.zeros((len(masks), total, width(target)))
    loader = loader_of(trained, corpus, batch_size, device)
    respond = answer_from_past if past_only else answer
    sets = set_counts(trained.model, trained.schema, len(masks))
    with inference(trained.model, device):
        for rows in tracked(loader.rows(), f"{name or trained.variant}, seed {trained.seed}"):
            complete = loader.read(rows)
            originally = {m: p.cpu().numpy() for m, p in complete.present.items()}
            equal: dict[bytes, tuple[dict[str, NDArray[np.bool_]], list[int]]] = {}
            for index, mask in enumerate(masks):
                present = {m: p & originally[m] for m, p in mask.present(rows).items() if m in originally}
                equal.setdefault(digest_of(present), (present, []))[1].append(index)
            for present, indexes in equal.values():
                observed = observe(complete, present)
                answered = respond(trained.model, observed)
                counted = count(target, answered.logits, labels[rows], dialogue[rows], total).values
                inside = None if sets is None else set_sums(trained.model, observed.available(), answered, labels[rows])
                for index in indexes:  # one by one: all of them at once would be copied
                    sums[index] += counted
                    if sets is not None:
                        sets.values[index] += inside
    return Sweep(
        corpus=corpus.name,
        model=name or trained.variant,
        seed=trained.seed,
        target=target,
        conditions=conditions,
        counts=sums,
        baseline=baseline_counts(target, training_labels, labels, dialogue, total).values,
        fingerprint=fingerprint_of(corpus, dialogue, labels, past_only),
        sets=sets,
    )


def _check_memory(n_masks: int, n_dialogues: int, target: Target) -> None:
    """Refuse a sweep whose counts do not fit into memory, before any work."""
    n_bytes = 8 * n_masks * n_dialogues * width(target)
    if n_bytes > MOST_BYTES:
        raise ConfigError(
            f"the counts of {n_masks} masks, {n_dialogues} dialogues and {len(target.classes)} classes "
            f"need {n_bytes / 2**30:.1f} GiB for each model and seed; at most {MOST_BYTES >> 30} GiB are used\n"
            "  do: score fewer patterns, rates, mask seeds or subsets of modalities"
        )


def target_of(trained: TrainedRecognizer, corpus: Corpus) -> Target:
    """Return the target of a recogniser, after checking that the corpus has the same task and classes.

    Raises:
        DataError: the corpus has another task or other classes, or nothing is labelled.
    """
    target, in_corpus = trained.schema.target, corpus.target(trained.schema.target.name)
    if (in_corpus.task, in_corpus.classes) != (target.task, target.classes):
        raise DataError(
            f"target '{target.name}' differs from that of training",
            corpus=corpus.name,
            expected=f"{target.task} {', '.join(target.classes)}",
            found=f"{in_corpus.task} {', '.join(in_corpus.classes)}",
            hint="import both corpora with the same classes in the same order",
        )
    if not corpus.labelled(target.name).any():
        raise DataError(
            f"nothing is labelled for target '{target.name}'",
            corpus=corpus.name,
            hint="label test utterances, or score another split",
        )
    return target


def most_groups(target: Target | None, most: int = MOST_GROUPS) -> int:
    """Return the largest number of rows of counts: fewer for a target with more than 64 classes, whose rows are long.

    >>> most_groups(Target("mood", "classification", tuple(map(str, range(1000)))))
    64
    """
    if target is None or target.task == "regression" or has_confusion(target):
        return most
    return min(most, max(FEWEST_GROUPS, most * MOST_CLASSES // len(target.classes)))


def groups_of(corpus: Corpus, target: Target | None, most: int) -> tuple[NDArray[np.int64], int]:
    """Return the row of counts of each utterance, and the number of rows.

    Args:
        corpus: N utterances.
        target: only dialogues with a label have a row; without a target all dialogues do.
        most: more dialogues than this are pooled into this many groups, by a hash of their names; :func:`most_groups` of it.

    Returns:
        (N,) int64 rows (0 for unlabelled utterances, which are not counted), and the number of rows D.
    """
    known = np.ones(len(corpus), np.bool_) if target is None else corpus.labelled(target.name)
    codes, row = np.unique(corpus.utterances.dialogue[known], return_inverse=True)
    most = most_groups(target, most)
    if len(codes) > most:
        names = corpus.utterances.dialogue_names.to_pylist()
        order = np.argsort(keys_of([names[code] for code in codes.tolist()]), kind="stable")
        group = np.empty(len(codes), np.int64)
        group[order] = np.arange(len(codes)) * most // len(codes)
        row = group[row]
    dialogue = np.zeros(len(corpus), np.int64)
    dialogue[known] = row
    return dialogue, min(len(codes), most)


def digest_of(present: dict[str, NDArray[np.bool_]]) -> bytes:
    """Return a hash of the masks of a batch; equal masks share one forward pass."""
    digest = hashlib.blake2b(digest_size=16)
    for modality in sorted(present):
        digest.update(np.packbits(present[modality]).tobytes())
    return digest.digest()


def fingerprint_of(corpus: Corpus, dialogue: NDArray[np.int64], labels: Labels, past_only: bool = False) -> str:
    """Return a hash of the scored utterances, their order, groups and labels, and of whether answers are from the past only."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (corpus.keys, dialogue, labels):
        digest.update(np.ascontiguousarray(part).tobytes())
    if past_only:
        digest.update(b"past only")
    return digest.hexdigest()
