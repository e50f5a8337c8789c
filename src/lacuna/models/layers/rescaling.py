"""Attention re-scaling at inference: balance the attention that modalities get, without parameters of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.models.config import Config
from lacuna.models.layers.attention import masked_softmax

if TYPE_CHECKING:
    from lacuna.models.base import Recognizer

Rescale = Callable[[Tensor], Tensor]  # weights (U, H, L, K) -> weights (U, H, L, K)
RESCALING: dict[str, tuple[float, float]] = {"rescale": (0.0, 1.0), "rescale_above": (1.0, 1e6)}  # bounds of the settings


@dataclass(frozen=True, kw_only=True)
class RescalingConfig(Config):
    """Base of the settings of models with attention over modalities; they check the bounds :data:`RESCALING`.

    Attributes:
        rescale: strength of attention re-scaling at inference (:class:`Rescaling`), 0 to 1; 0 = off, 1 = equal attention to all
            available modalities.
        rescale_above: largest ratio of the attention of two modalities that is left as it is.
    """

    rescale: float = 0.0
    rescale_above: float = 1.0


@dataclass(frozen=True)
class Rescaling:
    r"""Attention re-scaling (AR of MoSEAR, arXiv 2508.01181), for the attention of any model and any number of modalities.

    Let :math:`s_m` be the sum of the attention weights on modality m, and t the mean of :math:`s_m` over the modalities that have
    keys. If the largest :math:`s_m` is more than ``above`` times the smallest one, the weights on m are multiplied by

    .. math:: c \, (t / s_m)^{\rho}

    where c keeps the sum over all modalities unchanged. So modalities without keys get no attention, and a single available
    modality keeps its weights. The paper has audio and video in a language model; equal shares as target are a decision of this
    library. A model uses it at inference only.

    Attributes:
        power: :math:`\rho`, 0 to 1; 1 = the shares are equal.
        above: ratio of the shares above which they are changed, at least 1.

    Example:
        >>> shares, keys = torch.tensor([0.8, 0.2, 0.0]), torch.tensor([True, True, False])
        >>> Rescaling(power=1.0).mass(shares, keys).tolist()
        [0.5, 0.5, 0.0]
    """

    power: float
    above: float = 1.0

    @classmethod
    def of(cls, model: Recognizer) -> Rescaling | None:
        """Return the re-scaling of a model with a :class:`RescalingConfig`; ``None`` if it is off, and in training."""
        config: RescalingConfig = model.config
        return None if model.training or not config.rescale else cls(config.rescale, config.rescale_above)

    def mass(self, mass: Tensor, keys: Tensor) -> Tensor:
        """Return the new sums of weights (..., M); their total does not change.

        Args:
            mass: (..., M) sum of the attention weights on each modality, 0 where it has no keys.
            keys: (..., M) bool, the modality has keys; broadcast to ``mass``.
        """
        total = mass.sum(dim=-1, keepdim=True)
        target = total / keys.sum(dim=-1, keepdim=True).clamp_min(1)
        uneven = mass.amax(dim=-1, keepdim=True) > self.above * mass.masked_fill(~keys, torch.inf).amin(dim=-1, keepdim=True)
        scaled = mass.pow(1 - self.power) * target.pow(self.power) * keys
        scaled = scaled * total / scaled.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(mass.dtype).tiny)
        return torch.where(uneven, scaled, mass)

    def over(self, keys: Sequence[Tensor]) -> Rescale:
        """Return the re-scaling of attention to the concatenated keys of all modalities.

        Args:
            keys: one (U, K_m) bool for each modality.
        """
        lengths = torch.tensor([k.shape[1] for k in keys], device=keys[0].device)
        modality = torch.arange(len(keys), device=lengths.device).repeat_interleave(lengths)  # (K,)
        has_keys = torch.stack([k.any(dim=1) for k in keys], dim=1)[:, None, None]  # (U, 1, 1, M)

        def rescale(weights: Tensor) -> Tensor:
            mass = weights @ functional.one_hot(modality, len(keys)).to(weights)  # (U, H, L, K) @ (K, M)
            return weights * _ratio(self.mass(mass, has_keys), mass)[..., modality]

        return rescale

    def between(self, weights: Sequence[Tensor], keys: Sequence[Tensor]) -> list[Rescale]:
        """Return the re-scaling of several attentions with a softmax each, one to each modality.

        Args:
            weights: one (U, H, L, K_m) for each modality. Sums can be below 1, if a further key takes the rest.
            keys: one (U, K_m) bool for each modality.
        """
        mass = torch.stack([w.sum(dim=-1) for w in weights], dim=-1)  # (U, H, L, M)
        ratio = _ratio(self.mass(mass, torch.stack([k.any(dim=1) for k in keys], dim=1)[:, None, None]), mass)
        return [lambda w, r=r: w * r.unsqueeze(-1) for r in ratio.unbind(-1)]  # type: ignore[misc]


def attention_weights(attention: nn.MultiheadAttention, queries: Tensor, read: Tensor, keys: Tensor) -> Tensor:
    """Return the weights (U, H, L, K) of an attention layer, before dropout; 0 at masked keys.

    Args:
        attention: layer with ``batch_first``.
        queries: (U, L, d).
        read: (U, K, d).
        keys: (U, K) bool, False = masked.
    """
    q, k = (_projected(attention, x, part) for part, x in enumerate((queries, read)))
    logits: Tensor = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    return masked_softmax(logits.float(), keys[:, None, None])


def attended(attention: nn.MultiheadAttention, weights: Tensor, read: Tensor) -> Tensor:
    """Return the output (U, L, d) of an attention layer for weights (U, H, L, K) and the sequence read (U, K, d)."""
    values = _projected(attention, read, 2)  # (U, H, K, e)
    result: Tensor = attention.out_proj((weights.to(values) @ values).transpose(1, 2).flatten(2))  # (U, H, L, e) -> (U, L, d)
    return result


def _projected(attention: nn.MultiheadAttention, x: Tensor, part: int) -> Tensor:
    """Return queries (part 0), keys (1) or values (2), (U, H, K, e), from (U, K, d)."""
    weight, bias = attention.in_proj_weight.chunk(3)[part], attention.in_proj_bias.chunk(3)[part]
    projected = functional.linear(x, weight, bias)
    return projected.view(*x.shape[:2], attention.num_heads, -1).transpose(1, 2)  # (U, K, d) -> (U, K, H, e) -> (U, H, K, e)


def _ratio(new: Tensor, old: Tensor) -> Tensor:
    """Return new / old, 0 where both are 0."""
    return new / old.clamp_min(torch.finfo(old.dtype).tiny)
