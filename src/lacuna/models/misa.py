"""MISA: modality-invariant and modality-specific representations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.head import classifier
from lacuna.models.layers.streams import UtteranceVectors
from lacuna.models.space import Choice, Space, Span

MOMENTS = 5  # of the central moment discrepancy


@dataclass(frozen=True)
class MISAConfig(Config):
    """Settings of :class:`MISA`.

    Attributes:
        width: d, units of each representation; a multiple of ``heads``.
        heads: heads of the fusion.
        dropout: dropout rate.
        similarity: weight of the discrepancy between the invariant representations of two modalities.
        difference: weight of the overlap of invariant and specific representations.
        reconstruction: weight of the reconstruction error.
    """

    width: int = 32
    heads: int = 4
    dropout: float = 0.3
    similarity: float = 1.0
    difference: float = 0.3
    reconstruction: float = 1.0
    space: ClassVar[Space] = {
        "width": Choice((16, 32, 64)),
        "dropout": Span(0.0, 0.6),
        "similarity": Span(0.03, 3.0, log=True),
        "difference": Span(0.03, 3.0, log=True),
        "reconstruction": Span(0.03, 3.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("misa", self, width=(1, 8192), heads=(1, 1024), dropout=(0.0, 1.0))
        check_bounds("misa", self, similarity=(0.0, 1e6), difference=(0.0, 1e6), reconstruction=(0.0, 1e6))
        check_multiples("misa", self, "heads", "width")


class Parts(NamedTuple):
    """Representations of a batch: (U, M, d) each, and (U, M) bool, whether the modality is available."""

    projected: Tensor
    invariant: Tensor
    specific: Tensor
    rebuilt: Tensor
    available: Tensor


@register(
    "misa",
    title="MISA: Modality-Invariant and -Specific Representations for Multimodal Sentiment Analysis",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2005.03545",
    year=2020,
    venue="ACM Multimedia",
)
class MISA(Recognizer):
    r"""MISA of Hazarika, Zimmermann and Poria (ACM Multimedia 2020): two representations of each modality.

    One encoder, the same for all modalities, gives the invariant representation; one encoder of each modality gives its specific
    one. A transformer layer fuses the 2 M representations.

    .. math:: L = L_{task} + a L_{CMD} + b L_{orthogonal} + c L_{reconstruction}

    Differences from the paper: an utterance vector is an attention-weighted mean of the present frames (BERT and LSTM in the
    paper); representations of missing modalities are masked in the fusion and left out of every loss; the overlap of two
    representations is the squared cosine within an utterance, not a product over the batch; the head also reads which modalities
    are available.
    """

    Config = MISAConfig
    config: MISAConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"learning_rate": 0.0015}  # chosen by experiments/defaults/small.py
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, m = self.config, len(schema.dims)
        self.vectors = UtteranceVectors(schema, c.width)
        self.shared = nn.Sequential(nn.Linear(c.width, c.width), nn.Sigmoid())
        self.private = nn.ModuleList(nn.Sequential(nn.Linear(c.width, c.width), nn.Sigmoid()) for _ in range(m))
        self.decode = nn.ModuleList(nn.Linear(c.width, c.width) for _ in range(m))
        self.fusion = CrossModalReading(c.width, c.heads, c.dropout)
        self.body = nn.Sequential(nn.Linear(2 * m * c.width + m, c.width), nn.ReLU(), nn.Dropout(c.dropout))
        self.head = classifier(schema, c.width, c)

    def parts(self, batch: Batch) -> Parts:
        """Return the representations of a batch."""
        projected = self.vectors(batch)  # (U, M, d)
        invariant = self.shared(projected)
        specific = torch.stack([f(x) for f, x in zip(self.private, projected.unbind(1), strict=True)], dim=1)
        both = (invariant + specific).unbind(1)
        rebuilt = torch.stack([f(x) for f, x in zip(self.decode, both, strict=True)], dim=1)
        return Parts(projected, invariant, specific, rebuilt, batch.available())

    def answer(self, parts: Parts) -> Tensor:
        """Return logits (U, C)."""
        tokens = torch.cat([parts.invariant, parts.specific], dim=1)  # (U, 2 M, d)
        keys = parts.available.repeat(1, 2)  # (U, 2 M)
        fused = self.fusion(tokens, tokens, keys) * keys.unsqueeze(-1)
        logits: Tensor = self.head(self.body(torch.cat([fused.flatten(1), parts.available.to(fused)], dim=1)))  # (U, 2 M d + M)
        return logits.float()

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        return Prediction(self.answer(self.parts(batch)))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss and the three losses of the representations of the observed batch."""
        c, parts = self.config, self.parts(observed)
        available = parts.available
        error = (parts.rebuilt - parts.projected).square().mean(dim=2)  # (U, M)
        return {
            "task": self.task_loss(self.answer(parts), observed.label),
            "similarity": c.similarity * similarity_loss(parts.invariant, available),
            "difference": c.difference * difference_loss(parts.invariant, parts.specific, available),
            "reconstruction": c.reconstruction * (error * available).sum() / available.sum().clamp_min(1),
        }


def central_moment_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """Return the distance of means and central moments 2 to 5 of two samples (Zellinger et al., ICLR 2017), a scalar.

    Args:
        x: (N, d), values 0 to 1; N at least 1.
        y: (K, d), values 0 to 1; K at least 1.
    """
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    distance = _norm(x_mean - y_mean)
    for order in range(2, MOMENTS + 1):
        distance = distance + _norm((x - x_mean).pow(order).mean(dim=0) - (y - y_mean).pow(order).mean(dim=0))
    return distance


def similarity_loss(invariant: Tensor, available: Tensor) -> Tensor:
    """Return the mean discrepancy of two modalities over the utterances that have both; 0 if there are none.

    Args:
        invariant: (U, M, d).
        available: (U, M) bool.
    """
    losses = []
    for i, j in combinations(range(available.shape[1]), 2):
        rows = available[:, i] & available[:, j]
        if rows.any():
            losses.append(central_moment_discrepancy(invariant[rows, i], invariant[rows, j]))
    return torch.stack(losses).mean() if losses else 0 * invariant.sum()


def difference_loss(invariant: Tensor, specific: Tensor, available: Tensor) -> Tensor:
    """Return the mean squared cosine of representations that should not overlap.

    These are the invariant and the specific one of a modality, and the specific ones of two modalities.

    Args:
        invariant: (U, M, d).
        specific: (U, M, d).
        available: (U, M) bool.
    """
    modalities = range(available.shape[1])
    pairs = [(invariant[:, m], specific[:, m], available[:, m]) for m in modalities]
    pairs += [(specific[:, i], specific[:, j], available[:, i] & available[:, j]) for i, j in combinations(modalities, 2)]
    overlap = torch.stack([functional.cosine_similarity(x, y, dim=1).square() for x, y, _ in pairs])  # (P, U)
    known = torch.stack([rows for _, _, rows in pairs])  # (P, U)
    return (overlap * known).sum() / known.sum().clamp_min(1)


def _norm(x: Tensor) -> Tensor:
    """Return the Euclidean norm of (d,), with a finite gradient at 0."""
    return (x.square().sum() + 1e-12).sqrt()
