"""M2FNet: multi-head attention fusion of the turns of a dialogue, with an adaptive-margin triplet loss."""

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
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.head import classifier
from lacuna.models.layers.positions import sinusoids
from lacuna.models.layers.streams import UtteranceVectors
from lacuna.models.layers.triplet import adaptive_triplet
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class M2FNetConfig(Config):
    """Settings of :class:`M2FNet`.

    Attributes:
        width: d, units of each vector; a multiple of ``heads``.
        heads: heads of each attention.
        layers: self-attention layers of each modality over the dialogue.
        fusions: fusion layers, in which the query modality reads the others.
        dropout: dropout rate.
        query: name of the query modality; the first modality if the corpus has no such one.
        triplet: weight of the triplet loss of each modality; for classes and soft labels only.
        margin: smallest margin of the triplet loss.
        slope: largest addition to the margin.
    """

    width: int = 48
    heads: int = 4
    layers: int = 1
    fusions: int = 2
    dropout: float = 0.3
    query: str = "text"
    triplet: float = 0.1
    margin: float = 0.2
    slope: float = 0.3
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "layers": Span(1, 4),
        "fusions": Span(1, 5),
        "dropout": Span(0.0, 0.7),
        "triplet": Span(0.003, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("m2fnet", self, width=(1, 8192), heads=(1, 1024), layers=(1, 64), fusions=(1, 64), dropout=(0.0, 1.0))
        check_bounds("m2fnet", self, triplet=(0.0, 1e6), margin=(0.0, 2.0), slope=(0.0, 2.0))
        check_multiples("m2fnet", self, "heads", "width")


@register(
    "m2fnet",
    title="M2FNet: Multi-modal Fusion Network for Emotion Recognition in Conversation",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2206.02187",
    year=2022,
    venue="CVPR Workshops",
    reconstruction=True,
)
class M2FNet(Recognizer):
    """M2FNet of Chudasama et al. (CVPR Workshops 2022), reconstructed: no code of the authors is public.

    Self-attention over the turns of the dialogue, with a residual from the input, encodes each modality. In the fusion one
    modality is the query and the turns of all others are keys and values, several times in sequence. The head reads the fused
    vector and the vectors of all modalities.

    The paper trains its feature extractors with the triplet loss; here the features are given, so the loss acts on the vector of
    each utterance and modality before the dialogue is read. Decided here: the form of the margin
    (:func:`~lacuna.models.layers.triplet.adaptive_triplet`), the hardest triplet of each anchor; the variance and covariance
    penalties and the class weights of the paper are left out. A missing modality is no key and in no triplet; as query it is a
    learned vector. The head also reads which modalities are available.
    """

    Config = M2FNetConfig
    config: M2FNetConfig
    needs_dialogue = True
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2, "fusions": 1}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, names = self.config, list(schema.dims)
        self.query = names.index(c.query) if c.query in names else 0
        self.vectors = UtteranceVectors(schema, c.width)
        self.absent = nn.Parameter(0.02 * torch.randn(len(names), c.width))
        self.encode = nn.ModuleList(
            nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(c.layers)) for _ in names
        )
        self.fuse = nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(c.fusions if names[1:] else 0))
        self.norm, self.dropout = nn.LayerNorm(c.width), nn.Dropout(c.dropout)
        self.head = classifier(schema, (len(names) + 1) * c.width + len(names), c)

    def answer(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return logits (U, C) from the vectors of the utterances (U, M, d), 0 where missing."""
        dialogues, available = Dialogues.of(batch), batch.available()
        filled = self.dropout(torch.where(available.unsqueeze(2), vectors, self.absent.to(vectors)))
        keys = dialogues.pad(available).unbind(2)  # (D, L) each
        encoded = []
        for x, present, layers in zip(filled.unbind(1), keys, self.encode, strict=True):
            state = start = dialogues.pad(x)  # (D, L, d)
            state = state + sinusoids(state.shape[1], state.shape[2], state.device).to(state)
            for layer in layers:  # type: ignore[attr-defined]
                state = layer(state, state, present)
            encoded.append(start + state)
        fused = encoded[self.query]
        others = [m for m in range(len(encoded)) if m != self.query]
        for fusion in self.fuse:
            fused = fusion(fused, torch.cat([encoded[m] for m in others], dim=1), torch.cat([keys[m] for m in others], dim=1))
        alone = [dialogues.flat(x) * available[:, m, None] for m, x in enumerate(encoded)]  # (U, d) each, 0 where missing
        vector = self.dropout(torch.cat([dialogues.flat(self.norm(fused)), *alone], dim=1))  # (U, (M + 1) d)
        logits: Tensor = self.head(torch.cat([vector, available.to(vector)], dim=1))
        return logits.float()

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        return Prediction(self.answer(self.vectors(batch), batch))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss and, for classes and soft labels, the mean triplet loss of the modalities."""
        c, target, vectors = self.config, self.schema.target, self.vectors(observed)
        terms = {"task": self.task_loss(self.answer(vectors, observed), observed.label)}
        if target.task != "regression":
            classes = observed.label if target.task == "classification" else observed.label.nan_to_num().argmax(dim=1)
            known = observed.available() & observed.labelled.unsqueeze(1)  # (U, M)
            columns = zip(vectors.unbind(1), known.unbind(1), strict=True)
            terms["triplet"] = (
                c.triplet * torch.stack([adaptive_triplet(x, classes, rows, c.margin, c.slope) for x, rows in columns]).mean()
            )
        return terms
