"""Multinomial logistic regression as a user of scikit-learn would fit it: quasi-Newton, the penalty chosen on validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.autoencoder import FrameMeans
from lacuna.models.layers.logistic import fit_logistic, fit_ridge
from lacuna.models.layers.modality_copies import kept_modalities
from lacuna.models.space import Space, Span

STRENGTHS = tuple(float(c) for c in 10.0 ** np.arange(-4, 2.01, 0.5))  # values of C


@dataclass(frozen=True)
class LogRegConfig(Config):
    """Settings of :class:`LogReg`.

    Attributes:
        modality_dropout: chance that a modality is hidden in the copies of the training utterances; one modality always stays.
        copies: how many copies of each training utterance with modalities hidden are fitted beside the utterance itself.
    """

    modality_dropout: float = 0.5
    copies: int = 2
    space: ClassVar[Space] = {"modality_dropout": Span(0.0, 0.9), "copies": Span(0, 8)}

    def __post_init__(self) -> None:
        check_bounds("logreg", self, modality_dropout=(0.0, 1.0), copies=(0, 100))


@register(
    "logreg",
    title="Multinomial logistic regression, quasi-Newton, penalty chosen on validation",
    task="baseline",
    reference="scikit-learn's LogisticRegression; Neverova et al., ModDrop, TPAMI 2016",
)
class LogReg(Recognizer):
    """Affine maps of the standardised frame means, a missing modality filled with its training mean.

    The objective is that of scikit-learn's ``LogisticRegression`` (for a score: of ``Ridge``), fitted before training for every
    value of C. Where all modalities are observed, the answer is that of the regression on the training utterances as they are.
    Elsewhere it is that of a second one, fitted with modality dropout as augmentation (Neverova et al., ModDrop, TPAMI 2016); one
    map for both would cost two points of weighted F1 where nothing is missing. Validation chooses the C of each.
    """

    Config = LogRegConfig
    config: LogRegConfig
    learns, exports = False, True
    weight: Tensor
    bias: Tensor
    chosen: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        width, classes = sum(schema.dims.values()), schema.target.width
        self.means = FrameMeans(list(schema.dims.values()))
        self.register_buffer("weight", torch.zeros(2, len(STRENGTHS), width, classes))  # all observed, or not
        self.register_buffer("bias", torch.zeros(2, len(STRENGTHS), classes))
        self.register_buffer("chosen", torch.full((2,), len(STRENGTHS) // 2))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Fit both regressions with every C."""
        self.means.fit(batches)
        vectors, available, labels = [], [], []
        for batch in batches():
            known = batch.labelled
            vectors.append(self.means(batch)[known].double().cpu())
            available.append(batch.available()[known].cpu())
            labels.append(batch.label[known].cpu())
        x, there, label = torch.cat(vectors), torch.cat(available), torch.cat(labels)
        if not len(x):
            return
        owner = self.means.owner.cpu()
        rows = [x * kept[:, owner] for kept in kept_modalities(there, self.config.modality_dropout, self.config.copies)]
        self._fit(0, rows[:1], label)
        if len(rows) > 1:
            self._fit(1, rows, label)
        else:
            self.weight[1], self.bias[1] = self.weight[0], self.bias[0]

    def _fit(self, part: int, rows: list[Tensor], label: Tensor) -> None:
        """Fit one regression with every C to the utterances and their copies, (N, W) each."""
        features = torch.cat(rows).numpy()
        label = label.repeat(len(rows), *[1] * (label.ndim - 1))
        if self.schema.target.task == "regression":
            fits = fit_ridge(features, label.double().numpy(), STRENGTHS)
        else:
            shares = label if label.ndim == 2 else functional.one_hot(label, self.schema.target.width)
            weights = np.full(len(features), 1 / len(rows))  # C counts utterances, not copies
            fits = fit_logistic(features, shares.double().numpy(), STRENGTHS, weights)
        for number, (weight, bias) in enumerate(fits):
            self.weight[part, number], self.bias[part, number] = torch.from_numpy(weight), torch.from_numpy(bias)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Choose each C on validation; of equals the strongest penalty."""
        for part in range(len(self.chosen)):
            scores = []
            for number in range(len(STRENGTHS)):
                self.chosen[part] = number
                scores.append(metric(self(batch).logits for batch in batches()))
            self.chosen[part] = scores.index(max(scores))

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C), or the value (U, 1)."""
        vectors = self.means(batch)
        whole, partial = (
            vectors @ self.weight[part, number] + self.bias[part, number] for part, number in enumerate(self.chosen.unbind())
        )
        return Prediction(torch.where(batch.available().all(dim=1, keepdim=True), whole, partial))
