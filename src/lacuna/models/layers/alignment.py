"""One sequence read at the positions of another."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Alignment(nn.Module):
    """Single-head attention from the positions of one modality to the frames of another.

    CIDer's word-level self-aligned attention (Zhong et al., arXiv 2506.10452): voice and face are read word by word, which makes
    sequences of different rates equally long at the cost of T_words x T_frames.

    Args:
        width: d of both sequences.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, at: Tensor, frames: Tensor, present: Tensor) -> Tensor:
        """Read ``frames`` at the positions of ``at``.

        Args:
            at: (B, Q, d) queries.
            frames: (B, T, d) what is read.
            present: (B, T) bool, what may be read; at least one frame of every row.

        Returns:
            (B, Q, d).
        """
        read = functional.scaled_dot_product_attention(
            self.query(at), self.key(frames), self.value(frames), attn_mask=present.unsqueeze(1)
        )
        aligned: Tensor = self.out(read)
        return aligned
