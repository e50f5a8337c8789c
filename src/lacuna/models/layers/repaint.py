"""Inpainting: an unconditional diffusion fills any holes, by going back and forth between levels of noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lacuna.models.layers.diffusion import LEVELS, Noising, betas


def repaint(
    denoise: Callable[[Tensor, int], Tensor],
    clean: Tensor,
    observed: Tensor,
    fresh: Callable[[int], Tensor],
    *,
    noising: Noising,
    steps: int,
    jump: int,
    rounds: int,
) -> Tensor:
    """Fill what is not observed (Lugmayr et al., CVPR 2022, algorithm 1), with the scheduler of diffusers for the way down.

    Different from its pipeline: the noise of known entries and of the way up is asked of ``fresh``, because a generator's would
    depend on the place in the batch; levels are the last of each interval, so that the first step is from pure noise; and the way
    up uses the noise between the two levels, not that of one interval further on.

    Args:
        denoise: from a noisy tensor and its level to the clean one.
        clean: (U, W), values of the known entries.
        observed: (U, W) bool, those.
        fresh: standard normal numbers (U, W), unrelated for each number from 0 on.
        noising: the schedule.
        steps: levels.
        jump: levels that are gone up again at once.
        rounds: times that the same levels are gone down; 1 = never up.

    Returns:
        (U, W), known entries as they are.
    """
    from diffusers.schedulers.scheduling_repaint import RePaintScheduler  # seconds to import, so only once it is used

    scheduler: Any = RePaintScheduler(
        num_train_timesteps=LEVELS, trained_betas=np.asarray(betas().tolist(), np.float32), clip_sample=False, eta=0.0
    )
    scheduler.set_timesteps(steps, jump_length=jump, jump_n_sample=rounds)
    stride = LEVELS // steps
    idle = torch.Generator()  # the scheduler draws in every step, what it draws is not used
    at, last, drawn = stride * steps - 1, LEVELS, 0
    state = fresh(drawn)
    for t in scheduler.timesteps.tolist():
        level = t + stride - 1
        if level < last:  # down
            state = torch.where(observed, noised(noising, clean, fresh(drawn), at), state)
            drawn += 1
            noise = (state - noising.signal[level] * denoise(state, level)) / noising.noise[level]
            state = scheduler.step(noise, level, state, clean, torch.zeros_like(clean), idle).prev_sample
            at = level - stride
        else:  # up
            state = raised(noising, state, fresh(drawn), at, at + stride)
            drawn, at = drawn + 1, at + stride
        last = level
    return torch.where(observed, clean, state)


def noised(noising: Noising, clean: Tensor, noise: Tensor, level: int) -> Tensor:
    """A clean tensor at a level of noise."""
    return noising.signal[level] * clean + noising.noise[level] * noise


def raised(noising: Noising, state: Tensor, noise: Tensor, low: int, high: int) -> Tensor:
    """q(x_high | x_low) = N(r x_low, noise_high^2 - r^2 noise_low^2), r = signal_high / signal_low; level -1 has no noise."""
    signal, spread = (
        (noising.signal[low], noising.noise[low]) if low >= 0 else (torch.ones(()).to(state), torch.zeros(()).to(state))
    )
    ratio = noising.signal[high] / signal
    return ratio * state + (noising.noise[high].square() - (ratio * spread).square()).clamp_min(0).sqrt() * noise
