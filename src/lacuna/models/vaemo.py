"""VAEmo: masked reconstruction and contrast of modalities first, classification second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, Stage, register
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.contrast import pairwise_info_nce
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.head import classifier
from lacuna.models.layers.positions import sinusoids
from lacuna.models.layers.streams import FrameStreams, masked_mean_of
from lacuna.models.space import Choice, Space, Span

_PRETRAIN, _TASK = "pretrain", "task"


@dataclass(frozen=True)
class VAEmoConfig(Config):
    """Settings of :class:`VAEmo`.

    Attributes:
        width: d, units of each frame; a multiple of ``heads``.
        heads: heads of each attention.
        layers: layers of the encoder.
        dropout: dropout rate.
        pretraining: epochs of the first stage, before classification begins; training must have more epochs. 0 = none.
        masked: share of the observed frames of an utterance that the first stage hides.
        contrast: weight of the contrast of modalities in the first stage.
        temperature: temperature of the contrast.
    """

    width: int = 48
    heads: int = 4
    layers: int = 1
    dropout: float = 0.2
    pretraining: int = 5
    masked: float = 0.75
    contrast: float = 0.1
    temperature: float = 0.1
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "layers": Span(1, 4),
        "dropout": Span(0.0, 0.6),
        "masked": Span(0.3, 0.9),
        "contrast": Span(0.01, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("vaemo", self, width=(1, 8192), heads=(1, 1024), layers=(1, 64), dropout=(0.0, 1.0))
        check_bounds("vaemo", self, pretraining=(0, 10**6), masked=(0.0, 0.99), contrast=(0.0, 1e6), temperature=(1e-3, 1e3))
        check_multiples("vaemo", self, "heads", "width")


@register(
    "vaemo",
    title="VAEmo: Efficient Representation Learning for Visual-Audio Emotion with Knowledge Injection",
    task="fusion",
    modalities=("audio", "vision"),
    paper="https://arxiv.org/abs/2505.02331",
    year=2025,
    reconstruction=True,
)
class VAEmo(Recognizer):
    """VAEmo of Cheng et al. (arXiv 2505.02331) on extracted features, reconstructed from its abstract.

    One encoder reads the frames of all modalities together, or those of one alone. In the first stage it reconstructs hidden
    frames from the others, and the vectors of two modalities of an utterance are drawn together (InfoNCE). In the second stage
    it is trained with the classifier, which reads the mean of each modality and which modalities are available.

    The second stage of the paper also aligns the vectors with descriptions that a language model writes; corpora hold none, so
    that is left out, and the transcript is no description. Text is one more modality of the encoder, in reconstruction and
    contrast. Decided here: the encoder is a transformer on projected features, hidden frames are a learned token, decoders are
    linear, the contrast is over every pair of modalities. Both stages read what the training mask left: a hidden frame is a
    target only if it was observed, at least one frame stays visible, and pairs that lack a modality are in no contrast.
    """

    Config = VAEmoConfig
    config: VAEmoConfig
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, m = self.config, len(schema.dims)
        self.streams = FrameStreams(schema, c.width)
        self.modality = nn.Parameter(0.02 * torch.randn(m, c.width))
        self.hidden = nn.Parameter(0.02 * torch.randn(c.width))
        self.encoder = nn.ModuleList(CrossModalReading(c.width, c.heads, c.dropout) for _ in range(c.layers))
        self.norm, self.dropout = nn.LayerNorm(c.width), nn.Dropout(c.dropout)
        self.decode = nn.ModuleList(nn.Linear(c.width, dim) for dim in schema.dims.values())
        self.head = classifier(schema, m * (c.width + 1), c)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stage of reconstruction and contrast, if it has epochs, and that of classification after it."""
        n_epochs = self.config.pretraining
        parts = ("streams.", "modality", "hidden", "encoder.", "norm.", "decode.")
        return (*((Stage(_PRETRAIN, parts, end=n_epochs),) if n_epochs else ()), Stage(_TASK, first=n_epochs))

    def encode(self, streams: Sequence[Tensor], keys: Sequence[Tensor]) -> list[Tensor]:
        """Return the encoded frames of some modalities, (U, T_m, d) each, from such streams and (U, T_m) bool."""
        x, present = torch.cat(list(streams), dim=1), torch.cat(list(keys), dim=1)  # (U, N, d), (U, N) with N = sum of T_m
        for layer in self.encoder:
            x = layer(x, x, present)
        return list(torch.split(self.norm(x), [k.shape[1] for k in keys], dim=1))

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        streams, keys = self._coded(batch)
        encoded = self.encode(streams, keys)
        vector = self.dropout(torch.cat([masked_mean_of(x, k) for x, k in zip(encoded, keys, strict=True)], dim=1))  # (U, M d)
        return Prediction(self.head(torch.cat([vector, batch.available().to(vector)], dim=1)).float())

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of reconstruction and contrast, or the task loss."""
        if stage == _TASK:
            return {"task": self.task_loss(self(observed).logits, observed.label)}
        c, (streams, keys) = self.config, self._coded(observed)
        alone = [self.encode([x], [k])[0] for x, k in zip(streams, keys, strict=True)]
        vectors = torch.stack([masked_mean_of(x, k) for x, k in zip(alone, keys, strict=True)], dim=1)  # (U, M, d)
        hidden = hide(keys, c.masked)
        rebuilt = self._rebuilt(streams, keys, hidden)
        return {
            "reconstruction": hidden_frame_error(rebuilt, list(observed.features.values()), hidden),
            "contrast": c.contrast * pairwise_info_nce(vectors, observed.available(), c.temperature),
        }

    def _coded(self, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Return the projected frames with the code of their modality, and which exist."""
        streams, keys = self.streams(batch)
        return [x + code for x, code in zip(streams, self.modality, strict=True)], keys

    def _rebuilt(self, streams: Sequence[Tensor], keys: Sequence[Tensor], hidden: Sequence[Tensor]) -> list[Tensor]:
        """Return the decoded frames (U, T_m, d_m) of all modalities; of a hidden frame only modality and position are read."""
        entering = []
        for x, code, h in zip(streams, self.modality, hidden, strict=True):
            token = self.hidden + code + sinusoids(x.shape[1], x.shape[2], x.device).to(x)  # (T_m, d)
            entering.append(torch.where(h.unsqueeze(2), token.to(x), x))
        return [decode(x) for decode, x in zip(self.decode, self.encode(entering, keys), strict=True)]


