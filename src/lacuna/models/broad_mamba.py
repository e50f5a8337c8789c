"""Broad Mamba: bidirectional state space models, broad learning and probability-guided fusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.attention import masked_softmax
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.state_space import TwoWayStateSpace
from lacuna.models.layers.streams import UtteranceVectors, labels_where
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class BroadMambaConfig(Config):
    """Settings of :class:`BroadMamba`.

    Attributes:
        width: d, units of each vector.
        states: states of each channel of the state space models.
        nodes: frozen feature nodes of the broad learning system.
        enhancement: frozen enhancement nodes.
        dropout: dropout rate.
        unimodal: weight of the task loss of each modality alone.
    """

    width: int = 48
    states: int = 8
    nodes: int = 64
    enhancement: int = 64
    dropout: float = 0.3
    unimodal: float = 1.0
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "states": Span(2, 16),
        "nodes": Span(16, 256, log=True),
        "enhancement": Span(16, 256, log=True),
        "dropout": Span(0.0, 0.7),
        "unimodal": Span(0.1, 2.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("broad_mamba", self, width=(1, 8192), states=(1, 256), nodes=(1, 65536), enhancement=(1, 65536))
        check_bounds("broad_mamba", self, dropout=(0.0, 1.0), unimodal=(0.0, 1e6))


class BroadLearning(nn.Module):
    r"""Broad learning system: frozen random features, of which only the output map is learned (Chen and Liu, TNNLS 2018).

    .. math:: Z = \tanh(h W_z), \quad E = \tanh(Z W_e), \quad y = [Z; E] W_o

    Args:
        width: units of input and output.
        nodes: feature nodes, columns of W_z.
        enhancement: enhancement nodes, columns of W_e.
    """

    to_nodes: Tensor
    to_enhancement: Tensor

    def __init__(self, width: int, nodes: int, enhancement: int) -> None:
        super().__init__()
        self.register_buffer("to_nodes", torch.randn(width, nodes) / width**0.5)
        self.register_buffer("to_enhancement", torch.randn(nodes, enhancement) / nodes**0.5)
        self.out = nn.Linear(nodes + enhancement, width)

    def forward(self, h: Tensor) -> Tensor:
        """Return (..., width) from (..., width)."""
        nodes = torch.tanh(h @ self.to_nodes)
        result: Tensor = self.out(torch.cat([nodes, torch.tanh(nodes @ self.to_enhancement)], dim=-1))
        return result


@register(
    "broad_mamba",
    title="Revisiting Multi-modal Emotion Learning with Broad State Space Models and Probability-guidance Fusion",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2404.17858",
    year=2025,
    venue="ECML-PKDD",
    reconstruction=True,
)
class BroadMamba(Recognizer):
    r"""Broad Mamba of Shou et al. (ECML-PKDD 2025), reconstructed: no code of the authors is public.

    The turns of the dialogue of each modality pass through a bidirectional state space model and a :class:`BroadLearning` system.
    A head of each modality gives probabilities, whose confidence guides the fusion (:func:`guidance`):

    .. math:: h = \sum_m w_m h_m, \quad L = L_{fused} + u \sum_m L_m

    Decided here: a real-valued selective state space model with a parallel scan, residuals around both blocks, both random maps
    of the broad learning system frozen, its sizes, and equal weights of the available modalities for regression. A missing
    turn leaves the states as they are, and a missing modality has weight 0; the head also reads which modalities are available.
    """

    Config = BroadMambaConfig
    config: BroadMambaConfig
    needs_dialogue = True
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "states": 2, "nodes": 16, "enhancement": 16}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, m = self.config, len(schema.dims)
        self.vectors = UtteranceVectors(schema, c.width)
        self.scan = nn.ModuleList(TwoWayStateSpace(c.width, c.states) for _ in range(m))
        self.broad = nn.ModuleList(BroadLearning(c.width, c.nodes, c.enhancement) for _ in range(m))
        self.norm = nn.ModuleList(nn.LayerNorm(c.width) for _ in range(m))
        self.dropout = nn.Dropout(c.dropout)
        self.unimodal = nn.ModuleList(classifier(schema, c.width, c) for _ in range(m))
        self.head = classifier(schema, c.width + m, c)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the vectors of each modality (U, M, d) and the logits of each alone (U, M, C)."""
        dialogues = Dialogues.of(batch)
        keys = dialogues.pad(batch.available()).unbind(2)  # (D, L) each
        vectors, logits = [], []
        for i, x in enumerate(self.dropout(self.vectors(batch)).unbind(1)):
            padded = dialogues.pad(x)  # (D, L, d)
            h = dialogues.flat(padded + self.scan[i](padded, keys[i]))  # (D, L, d) -> (U, d)
            vectors.append(self.dropout(self.norm[i](h + self.broad[i](h))))
            logits.append(self.unimodal[i](vectors[-1]).float())
        return torch.stack(vectors, dim=1), torch.stack(logits, dim=1)

    def weights(self, logits: Tensor, available: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the weight of each modality (U, M); arguments of :func:`guidance`, equal weights for regression."""
        if self.schema.target.task == "regression":
            return masked_softmax(torch.zeros_like(logits[..., 0]), available)
        return guidance(logits, available, label)

    def answer(self, vectors: Tensor, weights: Tensor, available: Tensor) -> Tensor:
        """Return logits (U, C) from vectors (U, M, d), their weights (U, M) and (U, M) bool."""
        fused = (weights.to(vectors).unsqueeze(2) * vectors).sum(dim=1)  # (U, d)
        logits: Tensor = self.head(torch.cat([fused, available.to(fused)], dim=1))
        return logits.float()

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and, as ``weights``, the weight of each modality (U, M)."""
        (vectors, logits), available = self.encode(batch), batch.available()
        weights = self.weights(logits, available)
        return Prediction(self.answer(vectors, weights, available), auxiliary={"weights": weights})

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss of the fusion and those of the available modalities."""
        (vectors, logits), available = self.encode(observed), observed.available()
        weights = self.weights(logits, available, observed.label)
        alone = [self.task_loss(logits[:, m], labels_where(observed.label, available[:, m])) for m in range(available.shape[1])]
        return {
            "task": self.task_loss(self.answer(vectors, weights, available), observed.label),
            "unimodal": self.config.unimodal * torch.stack(alone).sum(),
        }


def guidance(logits: Tensor, available: Tensor, label: Tensor | None = None) -> Tensor:
    """Return the weight of each modality, proportional to its confidence; no gradient passes through it.

    Args:
        logits: (U, M, C) of each modality alone.
        available: (U, M) bool; a missing modality has weight 0, and the others sum to 1.
        label: in training (U,) int64 classes or (U, C) float32 shares: confidence is the probability of the label (of shares, the
            exponential of the mean log-probability). ``None``, and for unlabelled utterances: the largest probability.
    """
    scores = logits.detach().log_softmax(dim=2)  # (U, M, C)
    score = scores.amax(dim=2)
    if label is not None and label.ndim == 1:
        of_label = scores.gather(2, label.clamp_min(0)[:, None, None].expand(-1, scores.shape[1], 1)).squeeze(2)  # (U, M)
        score = torch.where(label[:, None] >= 0, of_label, score)
    elif label is not None:
        labelled = torch.isfinite(label).all(dim=1, keepdim=True)  # (U, 1)
        score = torch.where(labelled, (scores * label.nan_to_num().unsqueeze(1)).sum(dim=2), score)
    return masked_softmax(score, available)
