"""Refinement of recovered tokens by residual channel attention."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lacuna.models.layers.tokens import TokenBatch


class ChannelBlock(nn.Module):
    """Residual channel attention block (RCAN: Zhang et al., ECCV 2018, eq. 8 and 9).

    Args:
        channels: c.
        kernel: number of neighbouring tokens that a convolution reads; 1 = each token by itself.
        reduction: factor by which the attention reduces the channels.
    """

    def __init__(self, channels: int, kernel: int, reduction: int = 8) -> None:
        super().__init__()
        reduced = max(1, channels // reduction)
        self.maps = nn.Sequential(
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2),
            nn.GELU(),
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2),
        )
        self.weigh = nn.Sequential(nn.Linear(channels, reduced), nn.GELU(), nn.Linear(reduced, channels), nn.Sigmoid())

    def forward(self, x: Tensor, exists: Tensor) -> Tensor:
        """Return (R, c, L) from tokens (R, c, L) and (R, 1, L), 1 where a token exists."""
        update = self.maps(x) * exists  # positions without a token stay 0
        weight = self.weigh(update.sum(dim=2) / exists.sum(dim=2).clamp_min(1))  # (R, c)
        return x + weight.unsqueeze(2) * update  # type: ignore[no-any-return]


class ChannelReconstructor(nn.Module):
    """Channel blocks that correct recovered tokens; the correction is 0 at the start of training.

    Args:
        width: w, units of a token.
        channels: c, channels of the blocks.
        blocks: number of blocks.
        kernel: see :class:`ChannelBlock`.
    """

    def __init__(self, width: int, channels: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(width, channels), nn.Linear(channels, width)
        self.blocks = nn.ModuleList(ChannelBlock(channels, kernel) for _ in range(blocks))
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, tokens: Tensor, keys: Tensor) -> Tensor:
        """Return (R, L, w) from tokens (R, L, w) and (R, L) bool, whether a token exists."""
        exists = keys.unsqueeze(1).to(tokens.dtype)  # (R, 1, L)
        x = self.enter(tokens).transpose(1, 2) * exists  # (R, L, c) -> (R, c, L)
        for block in self.blocks:
            x = block(x, exists)
        return tokens + self.leave(x.transpose(1, 2))  # type: ignore[no-any-return] # (R, c, L) -> (R, L, c)


class Reconstructors(nn.ModuleList):
    """One :class:`ChannelReconstructor` for each modality; with none, tokens do not change.

    Args:
        widths: units of the tokens of each modality; empty = no reconstructors.
        channels: channels of the blocks.
        blocks: number of blocks of each reconstructor.
        kernel: see :class:`ChannelBlock`.
    """

    def __init__(self, widths: Sequence[int], channels: int, blocks: int, kernel: int) -> None:
        super().__init__(ChannelReconstructor(width, channels, blocks, kernel) for width in widths)

    def forward(self, seen: TokenBatch, draft: Sequence[Tensor]) -> list[Tensor]:
        """Return codes (U, L, w_m) of all modalities: observed ones unchanged, drafts of missing ones refined."""
        filled = seen.filled(draft)
        if not len(self):
            return filled
        exists = seen.observed | seen.missing
        return seen.filled([refine(x, exists[:, m]) for m, (refine, x) in enumerate(zip(self, filled, strict=True))])
