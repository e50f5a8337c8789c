"""Monotone maps of columns that make heavy tails short, fitted to the data and learned further."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch

_MOST_FRAMES = 20_000  # that the quantiles are taken of
_PROBABILITIES = 63
_EXPONENTS = (0.25, 1 / 3, 0.5, 0.75, 1.0)
_SCALES = tuple(0.1 * 2.0**k for k in range(12))
_SHIFTS = tuple(k / 2 for k in range(-6, 7))


class Squash(nn.Module):
    r"""Map each column by :math:`y = g \sinh(e\,\operatorname{arsinh}(k x + b)) + c`, monotone for e, g, k > 0.

    :meth:`fit` chooses the five numbers of a column so that the quantiles of its frames are nearest to those of a standard normal
    distribution; training then learns them further.

    Args:
        dim: number of columns.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.log_exponent = nn.Parameter(torch.zeros(dim))  # of e; with these values the map is the identity
        self.log_scale = nn.Parameter(torch.zeros(dim))  # of k
        self.shift = nn.Parameter(torch.zeros(dim))  # b
        self.log_gain = nn.Parameter(torch.zeros(dim))  # of g
        self.centre = nn.Parameter(torch.zeros(dim))  # c

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        columns = self.log_exponent.exp(), self.log_scale.exp(), self.shift
        bent: Tensor = _Bent.apply(x, *columns) if torch.is_grad_enabled() else _bend(x, *columns)[0]  # type: ignore[no-untyped-call]
        return torch.addcmul(self.centre, self.log_gain.exp(), bent)

    @torch.no_grad()
    def fit(self, frames: Tensor) -> None:
        """Choose the map of each column; one with few different values keeps the identity.

        Args:
            frames: (N, d) observed frames of training.
        """
        if len(frames) < 2:
            return
        probabilities = (torch.arange(_PROBABILITIES, dtype=torch.float64) + 0.5) / _PROBABILITIES
        normal = torch.special.ndtri(probabilities)  # (Q,)
        ranks = (probabilities * (len(frames) - 1)).round().long()
        quantiles = frames.double().cpu().sort(dim=0).values[ranks].T  # (d, Q)
        shift = torch.tensor(_SHIFTS, dtype=torch.float64)[:, None, None]  # (B, 1, 1)
        best = torch.full((len(quantiles),), torch.inf, dtype=torch.float64)
        chosen = torch.zeros(5, len(quantiles), dtype=torch.float64)
        for exponent in _EXPONENTS:
            for scale in _SCALES:
                bent = torch.sinh(exponent * torch.asinh(scale * quantiles + shift))  # (B, d, Q)
                mean = bent.mean(dim=-1, keepdim=True)
                spread = (bent - mean).square().mean(dim=-1).clamp_min(1e-12)  # (B, d)
                gain = ((bent - mean) * normal).mean(dim=-1) / spread  # of the least-squares line; normal has mean 0
                error = normal.square().mean() - gain.square() * spread
                error, row = error.min(dim=0)  # (d,)
                column = torch.arange(len(row))
                values = torch.stack(
                    [
                        torch.full_like(error, exponent).log(),
                        torch.full_like(error, scale).log(),
                        shift[row, 0, 0],
                        gain[row, column].clamp_min(1e-6).log(),
                        -(gain * mean.squeeze(-1))[row, column],
                    ]
                )
                better = error < best
                best, chosen = torch.where(better, error, best), torch.where(better, values, chosen)
        different = (quantiles[:, 1:] > quantiles[:, :-1]).sum(dim=1) >= _PROBABILITIES // 3
        chosen = torch.where(different, chosen, torch.zeros_like(chosen))
        for parameter, value in zip(self.parameters(), chosen, strict=True):
            parameter.copy_(value)


class _Bent(torch.autograd.Function):
    """sinh(e arsinh(k x + b)) with a gradient that computes what the two functions share once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, exponent: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        bent, inner, root = _bend(x, exponent, scale, shift)
        ctx.save_for_backward(x, exponent, scale, bent, inner, root)
        return bent

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, exponent, scale, bent, inner, root = ctx.saved_tensors
        leading = tuple(range(x.ndim - 1))
        outer = grad * torch.sqrt(torch.addcmul(grad.new_ones(()), bent, bent))  # cosh = sqrt(1 + sinh^2)
        of_shift = outer * exponent / root
        of_x = of_shift * scale if ctx.needs_input_grad[0] else None
        return of_x, (outer * inner).sum(leading), (of_shift * x).sum(leading), of_shift.sum(leading)


def _bend(x: Tensor, exponent: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sinh(e a), a = arsinh(z) and sqrt(1 + z^2) for z = k x + b; torch.asinh takes three times as long."""
    z = torch.addcmul(shift, scale, x)
    square = z * z
    root = torch.sqrt(1 + square)
    inner = z.sign() * torch.log1p(z.abs() + square / (1 + root))
    return torch.sinh(exponent * inner), inner, root


def observed_frames(batches: Callable[[], Iterable[Batch]], name: str, most: int = _MOST_FRAMES) -> Tensor:
    """Return up to ``most`` observed frames of a modality, evenly spread over the batches: (N, d)."""
    total = sum(int(b.present[name].sum()) for b in batches())
    step, seen, found = max(1, -(-total // most)), 0, []
    for batch in batches():
        frames = batch.features[name][batch.present[name]]  # (frames of the batch, d)
        found.append(frames[-seen % step :: step])
        seen += len(frames)
    return torch.cat(found)
