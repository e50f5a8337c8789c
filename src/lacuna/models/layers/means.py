"""Frame means in units of their own spread, and the way back to frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.models.layers.pooling import fill_frames, pooled

_CONSTANT = 1e-6  # a column that varies less is left as it is


class FrameMeans(nn.Module):
    """The masked frame means of a batch, standardised over the training split.

    Frames are standardised already, but the mean of many frames varies less than one of them, so that without this a loss would
    weigh modalities by how long their recordings are.

    Args:
        dims: width of each modality, in the order of ``batch.features``.
    """

    centre: Tensor
    scale: Tensor
    owner: Tensor

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(dims)
        self.register_buffer("centre", torch.zeros(sum(self.sizes)))
        self.register_buffer("scale", torch.ones(sum(self.sizes)))
        owner = torch.repeat_interleave(torch.arange(len(self.sizes)), torch.tensor(self.sizes))
        self.register_buffer("owner", owner, persistent=False)  # (W,) modality of each column

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Mean and standard deviation of each column over the utterances that have its modality."""
        owner = self.owner.cpu()
        count, first, second = (torch.zeros(len(owner), dtype=torch.float64) for _ in range(3))
        for batch in batches():
            x = pooled(batch).double().cpu()
            count += batch.available().double().cpu().sum(dim=0)[owner]
            first += x.sum(dim=0)
            second += x.square().sum(dim=0)
        mean = first / count.clamp_min(1)
        spread = (second / count.clamp_min(1) - mean.square()).clamp_min(0).sqrt()
        self.centre.copy_(mean)
        self.scale.copy_(torch.where(spread > _CONSTANT, spread, torch.ones_like(spread)))

    def forward(self, batch: Batch) -> Tensor:
        """Standardised frame means, 0 for a modality of which nothing was observed: (U, sum d)."""
        standard = (pooled(batch) - self.centre) / self.scale
        return standard * batch.available()[:, self.owner]

    def fill(self, batch: Batch, guess: Tensor) -> dict[str, Tensor]:
        """Frames for what was not observed: the guess for a modality that is missing altogether, else the mean of the others.

        Args:
            batch: what was observed.
            guess: (U, sum d) standardised frame means.

        Returns:
            By modality (U, T_m, d_m); observed frames bit for bit as they came.
        """
        here = batch.available()[:, self.owner]  # (U, W)
        return fill_frames(batch, torch.where(here, pooled(batch), guess * self.scale + self.centre))

    def split(self, flat: Tensor) -> list[Tensor]:
        """(U, sum d) -> one (U, d_m) a modality."""
        return list(torch.split(flat, self.sizes, dim=1))


def missing_slots(complete: Batch, observed: Batch) -> Tensor:
    """(U, M) bool: the corpus holds the modality, and the mask took all of it. Only there is a recovery right or wrong."""
    return complete.available() & ~observed.available()


def slot_error(guess: Sequence[Tensor], truth: Sequence[Tensor], slots: Tensor) -> Tensor:
    """Squared error, averaged over the columns of a slot and then over slots: a wide modality weighs no more than a narrow one.

    Args:
        guess: one (U, h_m) a modality.
        truth: one (U, h_m) a modality.
        slots: (U, M) bool, which of them count.

    Returns:
        A scalar; 0 with a gradient of 0 if no slot counts.
    """
    each = torch.stack([(g - t).float().square().mean(dim=1) for g, t in zip(guess, truth, strict=True)], dim=1)  # (U, M)
    return (each * slots).sum() / slots.sum().clamp_min(1)
