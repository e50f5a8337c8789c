"""One trained recogniser under every missingness plan, at about the cost of an epoch."""

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
from lacuna.evaluation.predict import answer, inference, loader_of, observe
from lacuna.metrics.counts import Array, Counts, constant_counts, count, width
from lacuna.metrics.scores import metrics_of
from lacuna.missing import Layout, MaskPlan
from lacuna.training.trained import TrainedRecognizer

MOST_GROUPS = 512


@dataclass(frozen=True, eq=False)
class Sweep:
    """What one trained recogniser scored: P conditions, D dialogues, K sums each.

    Attributes:
        corpus: name of the corpus that was scored.
        model: name under which the recogniser goes in tables.
        seed: its training seed.
        target: what was predicted.
        conditions: P conditions, in the order of the plans.
        counts: (P, D, K) float64, see :func:`lacuna.metrics.counts.columns`.
        constant: (D, K) float64, the same sums for the constant answer.
        fingerprint: of the utterances that were scored; equal fingerprints and conditions = the same masks.
    """

    corpus: str
    model: str
    seed: int
    target: Target
    conditions: tuple[Condition, ...]
    counts: Array
    constant: Array
    fingerprint: str

    @cached_property
    def pooled(self) -> Counts:
        """Counts of each condition over all dialogues: (P, K)."""
        return Counts(self.target, self.counts).pooled()

    @cached_property
    def pooled_constant(self) -> Counts:
        """Counts of the constant answer over all dialogues: (K,)."""
        return Counts(self.target, self.constant).pooled()

    def scores(self, detail: bool = True) -> pd.DataFrame:
        """Every metric of every condition, one row each.

        Args:
            detail: also the F1 of each class and the like.

        Returns:
            corpus, model, seed, pattern, setting, rate, mask_seed, measured_rate, metric, value, n.
        """
        table = self._table()
        table["n"] = self.pooled.part("n").astype(np.int64)
        blocks = []
        for metric in metrics_of(self.target, detail):
            block = table.copy()
            block.insert(len(block.columns) - 1, "metric", metric.name)
            block.insert(len(block.columns) - 1, "value", metric.compute(self.pooled))
            blocks.append(block)
        return pd.concat(blocks, ignore_index=True)

    def confusions(self) -> pd.DataFrame:
        """Confusion counts, mask seeds together; no rows for regression.

        Returns:
            corpus, model, seed, pattern, setting, rate, true, predicted, count.
        """
        columns = ["corpus", "model", "seed", "pattern", "setting", "rate"]
        classes = list(self.target.classes)
        cells = np.zeros((len(self.conditions), 0)) if not classes else self.pooled.part("confusion")
        c = len(classes)
        table = self._table()[columns].loc[np.repeat(np.arange(len(self.conditions)), c * c)].reset_index(drop=True)
        table["true"] = np.tile(np.repeat(np.array(classes, dtype=object), c), len(self.conditions))
        table["predicted"] = np.tile(np.array(classes, dtype=object), c * len(self.conditions))
        table["count"] = cells.reshape(-1).astype(np.int64)  # (P, C, C) -> (P*C*C,)
        return table.groupby([*columns, "true", "predicted"], sort=False)["count"].sum().reset_index()

    def _table(self) -> pd.DataFrame:
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
) -> Sweep:
    """Score a recogniser under every plan; each batch is read once, and masks that come out equal are answered once.

    Args:
        trained: what to score, on the target that it was trained for.
        corpus: a view on the split to score, usually ``corpus.only("test")``.
        plans: pattern, rate and seed each.
        training_labels: labels of the training split for the target, of which the constant answer is made; required, because
            no table is complete without it.
        name: of the recogniser in tables; its label by default.
        batch_size: utterances in a forward pass.
        device: where to compute.
        groups: with more dialogues than this, whole dialogues are pooled into so many groups of about equal size, which the
            bootstrap then resamples instead; this bounds memory.

    Returns:
        Sums by condition and dialogue. The same whatever the batch size, up to rounding of the forward pass.

    Raises:
        ConfigError: no plan, a plan twice, or the corpus lacks the target.
        DataError: the corpus does not fit the recogniser or shares a dialogue with its training, nothing is labelled, or an
            answer is not finite.
    """
    target = target_of(trained, corpus)
    trained.check_unseen(corpus)
    layout = Layout.of(corpus)
    masks = [plan.over(layout) for plan in plans]
    conditions = tuple(condition_of(plan, mask.measured()) for plan, mask in zip(plans, masks, strict=True))
    if not conditions or len({c.key for c in conditions}) < len(conditions):
        raise ConfigError("a sweep needs at least one plan, and every plan once")
    labels = corpus.utterances.labels[target.name]
    dialogue, total = groups_of(corpus, target, groups)
    sums = np.zeros((len(masks), total, width(target)))
    loader = loader_of(trained, corpus, batch_size, device)
    with inference(trained.model, device):
        for rows in loader.rows():
            complete = loader.read(rows)
            here = {m: p.cpu().numpy() for m, p in complete.present.items()}
            answered: dict[bytes, Array] = {}
            for index, mask in enumerate(masks):
                present = {m: p & here[m] for m, p in mask.present(rows).items() if m in here}
                key = digest_of(present)
                if key not in answered:
                    logits = answer(trained.model, observe(complete, present))
                    answered[key] = count(target, logits, labels[rows], dialogue[rows], total).values
                sums[index] += answered[key]
    return Sweep(
        corpus=corpus.name,
        model=name or trained.variant,
        seed=trained.seed,
        target=target,
        conditions=conditions,
        counts=sums,
        constant=constant_counts(target, training_labels, labels, dialogue, total).values,
        fingerprint=fingerprint_of(corpus, dialogue, labels),
    )


