"""Cascaded residual autoencoders that estimate what is missing, and a classifier of what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from lacuna.models.ae import AE, AEConfig
from lacuna.models.base import register
from lacuna.models.config import check_bounds
from lacuna.models.layers.autoencoder import Cascade
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class CRAConfig(AEConfig):
    """Settings of :class:`CRA`.

    Attributes:
        blocks: autoencoders in the cascade.
        embedding: as for the autoencoder, and so are the others.
    """

    recovery_weight: float = 0.8
    blocks: int = 2
    space: ClassVar[Space] = {**AEConfig.space, "blocks": Span(1, 4)}

    def __post_init__(self) -> None:
        check_bounds("cra", self, embedding=(1, 65536), hidden=(1, 65536), bottleneck=(1, 65536), blocks=(1, 64))
        check_bounds("cra", self, dropout=(0.0, 1.0), recovery_weight=(0.0, 1e6))


@register(
    "cra",
    title="Missing Modalities Imputation via Cascaded Residual Autoencoder",
    task="recovery",
    paper="http://cvlab.cse.msu.edu/pdfs/Tran_Liu_Zhou_Jin_CVPR2017.pdf",
    year=2017,
    venue="CVPR",
)
class CRA(AE):
    """As :class:`lacuna.models.ae.AE`, with a cascade of residual autoencoders (Tran et al., CVPR 2017) in place of one.

    What is observed reaches the classifier through the residual path, so that the blocks have to account for the rest only.
    """

    Config = CRAConfig
    config: CRAConfig

    def _imputer(self, modalities: int) -> nn.Module:
        c = self.config
        return Cascade(c.blocks, modalities, c.embedding, c.hidden, c.bottleneck)
