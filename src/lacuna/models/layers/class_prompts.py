"""Classes as learned vectors that are compared with a visual vector by cosine, as CLIP compares images with prompts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.schema import Schema


class ClassPrompts(nn.Module):
    r"""Answer with the cosines of a vector v and one learned prompt :math:`t_c` for each class (Radford et al., CLIP, ICML 2021).

    .. math:: z_c = \cos(v, t_c) / \tau

    So the length of v does not matter. A regression target has two prompts, for high and low, and the value is
    :math:`\mu + g \sigma \tanh((z_{high} - z_{low}) / 2)` with a learned g and mean and deviation of the training labels. The
    hyperbolic tangent is that of two classes: their difference in probability (antonym prompts: Wang et al., AAAI 2023).

    Args:
        schema: target.
        width: d.
        temperature: tau.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, schema: Schema, width: int, temperature: float) -> None:
        super().__init__()
        self.is_regression, self.temperature = schema.target.task == "regression", temperature
        self.prompts = nn.Parameter(torch.randn(2 if self.is_regression else schema.target.width, width))
        self.gain = nn.Parameter(torch.tensor(2.0)) if self.is_regression else None
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, centre: Tensor, scale: Tensor) -> None:
        """Set mean and standard deviation of the training labels, () each; only regression needs them."""
        self.centre.copy_(centre)
        self.scale.copy_(scale)

    def forward(self, visual: Tensor) -> Tensor:
        """Return logits (U, C), or values (U, 1), from vectors (U, d)."""
        cosine = functional.normalize(visual.float(), dim=1) @ functional.normalize(self.prompts, dim=1).T  # (U, C)
        logits = cosine.float() / self.temperature
        if self.gain is None:
            return logits
        return self.centre + self.gain * self.scale * torch.tanh((logits[:, :1] - logits[:, 1:]) / 2)
