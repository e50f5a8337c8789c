"""What benchmarks share: what they run on, and how epochs are timed."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch

from lacuna.training.state import Row


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
    """Seconds of an epoch: medians over the epochs after the first, which pays for warming up."""

    wall: float
    cpu: float


class Stopwatch:
    """What :func:`lacuna.training.fit` is given as ``watch``."""

    def __init__(self) -> None:
        self.walls: list[float] = []
        self.marks: list[float] = []

    def __call__(self, row: Row) -> None:
        """Note the end of an epoch."""
        self.walls.append(row["seconds"])
        self.marks.append(time.process_time())

    def timed(self) -> Timed:
        """Of the epochs that were noted, at least two."""
        return Timed(median(self.walls[1:]), median(b - a for a, b in pairwise(self.marks)))
