"""A refinement of recovered tokens by residual blocks that weigh their channels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lacuna.models.layers.tokens import Seen


class ChannelBlock(nn.Module):
    """Two maps and a weight of every channel, beside the identity (RCAN: Zhang et al., ECCV 2018, eq. 8 and 9).

    Args:
        channels: c.
        kernel: tokens that a map reads; 1 = each by itself.
        reduction: of the channels inside the weighing.
    """

    def __init__(self, channels: int, kernel: int, reduction: int = 8) -> None:
        super().__init__()
        inside = max(1, channels // reduction)
        self.maps = nn.Sequential(
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2),
            nn.GELU(),
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2),
        )
        self.weigh = nn.Sequential(nn.Linear(channels, inside), nn.GELU(), nn.Linear(inside, channels), nn.Sigmoid())

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(R, c, L) and (R, 1, L), 1 where a token exists -> (R, c, L)."""
        found = self.maps(x) * there  # what stands in no token is read by no neighbour
        weight = self.weigh(found.sum(dim=2) / there.sum(dim=2).clamp_min(1))  # (R, c)
        return x + weight.unsqueeze(2) * found  # type: ignore[no-any-return]


class ChannelReconstructor(nn.Module):
    """Recovered tokens, and a correction that is 0 at first.

    Args:
        inside: width of a token.
        channels: of the blocks.
        blocks: how many.
        kernel: as in :class:`ChannelBlock`.
    """

    def __init__(self, inside: int, channels: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(inside, channels), nn.Linear(channels, inside)
        self.blocks = nn.ModuleList(ChannelBlock(channels, kernel) for _ in range(blocks))
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, tokens: Tensor, keys: Tensor) -> Tensor:
        """(R, L, inside) and (R, L) bool, tokens that exist -> (R, L, inside)."""
        there = keys.unsqueeze(1).to(tokens.dtype)  # (R, 1, L)
        x = self.enter(tokens).transpose(1, 2) * there  # (R, L, c) -> (R, c, L)
        for block in self.blocks:
            x = block(x, there)
        return tokens + self.leave(x.transpose(1, 2))  # type: ignore[no-any-return]


class Reconstructors(nn.ModuleList):
    """One a modality, or none: recovered tokens are then left as they are.

    Args:
        widths: of the tokens of each modality; empty = none.
        channels: of the blocks.
        blocks: how many each.
        kernel: as in :class:`ChannelBlock`.
    """

    def __init__(self, widths: Sequence[int], channels: int, blocks: int, kernel: int) -> None:
        super().__init__(ChannelReconstructor(width, channels, blocks, kernel) for width in widths)

    def forward(self, seen: Seen, draft: Sequence[Tensor]) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities: what was observed, and the reconstructed drafts of the rest."""
        filled = seen.filled(draft)
        if not len(self):
            return filled
        keys = seen.here | seen.asked
        return seen.filled([refine(x, keys[:, m]) for m, (refine, x) in enumerate(zip(self, filled, strict=True))])
