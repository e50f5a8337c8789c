"""Adversarial loss of fused vectors."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional


def mean_over(values: Tensor, rows: Tensor) -> Tensor:
    """Return the mean of values (U, ...) over the rows (U,) that count; 0 with zero gradient if none does."""
    return (values.float().flatten(1).mean(dim=1) * rows).sum() / rows.sum().clamp_min(1)


class Discriminator(nn.Module):
    """Logit that a fused vector comes from complete data; normalised within the vector, so independent of the batch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(8, width // 2)
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits (U, 1) from fused vectors (U, F)."""
        logits: Tensor = self.layers(fused)
        return logits

    def discriminator_loss(self, real: Tensor, real_rows: Tensor, fake: Tensor, fake_rows: Tensor) -> Tensor:
        """Return the loss of the discriminator, a mean over the rows (U,) that count; no gradient reaches the fused vectors."""
        real, fake = self(real.detach()), self(fake.detach())
        return mean_over(functional.softplus(-real), real_rows) + mean_over(functional.softplus(fake), fake_rows)

    def generator_loss(self, fake: Tensor, rows: Tensor) -> Tensor:
        """Return the loss of recovered vectors that should pass as real, a mean over the rows (U,) that count.

        No gradient reaches the discriminator.
        """
        fixed = {name: p.detach() for name, p in self.named_parameters()}
        return mean_over(functional.softplus(-functional_call(self, fixed, (fake,))), rows)
