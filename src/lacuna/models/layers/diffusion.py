"""Variance-preserving diffusion of any tensor: noise schedule, solvers, and an embedding of the noise level.

A network ``denoise(noisy, level) -> clean`` predicts the clean tensor (x0). So a solver with few steps stays stable, and at the
highest level, where no signal is left, the network is a regression.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

LEVELS = 1000  # number of noise levels, in training and for the solvers
HIGHEST = LEVELS - 1
_ALMOST_ONE = 0.9999  # at exactly 1, rounding makes diffusers take the root of a negative number at the highest level
Solver = Literal["ddim", "dpm++"]
SOLVERS: tuple[Solver, ...] = ("ddim", "dpm++")
AnySolver = Literal["ddim", "dpm++", "ddpm"]
ANY_SOLVERS: tuple[AnySolver, ...] = (*SOLVERS, "ddpm")  # ddpm needs noise in every step


def betas() -> Tensor:
    """Return the cosine schedule (LEVELS,) of Nichol and Dhariwal (ICML 2021), which ends without signal.

    The linear schedule of the score SDEs on graphs (GDSS, GSDM: b from 0.1 to 1) ends with three quarters of the signal. A
    sampler that starts from pure noise would then start at a level that the network was not trained on.
    """
    time = torch.arange(LEVELS + 1, dtype=torch.float64) / LEVELS
    signal_share = ((time + 0.008) / 1.008 * math.pi / 2).cos().square()
    return (1 - signal_share[1:] / signal_share[:-1]).clamp_max(0.999)


class Noising(nn.Module):
    """Noise schedule q(x_t | x) = N(signal_t x, noise_t^2), signal_t^2 + noise_t^2 = 1 (Ho et al., NeurIPS 2020, eq. 4)."""

    signal: Tensor
    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        signal_share = (1 - betas()).cumprod(0)
        self.register_buffer("signal", signal_share.sqrt().float(), persistent=False)
        self.register_buffer("noise", (1 - signal_share).sqrt().float(), persistent=False)

    def forward(self, clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Return the noisy tensor; ``level`` (B,) int64 belongs to the first dimension of ``clean`` (B, ...)."""
        shape = (-1, *[1] * (clean.ndim - 1))
        # (B,) -> (B, 1, ...)
        return self.signal[level].view(shape) * clean + self.noise[level].view(shape) * noise


def random_levels(number: int, device: torch.device, pure: float = 0.0) -> Tensor:
    """Return (number,) int64 training levels: uniform, except a share ``pure`` at the highest level, where sampling starts."""
    level = torch.randint(LEVELS, (number,), device=device)
    return level if not pure else torch.where(torch.rand(number, device=device) < pure, HIGHEST, level)


class TimeEmbedding(nn.Module):
    """Embed noise levels: sinusoids, then two layers."""

    frequency: Tensor

    def __init__(self, width: int, sinusoids: int = 32) -> None:
        super().__init__()
        self.register_buffer("frequency", torch.logspace(0, -4, sinusoids), persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * sinusoids, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, level: Tensor) -> Tensor:
        """Return embeddings (B, width) of levels (B,) int64."""
        angle = level[:, None] * self.frequency
        embedded: Tensor = self.layers(torch.cat([angle.sin(), angle.cos()], dim=1))
        return embedded


def solver_of(name: AnySolver, steps: int) -> Any:
    """Return a scheduler of diffusers for networks that predict x0, with the schedule of :func:`betas`.

    ``clip_sample`` is on by default in diffusers and would clip features to [-1, 1].
    """
    settings: dict[str, Any] = {
        "num_train_timesteps": LEVELS,
        "trained_betas": betas().tolist(),
        "prediction_type": "sample",
        "timestep_spacing": "trailing",  # the first step starts at the highest level, which training includes
    }
    scheduler: Any
    if name != "dpm++":  # the import of diffusers takes seconds, so it waits for the first use
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        scheduler = DDIMScheduler(clip_sample=False, **settings)
    else:
        from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

        scheduler = DPMSolverMultistepScheduler(algorithm_type="dpmsolver++", final_sigmas_type="zero", **settings)
    scheduler.set_timesteps(steps)
    return scheduler


def sample(
    denoise: Callable[[Tensor, int], Tensor],
    noise: Tensor,
    *,
    steps: int,
    solver: AnySolver = "ddim",
    observed: Tensor | None = None,
    clean: Tensor | None = None,
    fresh: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """Solve the reverse process from pure noise.

    DDIM with eta 0 (Song et al., ICLR 2021), DPM-Solver++ (Lu et al., 2022), or DDPM on the same levels, which is DDIM with eta 1
    (Ho, Jain and Abbeel, NeurIPS 2020).

    Args:
        denoise: function of a noisy tensor and its level that returns the clean tensor.
        noise: start; the result is a function of it.
        steps: number of calls of ``denoise``.
        solver: name of the solver.
        observed: bool, broadcastable to ``noise``: entries that are known.
        clean: values of the known entries, set before every step and at the end.
        fresh: returns noise of the shape of ``noise`` for the step from a level; needed by ``ddpm`` only.

    Raises:
        ValueError: the solver is ``ddpm`` and ``fresh`` is not given.
    """
    scheduler = solver_of(solver, steps)
    state = noise

    def with_observed(x: Tensor) -> Tensor:
        return x if observed is None or clean is None else torch.where(observed, clean, x)

    for level in scheduler.timesteps:
        state = with_observed(state)
        estimate = denoise(state, int(level))
        if solver != "ddpm":
            state = scheduler.step(estimate, level, state).prev_sample
        elif fresh is not None:
            state = scheduler.step(estimate, level, state, eta=_ALMOST_ONE, variance_noise=fresh(int(level))).prev_sample
        else:
            raise ValueError("solver 'ddpm' needs noise for every step; pass fresh")
    return with_observed(state)
