"""What DiCMoR, IMDer and RoHyDR share: recovery of tokens, their refinement, and a fusion of all modalities."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.channel_attention import Reconstructors
from lacuna.models.layers.crossmodal import CrossModalFusion
from lacuna.models.layers.head import classifier
from lacuna.models.layers.tokens import TokenBatch, Tokens


@dataclass(frozen=True)
class TokenConfig(Config):
    """Settings of every :class:`TokenRecognizer`.

    Attributes:
        tokens: largest number of tokens of an utterance; 1 = one vector. The papers have 48.
        code: largest number of principal directions of a modality that are recovered.
        channels: channels of the reconstructors.
        channel_blocks: blocks of each reconstructor; the papers have 20.
        width: units of the tokens of each modality in the fusion.
        heads: heads of the fusion and of all other attention.
        cross: number of cross-modal layers.
        memory: number of self-attention layers after them.
        dropout: dropout rate.
        noise_seed: seed of the noise that a prediction starts from.
    """

    tokens: int = 1
    code: int = 48
    channels: int = 32
    channel_blocks: int = 2
    width: int = 32
    heads: int = 4
    cross: int = 1
    memory: int = 1
    dropout: float = 0.2
    noise_seed: int = 0

    def check(self, model: str) -> None:
        """Check these settings; called in ``__post_init__`` of the config of the model.

        Raises:
            ConfigError: a value is out of bounds, or ``width`` is not a multiple of ``heads``.
        """
        check_bounds(model, self, tokens=(1, 4096), code=(1, 8192), channels=(1, 8192), channel_blocks=(1, 64), width=(1, 8192))
        check_bounds(model, self, heads=(1, 1024), cross=(1, 64), memory=(1, 64), dropout=(0.0, 1.0), noise_seed=(0, 2**63 - 1))
        check_multiples(model, self, "heads", "width")


class TokenRecognizer(Recognizer):
    """Base of models that recover missing tokens and classify the fusion of all modalities.

    A model implements :meth:`recovered`. Its constructor creates its own parts, then calls :meth:`add_fusion` and
    :meth:`add_head`.
    """

    config: TokenConfig
    recovers = True
    tiny: ClassVar[Mapping[str, Any]] = {"channels": 8, "channel_blocks": 1, "width": 16, "heads": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.tokens = Tokens(schema, self.config.code, self.config.tokens)

    def reconstructors(self) -> Reconstructors:
        """Return one reconstructor for each modality; for sequences, they also read neighbouring tokens."""
        c = self.config
        return Reconstructors(self.tokens.widths, c.channels, c.channel_blocks, 3 if c.tokens > 1 else 1)

    def add_fusion(self) -> None:
        """Create the fusion of all modalities."""
        c = self.config
        self.fusion = CrossModalFusion(list(self.schema.dims.values()), c.width, c.heads, c.cross, c.memory, c.dropout)

    def add_head(self) -> None:
        """Create the classifier of the fused vector; call it after :meth:`add_fusion`."""
        self.residual = Residual(self.fusion.width, self.fusion.width, nn.ReLU(), self.config.dropout)
        self.head = classifier(self.schema, self.fusion.width, self.config)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Set the grid of tokens and their code."""
        self.tokens.fit(batches)

    @abstractmethod
    def recovered(self, seen: TokenBatch) -> list[Tensor]:
        """Return codes (U, L, w_m) of all modalities for a prediction: observed ones unchanged, missing ones recovered."""

    def fused(self, seen: TokenBatch, raw: Sequence[Tensor]) -> Tensor:
        """Return the fused vector (U, F) of completed tokens, one (U, L, d_m) for each modality."""
        fused: Tensor = self.fusion(raw, (seen.observed | seen.missing).unbind(1))
        return fused

    def answer(self, fused: Tensor) -> Tensor:
        """Return logits (U, C) from fused vectors (U, F)."""
        logits: Tensor = self.head(self.residual(fused))
        return logits

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and recovered frames."""
        seen = self.tokens(batch)
        raw = self.tokens.decode(seen, self.recovered(seen))
        return Prediction(self.answer(self.fused(seen, raw)), self.tokens.fill(batch, raw))


class Residual(nn.Sequential):
    """Residual block ``x + f(x)`` with two linear maps in ``f``.

    Args:
        width: units of input and output.
        inner: units between the maps.
        activation: activation between the maps.
        dropout: dropout rate between the maps.
    """

    def __init__(self, width: int, inner: int, activation: nn.Module, dropout: float) -> None:
        super().__init__(nn.Linear(width, inner), activation, nn.Dropout(dropout), nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., width) from (..., width)."""
        return x + super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
