"""BCAF: bimodal connection attention fusion over the turns of a dialogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.positions import sinusoids
from lacuna.models.layers.streams import MaskedAttention, UtteranceVectors, labels_where
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class BCAFConfig(Config):
    """Settings of :class:`BCAF`.

    Attributes:
        width: d, units of each vector; a multiple of ``heads``.
        code: units of the connection code; smaller than ``width``, so that it cannot copy its input.
        heads: heads of each attention.
        dropout: dropout rate.
        unimodal: weight of the task loss of each modality alone.
        connection: weight of the error of one modality decoded from the code of another one.
    """

    width: int = 48
    code: int = 16
    heads: int = 4
    dropout: float = 0.3
    unimodal: float = 0.3
    connection: float = 0.1
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "code": Span(8, 32),
        "dropout": Span(0.0, 0.7),
        "unimodal": Span(0.03, 1.0, log=True),
        "connection": Span(0.01, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("bcaf", self, width=(1, 8192), code=(1, 8192), heads=(1, 1024), dropout=(0.0, 1.0))
        check_bounds("bcaf", self, unimodal=(0.0, 1e6), connection=(0.0, 1e6))
        check_multiples("bcaf", self, "heads", "width")


@register(
    "bcaf",
    title="Bimodal Connection Attention Fusion for Speech Emotion Recognition",
    task="fusion",
    modalities=("text", "audio"),
    paper="https://arxiv.org/abs/2503.05858",
    year=2025,
    reconstruction=True,
)
class BCAF(Recognizer):
    r"""BCAF of Luo, Phan, Wang and Reiss (arXiv 2503.05858): connection, bimodal attention, correlative attention.

    An encoder of each modality gives a connection code, from which every modality is decoded, also its own one. The code is added
    to the vector of the turn. Each modality attends to itself and to the others; the results are concatenated. Correlative
    attention then adds channels of the other modalities, weighted by their covariance with its own channels over the dialogue.

    .. math:: L = L_{fused} + u \sum_m L_m + c L_{connection}

    No code is public; the composition follows the abstract, the equations are decisions of this library: linear encoders and
    decoders with a nonlinear code, detached targets of the decoders, covariance over the turns of the dialogue that have both
    modalities (so an answer does not depend on other dialogues), any number of modalities (the paper has audio and text). Missing
    modalities are no keys, add nothing to the others, and are in no loss; the head also reads which modalities are available.
    """

    Config = BCAFConfig
    config: BCAFConfig
    needs_dialogue = True
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "code": 8, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, m = self.config, len(schema.dims)
        self.vectors = UtteranceVectors(schema, c.width)
        self.encode = nn.ModuleList(nn.Sequential(nn.Linear(c.width, c.code), nn.GELU()) for _ in range(m))
        self.decode = nn.ModuleList(nn.ModuleList(nn.Linear(c.code, c.width) for _ in range(m)) for _ in range(m))
        self.connect = nn.ModuleList(nn.Linear(c.code, c.width) for _ in range(m))
        self.attend = nn.ModuleList(nn.ModuleList(MaskedAttention(c.width, c.heads) for _ in range(m)) for _ in range(m))
        self.merge = nn.ModuleList(nn.Sequential(nn.Linear(m * c.width, c.width), nn.LayerNorm(c.width)) for _ in range(m))
        self.norm = nn.ModuleList(nn.LayerNorm(c.width) for _ in range(m))
        self.dropout = nn.Dropout(c.dropout)
        self.unimodal = nn.ModuleList(classifier(schema, c.width, c) for _ in range(m))
        self.head = classifier(schema, m * (c.width + 1), c)

    def connection(self, vectors: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes (U, M, code) and the connection loss, a scalar, from vectors (U, M, d) and (U, M) bool."""
        codes = [encode(x) for encode, x in zip(self.encode, vectors.unbind(1), strict=True)]
        error, count = vectors.new_zeros(()), 0 * available.sum()
        for i, decoders in enumerate(self.decode):
            for j, decode in enumerate(decoders):  # type: ignore[arg-type, var-annotated]
                both = available[:, i] & available[:, j]
                distance = (decode(codes[i]) - vectors[:, j].detach()).square().mean(dim=1)  # (U,)
                error, count = error + (distance * both).sum(), count + both.sum()
        return torch.stack(codes, dim=1), error / count.clamp_min(1)

    def fused(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the fused vectors of each modality (U, M, d), 0 where it is missing, and the connection loss."""
        dialogues, available = Dialogues.of(batch), batch.available()
        vectors = self.dropout(self.vectors(batch))
        codes, error = self.connection(vectors, available)
        connected = [x + connect(b) for x, connect, b in zip(vectors.unbind(1), self.connect, codes.unbind(1), strict=True)]
        padded = [dialogues.pad(x) for x in connected]  # (D, L, d) each
        keys = dialogues.pad(available)  # (D, L, M)
        padded = [x + sinusoids(x.shape[1], x.shape[2], x.device).to(x) for x in padded]
        streams = list(zip(padded, keys.unbind(2), strict=True))
        merged = []
        for x, readers, merge in zip(padded, self.attend, self.merge, strict=True):
            read = [reader(x, *other) for reader, other in zip(readers, streams, strict=True)]  # type: ignore[call-overload]
            merged.append(x + merge(torch.cat(read, dim=2)))
        result = []
        for i, x in enumerate(merged):
            added = [correlated(x, y, keys[:, :, i] & keys[:, :, j]) for j, y in enumerate(merged) if j != i]
            result.append(dialogues.flat(self.norm[i](torch.stack([x, *added]).sum(dim=0))))  # (D, L, d) -> (U, d)
        return torch.stack(result, dim=1) * available.unsqueeze(2), error

    def answer(self, fused: Tensor, available: Tensor) -> Tensor:
        """Return logits (U, C) from fused vectors (U, M, d) and (U, M) bool."""
        logits: Tensor = self.head(torch.cat([self.dropout(fused).flatten(1), available.to(fused)], dim=1))  # (U, M d + M)
        return logits.float()

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        return Prediction(self.answer(self.fused(batch)[0], batch.available()))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss of the fusion, those of the available modalities, and the connection loss."""
        (fused, error), available = self.fused(observed), observed.available()
        alone = [
            self.task_loss(head(fused[:, m]).float(), labels_where(observed.label, available[:, m]))
            for m, head in enumerate(self.unimodal)
        ]
        return {
            "task": self.task_loss(self.answer(fused, available), observed.label),
            "unimodal": self.config.unimodal * torch.stack(alone).sum(),
            "connection": self.config.connection * error,
        }


def channel_weights(x: Tensor, y: Tensor, both: Tensor) -> Tensor:
    """Return the softmax over the channels of y of their covariance with each channel of x, (D, d, d); rows sum to 1.

    Args:
        x: (D, L, d).
        y: (D, L, d).
        both: (D, L) bool, the turns that have both modalities; the covariance is taken over them.
    """
    mask = both.unsqueeze(2)  # (D, L, 1)
    count = mask.sum(dim=1, keepdim=True)  # (D, 1, 1)
    x, y = ((v - (v * mask).sum(dim=1, keepdim=True) / count.clamp_min(1)) * mask for v in (x, y))
    covariance = x.transpose(1, 2) @ y / (count - 1).clamp_min(1)  # (D, d, d)
    return covariance.softmax(dim=2)


def correlated(x: Tensor, y: Tensor, both: Tensor) -> Tensor:
    """Return what y adds to each channel of x, (D, L, d); exactly 0 in turns that lack one of the two modalities."""
    return y @ channel_weights(x, y, both).transpose(1, 2) * both.unsqueeze(2)
