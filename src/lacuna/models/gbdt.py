"""Gradient-boosted decision trees on frame means, with missing modalities as missing values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.boosted_trees import BoostedTrees
from lacuna.models.layers.modality_copies import kept_modalities
from lacuna.models.layers.pooling import pooled
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class GBDTConfig(Config):
    """Settings of :class:`GBDT`.

    Attributes:
        rounds: most boosting rounds; validation chooses how many of them count.
        shrinkage: learning rate of the boosting.
        leaves: most leaves of a tree.
        penalty: L2 penalty of the values of leaves.
        modality_dropout: chance that a modality is hidden in the copies of the training utterances; one always stays.
        copies: how many copies of each training utterance with modalities hidden are fitted beside the utterance itself.
    """

    rounds: int = 100
    shrinkage: float = 0.1
    leaves: int = 15
    penalty: float = 1.0
    modality_dropout: float = 0.5
    copies: int = 1
    space: ClassVar[Space] = {
        "shrinkage": Span(0.02, 0.3, log=True),
        "leaves": Span(4, 31),
        "penalty": Span(0.1, 100.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("gbdt", self, rounds=(1, 10_000), shrinkage=(1e-6, 1.0), leaves=(2, 4096), penalty=(0.0, 1e9))
        check_bounds("gbdt", self, modality_dropout=(0.0, 1.0), copies=(0, 100))


@register(
    "gbdt",
    title="Gradient-boosted decision trees with missing values",
    task="baseline",
    reference="scikit-learn's HistGradientBoosting; Chen and Guestrin, XGBoost, KDD 2016",
)
class GBDT(Recognizer):
    """Histogram gradient boosting of scikit-learn, its trees stored as arrays.

    A tree sends what is missing to the side that fits training better (Chen and Guestrin, XGBoost, KDD 2016).
    """

    Config = GBDTConfig
    config: GBDTConfig
    learns = False
    chosen: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.trees = BoostedTrees(self.config.rounds, schema.target.width, self.config.leaves)
        sizes = torch.tensor(list(schema.dims.values()))
        self.register_buffer("owner", torch.repeat_interleave(torch.arange(len(sizes)), sizes), persistent=False)
        self.register_buffer("chosen", torch.tensor(self.config.rounds))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Fit all rounds."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        vectors = torch.cat([pooled(b)[b.labelled].cpu() for b in batches()])
        there = torch.cat([b.available()[b.labelled].cpu() for b in batches()])
        label = torch.cat([b.label[b.labelled].cpu() for b in batches()])
        if not len(vectors):
            return
        kept = kept_modalities(there, self.config.modality_dropout, self.config.copies)
        x = torch.cat([_with_missing(vectors, k, self.get_buffer("owner").cpu()) for k in kept]).numpy()
        y, weight = _rows(label)
        x, y, weight = np.tile(x, (len(y) // len(label), 1)), np.tile(y, len(kept)), np.tile(weight, len(kept))
        settings = {
            "max_iter": self.config.rounds,
            "learning_rate": self.config.shrinkage,
            "max_leaf_nodes": self.config.leaves,
            "l2_regularization": self.config.penalty,
            "early_stopping": False,
            "random_state": 0,
        }
        if self.schema.target.task == "regression":
            self.trees.copy_from(HistGradientBoostingRegressor(**settings).fit(x, y), np.zeros(1, np.int64))
            return
        classes = np.unique(y)
        self.trees.baseline.fill_(-30.0)  # of a class that training does not hold
        self.trees.baseline[classes] = 0.0
        if len(classes) > 1:
            fitted = HistGradientBoostingClassifier(**settings).fit(x, y, sample_weight=weight)
            self.trees.copy_from(fitted, classes if len(classes) > 2 else classes[1:])  # one tree a round for two classes

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Choose the number of rounds on validation; of equals the fewest."""
        steps = sorted({max(1, round(self.config.rounds * share)) for share in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)})
        scores = []
        for rounds in steps:
            self.chosen.fill_(rounds)
            scores.append(metric(self(batch).logits for batch in batches()))
        self.chosen.fill_(steps[scores.index(max(scores))])

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C), or the value (U, 1)."""
        return Prediction(self.trees(_with_missing(pooled(batch), batch.available(), self.get_buffer("owner")), int(self.chosen)))


def _with_missing(vectors: Tensor, available: Tensor, owner: Tensor) -> Tensor:
    """Frame means (U, sum d) with NaN for modalities that are not available (U, M)."""
    return vectors.masked_fill(~available[:, owner], torch.nan)


def _rows(label: Tensor) -> tuple[Any, Any]:
    """One hard label and weight a row; a soft label (N, C) becomes C rows an utterance, all first classes first."""
    if label.ndim == 1:
        return label.numpy(), np.ones(len(label))
    number, classes = label.shape
    return np.repeat(np.arange(classes), number), label.T.double().numpy().reshape(-1)  # (C, N) -> (C * N,)
