"""Model-agnostic causal inference (MACI of CIDer, arXiv 2506.10452) as a wrapper of any recogniser.

There are two corrections, each with its own switch. First, the head adjusts for the class-related confounder
(:mod:`lacuna.models.layers.head`), with prototypes and priors of the training split only. Second, ``tau`` times the prediction
for a counterfactual batch, whose text holds the bias words only, is subtracted from the prediction; ``tau`` is chosen once on
validation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.errors import ConfigError, DataError
from lacuna.models.base import VARIANCE, Prediction, Recognizer
from lacuna.models.config import Maci
from lacuna.models.layers.head import BackdoorHead, strata_count
from lacuna.models.wrappers.strata import Strata, Typical
from lacuna.models.wrappers.words import bias_words, document_counts
from lacuna.models.wrappers.wrapped import Wrapped

_log = logging.getLogger(__name__)
STEPS = 10  # tried values of tau in an interval of 1


class Causal(Wrapped):
    """Recogniser with corrections for class-related bias and language bias.

    Args:
        inner: wrapped recogniser; with ``maci.backdoor`` its last layer is that of :func:`lacuna.models.layers.head.classifier`.
        maci: settings.

    Attributes:
        tau: () weight of the counterfactual prediction.
        curve: validation metric of each tried ``tau`` (0, 0.1, ...).
        bias: (V,) bool, bias words of the training split.
        frame: (d_text,) mean text frame of the training split.
        centre: () mean score of the training split.

    Raises:
        ConfigError: the model has no head to adjust, or the corpus lacks the modality ``maci.text``.
    """

    tau: Tensor
    curve: Tensor
    bias: Tensor
    frame: Tensor
    centre: Tensor

    def __init__(self, inner: Recognizer, maci: Maci) -> None:
        super().__init__(inner)
        self.maci = maci
        if maci.backdoor and not self.heads:
            raise ConfigError(f"model '{inner.name}' has no head to adjust; set maci.backdoor: false")
        text = next((m for m in self.schema.modalities if m.name == maci.text), None)
        if maci.counterfactual and text is None:
            if maci.text != Maci.text:
                raise ConfigError(
                    f"model '{inner.name}': setting 'maci.text' must be a modality of the corpus "
                    f"({', '.join(self.schema.dims)}); found {maci.text!r}"
                )
            warning = "maci of '%s': there is no modality '%s' among %s, so nothing is subtracted; see maci.text"
            _log.warning(warning, inner.name, maci.text, ", ".join(self.schema.dims))
        self.subtracts = maci.counterfactual and text is not None
        tried = 1 + int(maci.most_tau * STEPS + 1e-9) if self.subtracts else 1
        self.register_buffer("tau", torch.zeros(()))
        self.register_buffer("curve", torch.zeros(tried))
        self.register_buffer("bias", torch.zeros((text and text.vocabulary) or 0, dtype=torch.bool))
        self.register_buffer("frame", torch.zeros(text.dim if text else 0))
        self.register_buffer("centre", torch.zeros(()))

    @property
    def heads(self) -> list[BackdoorHead]:
        """Return the heads with back-door adjustment."""
        return [module for module in self.inner.modules() if isinstance(module, BackdoorHead)]

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Estimate prototypes, priors and bias words from the complete training split."""
        if self.maci.backdoor or self.subtracts:
            self._read(batches)
        self.inner.prepare(batches)

    def _read(self, batches: Callable[[], Iterable[Batch]]) -> None:
        strata, sums, name = Strata.of(self.schema.target, batches), Typical(self.schema), self.maci.text
        words, n_with_text = torch.zeros(strata_count(self.schema.target), len(self.bias), dtype=torch.float64), 0.0
        total, frames = torch.zeros(len(self.frame), dtype=torch.float64), 0
        for batch in batches():
            weights = strata.weights(batch)  # (U, S)
            sums.add(batch, weights)
            if self.subtracts:
                present = batch.present[name]
                total += batch.features[name].sum(dim=(0, 1)).cpu().double()
                frames += int(present.sum())
                if name in batch.tokens and len(self.bias):
                    words += document_counts(batch.tokens[name], present, weights, len(self.bias))
                    n_with_text += float(weights[present.any(dim=1).cpu()].sum())
        for head in self.heads:
            head.adjust(sums.prototypes, sums.priors)
        self.centre.fill_(sums.centre)
        self.frame.copy_(total / max(1, frames))
        if self.subtracts and len(self.bias):
            is_bias_word = bias_words(words, n_with_text, self.maci)
            self.bias.copy_(is_bias_word)
            if not is_bias_word.any():
                _log.warning("maci: no word of '%s' is associated with a class; the counterfactual has no words", name)

    def counterfactual(self, batch: Batch) -> Batch:
        """Return the counterfactual batch, whose text holds the bias words only.

        Args:
            batch: observed utterances; other modalities and ``present`` do not change.

        Returns:
            All other text frames are the mean frame of training, with token 0. Without token ids, all text frames are.
        """
        name = self.maci.text
        features, present, tokens = batch.features[name], batch.present[name], batch.tokens.get(name)
        keep = torch.zeros_like(present)
        if tokens is not None and len(self.bias):
            known = (tokens > 0) & (tokens < len(self.bias))  # 0 is no word; a new corpus can have unknown words
            keep = present & known & self.bias[tokens * known]
        mean = self.frame.to(features.dtype) * (present & ~keep).unsqueeze(-1)  # (U, T, d), 0 where absent
        changed = batch.tokens if tokens is None else {**batch.tokens, name: tokens * keep}
        return replace(batch, features={**batch.features, name: features * keep.unsqueeze(-1) + mean}, tokens=changed)

    def forward(self, batch: Batch) -> Prediction:
        """Return unnormalised logits (U, C) or values (U, 1); in training, and if ``tau`` is 0, those of the inner model.

        A difference of two values has no variance: that of the inner model is left out.

        Raises:
            DataError: the training split had bias words, and this batch has no token ids.
        """
        prediction = super().forward(batch)
        tau = 0.0 if self.training or not self.subtracts else float(self.tau)
        if not tau:
            return prediction
        if self.bias.any() and self.maci.text not in batch.tokens:
            raise DataError(
                f"'{self.name}' corrects for bias words, but these frames have no token ids",
                modality=self.maci.text,
                expected=f"token ids of a vocabulary of {len(self.bias)}",
                hint="import the text with the tokens of the training corpus, or train with maci.counterfactual: false",
            )
        other = self.counterfactual(batch)
        logits = self._difference(prediction.logits, super().forward(other).logits, self._share(batch, other, tau))
        return replace(prediction, logits=logits, auxiliary={k: x for k, x in prediction.auxiliary.items() if k != VARIANCE})

    def _share(self, batch: Batch, other: Batch, tau: float) -> Tensor:
        """Return (U, 1): ``tau`` where the counterfactual changes the text of the utterance, else 0.

        Where it changes nothing, both predictions are equal and their difference is (1 - tau) log p: the same prediction, or,
        with tau above 1, the opposite one.
        """
        changed = batch.features[self.maci.text] != other.features[self.maci.text]
        return tau * changed.flatten(1).any(dim=1, keepdim=True)  # (U, T, d) -> (U, T d) -> (U, 1)

    def _difference(self, factual: Tensor, counterfactual: Tensor, tau: Tensor) -> Tensor:
        factual, counterfactual = factual.float(), counterfactual.float()
        if self.schema.target.task == "regression":
            return factual - tau * (counterfactual - self.centre)
        return functional.log_softmax(factual, dim=-1) - tau * functional.log_softmax(counterfactual, dim=-1)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Choose ``tau``, the smallest of equally good values.

        If training has token ids and no bias words, there is nothing to subtract, and ``tau`` stays 0.
        """
        super().settle(batches, metric)
        if not self.subtracts or (len(self.bias) and not self.bias.any()):
            return
        predictions = []
        for batch in batches():
            counterfactual = self.counterfactual(batch)
            predictions.append(
                (self.inner(batch).logits, self.inner(counterfactual).logits, self._share(batch, counterfactual, 1.0))
            )
        grid = torch.arange(len(self.curve)) / STEPS
        metrics = [
            metric(self._difference(factual, counterfactual, tau * changed) for factual, counterfactual, changed in predictions)
            for tau in grid.tolist()
        ]
        self.curve.copy_(torch.tensor(metrics))
        self.tau.copy_(grid[metrics.index(max(metrics))])
