"""CRA: cascaded residual autoencoders that estimate missing modalities, and a classifier of their output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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
        blocks: number of autoencoders in the cascade. The other settings are those of :class:`~lacuna.models.ae.AEConfig`.
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
    modalities=("any",),
    paper="http://cvlab.cse.msu.edu/pdfs/Tran_Liu_Zhou_Jin_CVPR2017.pdf",
    year=2017,
    venue="CVPR",
)
class CRA(AE):
    r"""Cascaded Residual Autoencoder (CRA) of Tran, Liu, Zhou and Jin (CVPR 2017).

    .. math:: \hat{x} = x + \sum_k \Delta_k, \quad \Delta_k = A_k(x + \sum_{j<k} \Delta_j)

    The model is :class:`~lacuna.models.ae.AE` with a cascade in place of one autoencoder. Observed embeddings reach the
    classifier through the residual path, so the blocks model the missing ones only.
    """

    Config = CRAConfig
    config: CRAConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"ema": 0.98}  # chosen by experiments/defaults/small.py

    def _imputer(self, modalities: int) -> nn.Module:
        c = self.config
        return Cascade(c.blocks, modalities, c.embedding, c.hidden, c.bottleneck)
