"""HBAF: heterogeneous bimodal attention fusion over the turns of a dialogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.attention import masked_softmax
from lacuna.models.layers.contrast import cosine_distance, info_nce
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.positions import sinusoids
from lacuna.models.layers.streams import MaskedAttention, UtteranceVectors
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class HBAFConfig(Config):
    """Settings of :class:`HBAF`.

    Attributes:
        width: d, units of each vector; a multiple of ``heads``.
        heads: heads of the attention within a modality.
        dropout: dropout rate.
        text: name of the modality whose features already hold the context of an utterance; the others get it added.
        absolute: weight of the absolute contrast (cosine distance of the modalities of an utterance).
        relative: weight of the relative contrast (InfoNCE over the batch).
        temperature: temperature of the relative contrast.
    """

    width: int = 48
    heads: int = 4
    dropout: float = 0.3
    text: str = "text"
    absolute: float = 0.1
    relative: float = 0.1
    temperature: float = 0.1
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "dropout": Span(0.0, 0.7),
        "absolute": Span(0.003, 1.0, log=True),
        "relative": Span(0.003, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("hbaf", self, width=(1, 8192), heads=(1, 1024), dropout=(0.0, 1.0))
        check_bounds("hbaf", self, absolute=(0.0, 1e6), relative=(0.0, 1e6), temperature=(1e-3, 1e3))
        check_multiples("hbaf", self, "heads", "width")


class DynamicAttention(nn.Module):
    r"""Attention to another modality whose scores are damped by a learned relation of the two turns.

    .. math:: s_{ij} = \sigma(q_i^T W k_j + b) \, q_i^T k_j / \sqrt d

    The result passes a gate: :math:`\sigma(G [x_i; h_i]) h_i` for the attended vector :math:`h_i`.

    Args:
        width: d.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.relation, self.relation_bias = nn.Linear(width, width, bias=False), nn.Parameter(torch.zeros(()))
        self.gate = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, read: Tensor, keys: Tensor) -> Tensor:
        """Return (D, L, d) from queries x (D, L, d) and turns read (D, L, d) with keys (D, L) bool; exactly 0 without keys."""
        q, k = self.query(x), self.key(read)
        relation = torch.sigmoid(self.relation(q) @ k.transpose(1, 2) + self.relation_bias)  # (D, L, L)
        weights = masked_softmax(relation * (q @ k.transpose(1, 2)) / x.shape[-1] ** 0.5, keys.unsqueeze(1))
        attended = weights @ self.value(read)
        gated: Tensor = torch.sigmoid(self.gate(torch.cat([x, attended], dim=2))) * attended
        return gated


@register(
    "hbaf",
    title="Heterogeneous bimodal attention fusion for speech emotion recognition",
    task="fusion",
    modalities=("text", "audio"),
    paper="https://arxiv.org/abs/2503.06405",
    year=2025,
    venue="Speech Communication",
    reconstruction=True,
)
class HBAF(Recognizer):
    r"""HBAF of Luo, Phan, Wang and Reiss (Speech Communication 2025), reconstructed from its abstract and public summaries.

    Context of the dialogue is added to the low-level modalities, :math:`U_m = LN(W_m x_m + C_m)`; text is only projected. Each
    modality reads every other one by gated :class:`DynamicAttention` and itself by self-attention:

    .. math:: Z_m = LN(U_m + S_m + \sum_{n \ne m} g_{mn} H_{m \leftarrow n}), \quad L = L_{task} + a L_{abs} + b L_{rel}

    The head reads all :math:`Z_m` and which modalities are available. No code is public. Decided here: the form of the damping
    and of the gate, self-attention as context network, the two contrasts as mean cosine distance and InfoNCE with only the
    modalities of the same utterance as positives, any number of modalities (the paper has audio and text). A missing modality
    has :math:`Z_m = 0`, is no key, and is in no contrast. So without text the answer is that of the audio path alone.
    """

    Config = HBAFConfig
    config: HBAFConfig
    needs_dialogue = True
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, names = self.config, list(schema.dims)
        self.vectors = UtteranceVectors(schema, c.width)
        self.enter = nn.ModuleDict({m: nn.Linear(c.width, c.width) for m in names})
        self.context = nn.ModuleDict({m: MaskedAttention(c.width, c.heads) for m in names if m != c.text})
        self.contextual = nn.ModuleDict({m: nn.LayerNorm(c.width) for m in names if m != c.text})
        self.intra = nn.ModuleDict({m: MaskedAttention(c.width, c.heads) for m in names})
        self.inter = nn.ModuleDict({f"{m}<-{n}": DynamicAttention(c.width) for m in names for n in names if m != n})
        self.norm = nn.ModuleDict({m: nn.LayerNorm(c.width) for m in names})
        self.dropout = nn.Dropout(c.dropout)
        self.head = classifier(schema, len(names) * (c.width + 1), c)

    def encode(self, batch: Batch) -> Tensor:
        """Return the fused vectors of each modality (U, M, d), 0 where it is missing."""
        dialogues, available = Dialogues.of(batch), batch.available()
        vectors = [dialogues.pad(x) for x in self.dropout(self.vectors(batch)).unbind(1)]  # (D, L, d) each
        keys = dialogues.pad(available)  # (D, L, M)
        position = sinusoids(keys.shape[1], self.config.width, keys.device)
        present = dict(zip(batch.features, keys.unbind(2), strict=True))
        unimodal: dict[str, Tensor] = {}
        for name, x in zip(batch.features, vectors, strict=True):
            u = self.enter[name](x) + position.to(x)
            unimodal[name] = self.contextual[name](u + self.context[name](u, u, present[name])) if name in self.context else u
        fused = []
        for name, u in unimodal.items():
            total = u + self.intra[name](u, u, present[name])
            for other, read in unimodal.items():
                if other != name:
                    total = total + self.inter[f"{name}<-{other}"](u, read, present[other])
            fused.append(dialogues.flat(self.norm[name](total)))  # (D, L, d) -> (U, d)
        return torch.stack(fused, dim=1) * available.unsqueeze(2)

    def answer(self, fused: Tensor, available: Tensor) -> Tensor:
        """Return logits (U, C) from fused vectors (U, M, d) and (U, M) bool."""
        inputs = torch.cat([self.dropout(fused).flatten(1), available.to(fused)], dim=1)  # (U, M d + M)
        logits: Tensor = self.head(inputs)
        return logits.float()

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        return Prediction(self.answer(self.encode(batch), batch.available()))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss and the two contrasts, means over the pairs of modalities."""
        c, fused, available = self.config, self.encode(observed), observed.available()
        terms = {"task": self.task_loss(self.answer(fused, available), observed.label)}
        pairs = list(combinations(range(available.shape[1]), 2))
        if pairs:
            triples = [(fused[:, i], fused[:, j], available[:, i] & available[:, j]) for i, j in pairs]
            terms["absolute"] = c.absolute * torch.stack([cosine_distance(*triple) for triple in triples]).mean()
            terms["relative"] = c.relative * torch.stack([info_nce(*triple, c.temperature) for triple in triples]).mean()
        return terms
