"""What benchmarks share: what they run on, and how epochs are timed."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch


def machine() -> str:
    """Cores, threads, load and version in words; under load, wall-clock seconds say little and CPU seconds more."""
    number, load = torch.get_num_threads(), os.getloadavg()[0]
    threads = f"{number} thread{'s' * (number != 1)}"
    return f"{os.cpu_count()} cores, {threads}, load {load:.1f} at the start, torch {torch.__version__}"


def peak_gigabytes() -> float:
    """Most memory that this process has held at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in KiB on Linux


@dataclass(frozen=True)
class Timed:
    """Seconds of an epoch.

    Attributes:
        wall: median over the epochs after the first.
        cpu: mean over the same epochs.
    """

    wall: float
    cpu: float


def timed(train: Callable[[int], list[float]], epochs: int) -> Timed:
    """Time epochs but the first, which pays for warming up.

    Args:
        train: trains so many epochs and tells the wall-clock seconds of each.
        epochs: how many to time.
    """
    train(1)  # imports, and what is set up once

    def cpu(number: int) -> tuple[float, list[float]]:
        begun = time.process_time()
        walls = train(number)
        return time.process_time() - begun, walls

    (first, _), (whole, walls) = cpu(1), cpu(1 + epochs)
    return Timed(median(walls[1:]), (whole - first) / epochs)
