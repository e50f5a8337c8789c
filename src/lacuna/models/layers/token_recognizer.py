"""Models that recover tokens, refine them, and read all of them together: what those have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer
from lacuna.models.config import Config, check_bounds, check_multiples
from lacuna.models.layers.channel_attention import Reconstructors
from lacuna.models.layers.crossmodal import CrossModalFusion
from lacuna.models.layers.residual import Residual
from lacuna.models.layers.tokens import Seen, Tokens


@dataclass(frozen=True)
class TokenConfig(Config):
    """Settings of every :class:`TokenRecognizer`.

    Attributes:
        tokens: at most so many an utterance; 1 = one vector each. The papers have 48.
        code: most directions of a modality that are recovered.
        channels: of the reconstructors.
        channel_blocks: of each of them; the papers have 20.
        width: of a modality's tokens in the fusion.
        heads: of its attention, and of all other attention.
        cross: layers that read another modality.
        memory: layers that read themselves.
        dropout: share of units dropped in training.
        noise_seed: of the noise that answers start from.
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
        """Check these settings, for the ``__post_init__`` of the config of that model.

        Raises:
            ConfigError: a value is out of bounds, or heads do not divide the width.
        """
        check_bounds(model, self, tokens=(1, 4096), code=(1, 8192), channels=(1, 8192), channel_blocks=(1, 64), width=(1, 8192))
        check_bounds(model, self, heads=(1, 1024), cross=(1, 64), memory=(1, 64), dropout=(0.0, 1.0), noise_seed=(0, 2**63 - 1))
        check_multiples(model, self, "heads", "width")


class TokenRecognizer(Recognizer):
    """Recordings become tokens, what is missing of them is recovered, and a fusion of all is classified.

    A model says in :meth:`recovered` what it recovers. Its constructor makes the parts, so that its file shows which there are.
    """

    config: TokenConfig
    recovers = True
    fusion: CrossModalFusion
    residual: Residual
    head: nn.Module

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.tokens = Tokens(schema, self.config.code, self.config.tokens)

    def reconstructors(self) -> Reconstructors:
        """One a modality; those of sequences read neighbouring tokens too."""
        c = self.config
        return Reconstructors(self.tokens.widths, c.channels, c.channel_blocks, 3 if c.tokens > 1 else 1)

    def crossmodal(self) -> CrossModalFusion:
        """Of all modalities."""
        c = self.config
        return CrossModalFusion(list(self.schema.dims.values()), c.width, c.heads, c.cross, c.memory, c.dropout)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The grid of tokens and their code."""
        self.tokens.fit(batches)

    @abstractmethod
    def recovered(self, seen: Seen) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities when it answers: what was observed, and what is recovered of the rest."""

    def fused(self, seen: Seen, raw: Sequence[Tensor]) -> Tensor:
        """(U, F) of tokens without holes, one (U, L, d_m) a modality."""
        fused: Tensor = self.fusion(raw, seen.here | seen.asked)
        return fused

    def answer(self, fused: Tensor) -> Tensor:
        """(U, F) -> logits (U, C)."""
        logits: Tensor = self.head(self.residual(fused))
        return logits

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        seen = self.tokens(batch)
        raw = self.tokens.decode(seen, self.recovered(seen))
        return Prediction(self.answer(self.fused(seen, raw)), self.tokens.fill(batch, raw))
