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
    threads = torch.get_num_threads()
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {threads} thread{'s' * (threads != 1)}, load {load:.1f} at the start, torch {torch.__version__}"
    )


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
    begun = time.process_time()
    train(1)
    middle = time.process_time()
    walls = train(1 + epochs)
    return Timed(median(walls[1:]), (time.process_time() - middle - (middle - begun)) / epochs)
