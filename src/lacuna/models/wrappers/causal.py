"""Model-agnostic causal inference (CIDer, arXiv 2506.10452), around any recogniser.

Two corrections, each with its switch. The head adjusts for the class-related confounder (:mod:`lacuna.models.layers.head`), with
prototypes and priors of the training split only. And the answer to a counterfactual, in which nothing but the bias words is left
of the text, is subtracted from the answer to what was said, ``tau`` times; ``tau`` is chosen once on validation.
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
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.config import Maci
from lacuna.models.layers.head import BackdoorHead, strata_count
from lacuna.models.wrappers.strata import Strata, Typical
from lacuna.models.wrappers.words import bias_words, document_counts
from lacuna.models.wrappers.wrapped import Wrapped

_log = logging.getLogger(__name__)
STEPS = 10  # values of tau that are tried, in a unit


class Causal(Wrapped):
    """A recogniser corrected for class-related and language bias.

    Args:
        inner: what answers; with ``maci.backdoor`` its last layer comes from :func:`lacuna.models.layers.head.classifier`.
        maci: settings.

    Raises:
        ConfigError: the model has no head to adjust, or the corpus lacks a modality that was named as its text.

    Its buffers: ``tau`` and ``curve``, the validation metric of every ``tau`` that was tried (0, 0.1, ...); and of the training
    split ``bias`` (V,) bool, the bias words, ``frame`` (d_text,), the mean text frame, and ``centre``, the mean score.
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
            told = "maci of '%s': there is no modality '%s' among %s, so nothing is subtracted; see maci.text"
            _log.warning(told, inner.name, maci.text, ", ".join(self.schema.dims))
        self.subtracts = maci.counterfactual and text is not None
        tried = 1 + int(maci.most_tau * STEPS + 1e-9) if self.subtracts else 1
        self.register_buffer("tau", torch.zeros(()))
        self.register_buffer("curve", torch.zeros(tried))
        self.register_buffer("bias", torch.zeros((text and text.vocabulary) or 0, dtype=torch.bool))
        self.register_buffer("frame", torch.zeros(text.dim if text else 0))
        self.register_buffer("centre", torch.zeros(()))

    @property
    def heads(self) -> list[BackdoorHead]:
        """The heads that adjust."""
        return [module for module in self.inner.modules() if isinstance(module, BackdoorHead)]

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Learn from the complete training split what is typical of a class, and which words are biased."""
        if self.maci.backdoor or self.subtracts:
            self._read(batches)
        self.inner.prepare(batches)

    def _read(self, batches: Callable[[], Iterable[Batch]]) -> None:
        strata, typical, name = Strata.of(self.schema.target, batches), Typical(self.schema), self.maci.text
        words, spoken = torch.zeros(strata_count(self.schema.target), len(self.bias), dtype=torch.float64), 0.0
        total, frames = torch.zeros(len(self.frame), dtype=torch.float64), 0
        for batch in batches():
            weights = strata.weights(batch)  # (U, S)
            typical.add(batch, weights)
            if self.subtracts:
                present = batch.present[name]
                total += batch.features[name].sum(dim=(0, 1)).cpu().double()
                frames += int(present.sum())
                if name in batch.tokens and len(self.bias):
                    words += document_counts(batch.tokens[name], present, weights, len(self.bias))
                    spoken += float(weights[present.any(dim=1).cpu()].sum())
        for head in self.heads:
            head.adjust(typical.prototypes, typical.priors)
        self.centre.fill_(typical.centre)
        self.frame.copy_(total / max(1, frames))
        if self.subtracts and len(self.bias):
            found = bias_words(words, spoken, self.maci)
            self.bias.copy_(found)
            if not found.any():
                _log.warning("maci: no word of '%s' goes with a class; the counterfactual has no words at all", name)

    def counterfactual(self, batch: Batch) -> Batch:
        """The batch as if nothing but its bias words had been said.

        Args:
            batch: what is observed; other modalities, and what is present, stay as they are.

        Returns:
            Every other text frame is the mean one of training, with token 0. Without token ids every text frame is.
        """
        name = self.maci.text
        features, present, tokens = batch.features[name], batch.present[name], batch.tokens.get(name)
        keep = torch.zeros_like(present)
        if tokens is not None and len(self.bias):
            known = (tokens > 0) & (tokens < len(self.bias))  # 0 is no word, and a new corpus may have new ones
            keep = present & known & self.bias[tokens * known]
        mean = self.frame.to(features.dtype) * (present & ~keep).unsqueeze(-1)  # (U, T, d), 0 where absent
        changed = batch.tokens if tokens is None else {**batch.tokens, name: tokens * keep}
        return replace(batch, features={**batch.features, name: features * keep.unsqueeze(-1) + mean}, tokens=changed)

    def forward(self, batch: Batch) -> Prediction:
        """Unnormalised logits (U, C) or values (U, 1); while training, and while ``tau`` is 0, those of the model itself.

        Raises:
            DataError: bias words were learned, and this corpus has no token ids to know them by.
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
        return replace(
            prediction, logits=self._difference(prediction.logits, super().forward(other).logits, self._share(batch, other, tau))
        )

    def _share(self, batch: Batch, other: Batch, tau: float) -> Tensor:
        """``tau`` where the counterfactual changed the utterance's own text, else 0: (U, 1).

        Where it changed nothing, both passes agree and their difference is (1 - tau) log p: the same answer, or, with a tau
        above 1, the opposite one.
        """
        changed = batch.features[self.maci.text] != other.features[self.maci.text]
        return tau * changed.flatten(1).any(dim=1, keepdim=True)  # (U, T, d) -> (U, T d) -> (U, 1)

    def _difference(self, factual: Tensor, counterfactual: Tensor, tau: Tensor) -> Tensor:
        factual, counterfactual = factual.float(), counterfactual.float()
        if self.schema.target.task == "regression":
            return factual - tau * (counterfactual - self.centre)
        return functional.log_softmax(factual, dim=-1) - tau * functional.log_softmax(counterfactual, dim=-1)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Choose ``tau``, of equally good ones the smallest; each batch is answered once and once more counterfactually.

        Where the words of training are known and none goes with a class, there is no bias to subtract: ``tau`` stays 0.
        """
        super().settle(batches, metric)
        if not self.subtracts or (len(self.bias) and not self.bias.any()):
            return
        answers = []
        for batch in batches():
            other = self.counterfactual(batch)
            answers.append((self.inner(batch).logits, self.inner(other).logits, self._share(batch, other, 1.0)))
        grid = torch.arange(len(self.curve)) / STEPS
        found = [metric(self._difference(own, other, tau * there) for own, other, there in answers) for tau in grid.tolist()]
        self.curve.copy_(torch.tensor(found))
        self.tau.copy_(grid[found.index(max(found))])