def target_of(trained: TrainedRecognizer, corpus: Corpus) -> Target:
    """The target, if corpus and recogniser mean the same by it.

    Raises:
        DataError: they do not, or nothing is labelled.
    """
    target, here = trained.schema.target, corpus.target(trained.schema.target.name)
    if (here.task, here.classes) != (target.task, target.classes):
        raise DataError(
            f"target '{target.name}' means something else here than in training",
            corpus=corpus.name,
            expected=f"{target.task} {', '.join(target.classes)}",
            found=f"{here.task} {', '.join(here.classes)}",
            hint="import both corpora with the same classes in the same order",
        )
    if not corpus.labelled(target.name).any():
        raise DataError(f"nothing is labelled for target '{target.name}'", corpus=corpus.name, hint="score another split")
    return target


def groups_of(corpus: Corpus, target: Target | None, most: int) -> tuple[NDArray[np.int64], int]:
    """(N,) int64 row of each utterance's dialogue among those with labels (of all without a target), and how many rows."""
    known = np.ones(len(corpus), np.bool_) if target is None else corpus.labelled(target.name)
    codes, at = np.unique(corpus.utterances.dialogue[known], return_inverse=True)
    if len(codes) > most:
        names = corpus.utterances.dialogue_names.to_pylist()
        order = np.argsort(keys_of([names[code] for code in codes.tolist()]), kind="stable")
        group = np.empty(len(codes), np.int64)
        group[order] = np.arange(len(codes)) * most // len(codes)
        at = group[at]
    dialogue = np.zeros(len(corpus), np.int64)  # unlabelled utterances are not counted wherever they point
    dialogue[known] = at
    return dialogue, min(len(codes), most)


def digest_of(present: dict[str, NDArray[np.bool_]]) -> bytes:
    """What tells the masks of a batch apart: equal ones need one answer."""
    digest = hashlib.blake2b(digest_size=16)
    for modality in sorted(present):
        digest.update(np.packbits(present[modality]).tobytes())
    return digest.digest()


def fingerprint_of(corpus: Corpus, dialogue: NDArray[np.int64], labels: Labels) -> str:
    """A hash of which utterances are scored, in which order and groups, with which labels."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (corpus.keys, dialogue, labels):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
