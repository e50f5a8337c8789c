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
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.config import Maci
from lacuna.models.layers.head import BackdoorHead, strata_count
from lacuna.models.parts.strata import Strata, Typical
from lacuna.models.parts.words import bias_words, document_counts
from lacuna.models.parts.wrapped import Wrapped

_log = logging.getLogger(__name__)
STEPS = 10  # values of tau that are tried, in a unit


class Causal(Wrapped):
    """A recogniser corrected for class-related and language bias.

    Args:
        inner: what answers; with ``maci.backdoor`` its last layer comes from :func:`lacuna.models.layers.head.classifier`.
        maci: settings.

    Raises:
        ConfigError: the model has no head to adjust, or the schema has no such text.

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
            raise ConfigError(
                f"model '{inner.name}': setting 'maci.text' must be a modality of the corpus ({', '.join(self.schema.dims)}); "
                f"found {maci.text!r}; set maci.text, or maci.counterfactual: false"
            )
        tried = 1 + int(maci.most_tau * STEPS + 1e-9) if maci.counterfactual else 1
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
        if self.maci.backdoor or self.maci.counterfactual:
            self._read(batches)
        self.inner.prepare(batches)

    def _read(self, batches: Callable[[], Iterable[Batch]]) -> None:
        strata, typical, name = Strata.of(self.schema.target, batches), Typical(self.schema), self.maci.text
        words, spoken = torch.zeros(strata_count(self.schema.target), len(self.bias), dtype=torch.float64), 0.0
        total, frames = torch.zeros(len(self.frame), dtype=torch.float64), 0
        for batch in batches():
            weights = strata.weights(batch)  # (U, S)
            typical.add(batch, weights)
            if self.maci.counterfactual:
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
        if self.maci.counterfactual and len(self.bias):
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
        """Unnormalised logits (U, C) or values (U, 1); while training, and while ``tau`` is 0, those of the model itself."""
        prediction = super().forward(batch)
        tau = 0.0 if self.training or not self.maci.counterfactual else float(self.tau)
        if not tau:
            return prediction
        other = super().forward(self.counterfactual(batch))
        return replace(prediction, logits=self._difference(prediction.logits, other.logits, self._share(batch, tau)))

    def _share(self, batch: Batch, tau: float) -> Tensor:
        """``tau`` where there was text, else 0: (U, 1); without words both passes agree, and a tau above 1 would invert them."""
        return tau * batch.present[self.maci.text].any(dim=1, keepdim=True)

    def _difference(self, factual: Tensor, counterfactual: Tensor, tau: Tensor) -> Tensor:
        factual, counterfactual = factual.float(), counterfactual.float()
        if self.schema.target.task == "regression":
            return factual - tau * (counterfactual - self.centre)
        return functional.log_softmax(factual, dim=-1) - tau * functional.log_softmax(counterfactual, dim=-1)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Choose ``tau``, of equally good ones the smallest; each batch is answered once and once more counterfactually."""
        super().settle(batches, metric)
        if not self.maci.counterfactual:
            return
        answers = [(self.inner(b).logits, self.inner(self.counterfactual(b)).logits, self._share(b, 1.0)) for b in batches()]
        grid = torch.arange(len(self.curve)) / STEPS
        found = [metric(self._difference(own, other, tau * there) for own, other, there in answers) for tau in grid.tolist()]
        self.curve.copy_(torch.tensor(found))
        self.tau.copy_(grid[found.index(max(found))])
