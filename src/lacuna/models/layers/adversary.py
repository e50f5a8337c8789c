"""Two sides that learn against each other."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional


def mean_over(each: Tensor, rows: Tensor) -> Tensor:
    """Mean of ``each`` (U, ...) over the rows (U,) that count; 0 with a gradient of 0 if none does."""
    return (each.float().flatten(1).mean(dim=1) * rows).sum() / rows.sum().clamp_min(1)


class Discriminator(nn.Module):
    """Logit that a fused vector comes from complete data; normalised within the vector, so that no batch has a say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inside = max(8, width // 2)
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inside), nn.LeakyReLU(0.2), nn.Linear(inside, 1))

    def forward(self, fused: Tensor) -> Tensor:
        """(U, F) -> (U, 1)."""
        verdict: Tensor = self.layers(fused)
        return verdict

    def verdict(self, real: Tensor, real_rows: Tensor, fake: Tensor, fake_rows: Tensor) -> Tensor:
        """Its own loss, a mean over the rows (U,) that count on either side; no gradient reaches what it judges."""
        real, fake = self(real.detach()), self(fake.detach())
        return mean_over(functional.softplus(-real), real_rows) + mean_over(functional.softplus(fake), fake_rows)

    def doubt(self, fake: Tensor, rows: Tensor) -> Tensor:
        """The loss of those who want to be taken for real, a mean over the rows (U,) that count; it is held fixed itself."""
        fixed = {name: p.detach() for name, p in self.named_parameters()}
        return mean_over(functional.softplus(-functional_call(self, fixed, (fake,))), rows)