def hide(keys: Sequence[Tensor], share: float) -> list[Tensor]:
    """Return which frames to hide: of n observed frames of an utterance, the whole part of ``share`` n, drawn at random.

    Args:
        keys: one (U, T_m) bool for each modality, the observed frames.
        share: 0 to below 1, so that one observed frame stays visible.

    Returns:
        One (U, T_m) bool for each modality.
    """
    observed = torch.cat(list(keys), dim=1)  # (U, N)
    order = torch.rand(observed.shape, device=observed.device).masked_fill(~observed, 2.0).argsort(dim=1).argsort(dim=1)
    hidden = order < (share * observed.sum(dim=1, keepdim=True)).floor()
    return list(torch.split(hidden & observed, [k.shape[1] for k in keys], dim=1))


def hidden_frame_error(rebuilt: Sequence[Tensor], frames: Sequence[Tensor], hidden: Sequence[Tensor]) -> Tensor:
    """Return the mean squared error of the hidden frames of all modalities, a scalar; 0 if there are none.

    Args:
        rebuilt: one (U, T_m, d_m) for each modality.
        frames: one (U, T_m, d_m) for each modality.
        hidden: one (U, T_m) bool for each modality: observed frames that the encoder did not see.
    """
    errors = [(x.float() - y).square().mean(dim=2) for x, y in zip(rebuilt, frames, strict=True)]  # (U, T_m) each
    counted = torch.cat(list(hidden), dim=1)
    return (torch.cat(errors, dim=1) * counted).sum() / counted.sum().clamp_min(1)
