"""Variance-preserving diffusion of any tensor: noise for training, solvers for sampling, and a sense of time.

A network ``denoise(noisy, level) -> clean`` predicts the clean tensor itself (x0): with it a solver of a few steps cannot run
away, and at the highest level, where nothing of the signal is left, the network is a plain regression.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

LEVELS = 1000  # of noise, in training and for the solvers
HIGHEST = LEVELS - 1
_ALMOST_ONE = 0.9999  # at exactly 1, rounding makes diffusers take the root of a negative number at the highest level
Solver = Literal["ddim", "dpm++"]
SOLVERS: tuple[Solver, ...] = ("ddim", "dpm++")
AnySolver = Literal["ddim", "dpm++", "ddpm"]
ANY_SOLVERS: tuple[AnySolver, ...] = (*SOLVERS, "ddpm")  # the last one needs fresh noise at every step


def betas() -> Tensor:
    """(LEVELS,) the cosine schedule of Nichol and Dhariwal (ICML 2021): nothing of the signal is left at its end.

    The linear one of the score SDEs on graphs (GDSS, GSDM: b from 0.1 to 1) ends at three quarters of the signal, and a sampler
    that starts from pure noise then starts where the network has never been.
    """
    time = torch.arange(LEVELS + 1, dtype=torch.float64) / LEVELS
    left = ((time + 0.008) / 1.008 * math.pi / 2).cos().square()
    return (1 - left[1:] / left[:-1]).clamp_max(0.999)


class Noising(nn.Module):
    """q(x_t | x) = N(signal_t x, noise_t^2), signal_t^2 + noise_t^2 = 1 (Ho, Jain and Abbeel, NeurIPS 2020, eq. 4)."""

    signal: Tensor
    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        left = (1 - betas()).cumprod(0)
        self.register_buffer("signal", left.sqrt().float(), persistent=False)
        self.register_buffer("noise", (1 - left).sqrt().float(), persistent=False)

    def forward(self, clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Noisy tensor; ``level`` is (B,) int64 and goes with the first dimension of ``clean``."""
        shape = (-1, *[1] * (clean.ndim - 1))
        return self.signal[level].view(shape) * clean + self.noise[level].view(shape) * noise


def random_levels(number: int, device: torch.device, pure: float = 0.0) -> Tensor:
    """(number,) int64 levels for training: uniform, but for a share ``pure`` that is the highest one, where sampling begins."""
    level = torch.randint(LEVELS, (number,), device=device)
    return level if not pure else torch.where(torch.rand(number, device=device) < pure, HIGHEST, level)


class TimeEmbedding(nn.Module):
    """Sinusoids of the level through two layers: (B,) int64 -> (B, width)."""

    frequency: Tensor

    def __init__(self, width: int, sinusoids: int = 32) -> None:
        super().__init__()
        self.register_buffer("frequency", torch.logspace(0, -4, sinusoids), persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * sinusoids, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, level: Tensor) -> Tensor:
        """Embed the level."""
        angle = level[:, None] * self.frequency
        embedded: Tensor = self.layers(torch.cat([angle.sin(), angle.cos()], dim=1))
        return embedded


def solver_of(name: AnySolver, steps: int) -> Any:
    """A scheduler of diffusers for networks that predict x0, on our schedule, ready to step.

    ``clip_sample`` is on by default there and would cut features off at one.
    """
    settings: dict[str, Any] = {
        "num_train_timesteps": LEVELS,
        "trained_betas": betas().tolist(),
        "prediction_type": "sample",
        "timestep_spacing": "trailing",  # the first step is from the highest level, where training has been too
    }
    scheduler: Any
    if name != "dpm++":  # diffusers takes seconds to import, so only once it is used, and the scheduler's module alone
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

    DDIM with eta 0 (Song et al., ICLR 2021), DPM-Solver++ (Lu et al., 2022), or DDPM on the same few levels, which is DDIM with
    eta 1 (Ho, Jain and Abbeel, NeurIPS 2020).

    Args:
        denoise: from a noisy tensor and its level to the clean one.
        noise: where to start; what comes out is a function of it.
        steps: calls of ``denoise``.
        solver: of the probability flow.
        observed: bool, broadcastable to ``noise``: entries that are known.
        clean: values of the known entries, put back before every step and at the end.
        fresh: noise of the shape of ``noise`` for the step from a level; ``ddpm`` needs it, and no other solver asks.
    """
    scheduler = solver_of(solver, steps)
    state = noise

    def known(x: Tensor) -> Tensor:
        return x if observed is None or clean is None else torch.where(observed, clean, x)

    for level in scheduler.timesteps:
        state = known(state)
        found = denoise(state, int(level))
        if solver != "ddpm":
            state = scheduler.step(found, level, state).prev_sample
        elif fresh is not None:
            state = scheduler.step(found, level, state, eta=_ALMOST_ONE, variance_noise=fresh(int(level))).prev_sample
        else:
            raise ValueError("ddpm needs fresh noise")
    return known(state)
