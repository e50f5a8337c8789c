"""Autoencoders over embedded modalities, single and in a residual cascade; what AE, CRA and MMIN share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Encoders(nn.Module):
    """One layer a modality, from its frame means to an embedding.

    Args:
        dims: width of each modality.
        width: of every embedding.
        dropout: share of its units dropped in training.
    """

    def __init__(self, dims: Sequence[int], width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(d, width), nn.GELU(), nn.Dropout(dropout)) for d in dims)

    def forward(self, means: Sequence[Tensor], here: Tensor) -> Tensor:
        """Embeddings, exactly 0 for what is not there, whose layer would still have a bias.

        Args:
            means: one (U, d_m) a modality.
            here: (U, M) bool.

        Returns:
            (U, M, H).
        """
        each = torch.stack([layer(x) for layer, x in zip(self.layers, means, strict=True)], dim=1)
        return each * here.unsqueeze(-1)


class Decoders(nn.Module):
    """One linear map a modality, from an embedding to its frame means.

    Args:
        dims: width of each modality.
        width: of every embedding.
    """

    def __init__(self, dims: Sequence[int], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, d) for d in dims)

    def forward(self, embedded: Tensor) -> list[Tensor]:
        """(U, M, H) -> one (U, d_m) a modality."""
        return [layer(x) for layer, x in zip(self.layers, embedded.unbind(dim=1), strict=True)]


class Autoencoder(nn.Module):
    """Embeddings of all modalities through a bottleneck, told which of them are there.

    The first layer is normalised: the input of a cascade grows with every block, and large steps would silence units for good.

    Args:
        modalities: M.
        width: H of each embedding.
        hidden: units of the layers on either side of the bottleneck.
        bottleneck: units of the narrowest layer.
    """

    def __init__(self, modalities: int, width: int, hidden: int, bottleneck: int) -> None:
        super().__init__()
        inside = modalities * width + modalities
        self.down = nn.Sequential(
            nn.Linear(inside, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, bottleneck), nn.GELU()
        )
        self.up = nn.Sequential(nn.Linear(bottleneck, hidden), nn.GELU(), nn.Linear(hidden, modalities * width))

    def forward(self, embedded: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction (U, M, H) and bottleneck (U, B) of embeddings (U, M, H) with presence (U, M) bool."""
        latent = self.down(torch.cat([embedded.flatten(1), here.to(embedded.dtype)], dim=1))  # (U, M, H) -> (U, M * H + M)
        return self.up(latent).view_as(embedded), latent


class Cascade(nn.Module):
    r"""Cascaded residual autoencoders (Tran, Liu, Zhou and Jin, CVPR 2017).

    Each block estimates what its predecessors left over, :math:`\Delta_k = A_k(x + \sum_{j<k} \Delta_j)`, and the cascade
    answers :math:`x + \sum_k \Delta_k`. It starts as the identity: the last layer of every block is 0 at first.

    Args:
        blocks: how many autoencoders.
        modalities: M.
        width: H of each embedding.
        hidden: as in :class:`Autoencoder`.
        bottleneck: as in :class:`Autoencoder`.
    """

    def __init__(self, blocks: int, modalities: int, width: int, hidden: int, bottleneck: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Autoencoder(modalities, width, hidden, bottleneck) for _ in range(blocks))
        for name, parameter in self.blocks.named_parameters():
            if ".up.2." in name:
                nn.init.zeros_(parameter)

    def forward(self, embedded: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
        """Answer (U, M, H) and the bottlenecks of all blocks side by side (U, K * B); arguments as for one autoencoder."""
        latents = []
        for block in self.blocks:
            delta, latent = block(embedded, here)
            embedded = embedded + delta
            latents.append(latent)
        return embedded, torch.cat(latents, dim=1)


class Head(nn.Sequential):
    """A classifier of one hidden layer.

    Args:
        inside: units that it reads.
        hidden: units of the hidden layer.
        last: makes the last layer from the width of the hidden one.
        dropout: share of units dropped in training, of the input and of the hidden layer.
    """

    def __init__(self, inside: int, hidden: int, last: Callable[[int], nn.Module], dropout: float) -> None:
        super().__init__(nn.Dropout(dropout), nn.Linear(inside, hidden), nn.GELU(), nn.Dropout(dropout), last(hidden))
