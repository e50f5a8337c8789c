"""Blocks of AE, CRA and MMIN: standardised frame means, encoders, (cascaded) autoencoders, a classifier and the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.models.layers.pooling import fill_frames, pooled

_CONSTANT = 1e-6  # columns with a smaller standard deviation are not scaled


class FrameMeans(nn.Module):
    """Frame means of a batch, standardised over the training split.

    Frames are standardised, but a mean of many frames has a smaller variance than one frame. Without this second
    standardisation a loss would weigh modalities by the length of their recordings.

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
        """Estimate mean and standard deviation of each column from the utterances that have its modality."""
        owner = self.owner.cpu()
        count, total, squares = (torch.zeros(len(owner), dtype=torch.float64) for _ in range(3))
        for batch in batches():
            means = pooled(batch).double().cpu()
            count += batch.available().double().cpu().sum(dim=0)[owner]
            total += means.sum(dim=0)
            squares += means.square().sum(dim=0)
        mean = total / count.clamp_min(1)
        spread = (squares / count.clamp_min(1) - mean.square()).clamp_min(0).sqrt()
        self.centre.copy_(mean)
        self.scale.copy_(torch.where(spread > _CONSTANT, spread, torch.ones_like(spread)))

    def forward(self, batch: Batch) -> Tensor:
        """Return standardised frame means (U, sum of d_m), 0 for modalities without observed frames."""
        standard = (pooled(batch) - self.centre) / self.scale
        return standard * batch.available()[:, self.owner]

    def fill(self, batch: Batch, estimate: Tensor) -> dict[str, Tensor]:
        """Fill missing frames with the estimate if the whole modality is missing, else with the mean of its observed frames.

        Args:
            batch: observed utterances.
            estimate: (U, sum of d_m) standardised frame means.

        Returns:
            By modality (U, T_m, d_m); observed frames unchanged.
        """
        available = batch.available()[:, self.owner]  # (U, W)
        return fill_frames(batch, torch.where(available, pooled(batch), estimate * self.scale + self.centre))

    def split(self, flat: Tensor) -> list[Tensor]:
        """Return one (U, d_m) for each modality from (U, sum of d_m)."""
        return list(torch.split(flat, self.sizes, dim=1))


def missing_slots(complete: Batch, observed: Batch) -> Tensor:
    """Return (U, M) bool: the corpus holds the modality and the mask hides all of it, so an estimate can be compared."""
    return complete.available() & ~observed.available()


def slot_error(estimate: Sequence[Tensor], truth: Sequence[Tensor], slots: Tensor) -> Tensor:
    """Return the squared error, averaged over columns and then over utterances and modalities.

    A wide modality so has the same weight as a narrow one.

    Args:
        estimate: one (U, h_m) for each modality.
        truth: one (U, h_m) for each modality.
        slots: (U, M) bool, the utterances and modalities that count.

    Returns:
        A scalar; 0 with zero gradient if no slot counts.
    """
    errors = torch.stack([(g - t).float().square().mean(dim=1) for g, t in zip(estimate, truth, strict=True)], dim=1)  # (U, M)
    return (errors * slots).sum() / slots.sum().clamp_min(1)


class Encoders(nn.Module):
    """One layer for each modality, from its frame means to an embedding.

    Args:
        dims: features of each modality.
        width: H, units of each embedding.
        dropout: dropout rate of the embeddings.
    """

    def __init__(self, dims: Sequence[int], width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(d, width), nn.GELU(), nn.Dropout(dropout)) for d in dims)

    def forward(self, means: Sequence[Tensor], available: Tensor) -> Tensor:
        """Return the embeddings, exactly 0 for missing modalities (their layers have a bias).

        Args:
            means: one (U, d_m) for each modality.
            available: (U, M) bool.

        Returns:
            (U, M, H).
        """
        embedded = torch.stack([layer(x) for layer, x in zip(self.layers, means, strict=True)], dim=1)
        return embedded * available.unsqueeze(-1)


class Decoders(nn.Module):
    """One linear map for each modality, from an embedding to its frame means.

    Args:
        dims: features of each modality.
        width: H, units of each embedding.
    """

    def __init__(self, dims: Sequence[int], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, d) for d in dims)

    def forward(self, embedded: Tensor) -> list[Tensor]:
        """Return one (U, d_m) for each modality from embeddings (U, M, H)."""
        return [layer(x) for layer, x in zip(self.layers, embedded.unbind(dim=1), strict=True)]


class Autoencoder(nn.Module):
    """Autoencoder of the embeddings of all modalities, with presence indicators as further inputs.

    The first layer is normalised: the input of a cascade grows with every block, and large steps would switch units off.

    Args:
        modalities: M.
        width: H, units of each embedding.
        hidden: units of the layers on either side of the bottleneck.
        bottleneck: units of the narrowest layer.
    """

    def __init__(self, modalities: int, width: int, hidden: int, bottleneck: int) -> None:
        super().__init__()
        inputs = modalities * width + modalities
        self.down = nn.Sequential(
            nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, bottleneck), nn.GELU()
        )
        self.up = nn.Sequential(nn.Linear(bottleneck, hidden), nn.GELU(), nn.Linear(hidden, modalities * width))

    def forward(self, embedded: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Return reconstruction (U, M, H) and bottleneck (U, B) of embeddings (U, M, H) with presence (U, M) bool."""
        flat = embedded.flatten(1)  # (U, M, H) -> (U, M H)
        latent = self.down(torch.cat([flat, available.to(embedded.dtype)], dim=1))  # (U, M H + M) -> (U, B)
        return self.up(latent).view_as(embedded), latent  # (U, M H) -> (U, M, H)


class Cascade(nn.Module):
    r"""Cascaded residual autoencoders (Tran, Liu, Zhou and Jin, CVPR 2017).

    Block k estimates the residual of its predecessors, :math:`\Delta_k = A_k(x + \sum_{j<k} \Delta_j)`; the output is
    :math:`x + \sum_k \Delta_k`. The last layer of each block is initialised with 0, so the cascade starts as the identity.

    Args:
        blocks: K, number of autoencoders.
        modalities: M.
        width: H, units of each embedding.
        hidden: as in :class:`Autoencoder`.
        bottleneck: as in :class:`Autoencoder`.
    """

    def __init__(self, blocks: int, modalities: int, width: int, hidden: int, bottleneck: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Autoencoder(modalities, width, hidden, bottleneck) for _ in range(blocks))
        for name, parameter in self.blocks.named_parameters():
            if ".up.2." in name:
                nn.init.zeros_(parameter)

    def forward(self, embedded: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Return output (U, M, H) and the concatenated bottlenecks (U, K B); arguments as for :class:`Autoencoder`."""
        latents = []
        for block in self.blocks:
            delta, latent = block(embedded, available)
            embedded = embedded + delta
            latents.append(latent)
        return embedded, torch.cat(latents, dim=1)


class Head(nn.Sequential):
    """Classifier with one hidden layer.

    Args:
        inputs: units of the input.
        hidden: units of the hidden layer.
        last: returns the last layer, given the units of the hidden one.
        dropout: dropout rate of the input and the hidden layer.
    """

    def __init__(self, inputs: int, hidden: int, last: Callable[[int], nn.Module], dropout: float) -> None:
        super().__init__(nn.Dropout(dropout), nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout), last(hidden))
