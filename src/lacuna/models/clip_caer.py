"""Head of CLIP-CAER: visual streams fused into one vector that is compared with learned class prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.class_prompts import ClassPrompts
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.label_statistics import label_statistics
from lacuna.models.layers.streams import FrameStreams
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class ClipCAERConfig(Config):
    """Settings of :class:`ClipCAER`.

    Attributes:
        width: units of each stream; a multiple of ``heads``.
        heads: heads of the attention over frames.
        dropout: dropout rate.
        temperature: divisor of the cosines; 0.01 in the paper, whose encoders are trained already.
    """

    width: int = 48
    heads: int = 4
    dropout: float = 0.3
    temperature: float = 0.1
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "dropout": Span(0.0, 0.6),
        "temperature": Span(0.01, 0.5, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("clip_caer", self, width=(1, 8192), heads=(1, 1024), dropout=(0.0, 1.0), temperature=(1e-4, 1e4))
        check_multiples("clip_caer", self, "heads", "width")


@register(
    "clip_caer",
    title="Context-Aware Academic Emotion Dataset and Benchmark",
    task="fusion",
    modalities=("text", "vision"),
    paper="https://arxiv.org/abs/2507.00586",
    year=2025,
    venue="ICCV",
)
class ClipCAER(Recognizer):
    """Head of CLIP-CAER (Zhao et al., ICCV 2025) on features that an image encoder has extracted, as in its public code.

    In each stream a class token attends to the frames, one transformer layer. The streams are concatenated, mapped to one
    vector, and compared with the prompt of each class by cosine (:class:`~lacuna.models.layers.class_prompts.ClassPrompts`). The
    paper has two streams, face and context; here every modality of the corpus is a stream.

    Left out, because they need the encoders of CLIP: fine-tuning of the image encoder, and prompts that are texts (a description
    of the class and learned tokens) read by the text encoder. Here a prompt is a learned vector, so nothing is known of a class
    beside its examples. Decided here: two prompts for regression; a missing stream adds nothing to the vector, and the map also
    reads which streams are available.
    """

    Config = ClipCAERConfig
    config: ClipCAERConfig
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, n_streams = self.config, len(schema.dims)
        self.streams = FrameStreams(schema, c.width)
        self.tokens = nn.Parameter(0.02 * torch.randn(n_streams, c.width))
        self.read = nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(n_streams))
        self.fuse = nn.Linear(n_streams * (c.width + 1), c.width)
        self.dropout = nn.Dropout(c.dropout)
        self.prompts = ClassPrompts(schema, c.width, c.temperature)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Set mean and standard deviation of the training labels, for regression."""
        if self.schema.target.task == "regression":
            mean, scale = label_statistics(self.schema.target, batches)
            self.prompts.fit(mean.squeeze(0), scale)

    def encode(self, batch: Batch) -> Tensor:
        """Return the visual vector of each utterance (U, d)."""
        streams, present = self.streams(batch)
        available = batch.available()
        vectors = []
        for m, (frames, keys) in enumerate(zip(streams, present, strict=True)):
            token = self.tokens[m].to(frames).expand(len(frames), 1, -1)  # (d,) -> (U, 1, d)
            vectors.append(self.read[m](token, frames, keys).squeeze(1) * available[:, m, None])
        vector = self.dropout(torch.cat(vectors, dim=1))  # (U, M d)
        fused: Tensor = self.fuse(torch.cat([vector, available.to(vector)], dim=1))
        return fused

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        return Prediction(self.prompts(self.encode(batch)))
