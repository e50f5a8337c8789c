"""A small network beside the identity."""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Sequential):
    """``x + layers(x)`` of two linear maps.

    Args:
        width: of what comes in and goes out.
        inside: units between the maps.
        activation: between the maps.
        dropout: share of units dropped in training, between the maps.
    """

    def __init__(self, width: int, inside: int, activation: nn.Module, dropout: float) -> None:
        super().__init__(nn.Linear(width, inside), activation, nn.Dropout(dropout), nn.Linear(inside, width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return x + super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
