"""Run the cells of a grid that are not finished, even if workers are killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from lacuna.bench.cell import Job
from lacuna.bench.executors import Execute
from lacuna.bench.run import Outcome
from lacuna.bench.store import is_done

RESTARTS = 3  # of a pool that died each time without having finished a cell


@dataclass
class GridProgress:
    """Progress of a grid.

    Attributes:
        total: cells of the grid.
        done: cells that are finished.
        failed: reason by key of those that failed.
        lost: keys of those that were given up, because their process was killed while nothing else ran.
        ran: how many cells ended in this run.
        started: of this run, monotonic seconds.
    """

    total: int
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    ran: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> int:
        """Number of cells that have not ended yet."""
        return self.total - self.done - len(self.failed) - len(self.lost)

    @property
    def eta(self) -> float:
        """Seconds that the rest will take at the present speed; NaN before the first cell has ended."""
        return self.left * (time.monotonic() - self.started) / self.ran if self.ran else float("nan")

    @property
    def complete(self) -> bool:
        """Whether every cell is finished."""
        return self.done == self.total


def run_grid(
    jobs: Sequence[Job],
    execute: Execute,
    tell: Callable[[Job, Outcome, GridProgress], None] = lambda *_: None,
    warn: Callable[[str], None] = lambda _: None,
) -> GridProgress:
    """Run every cell that is not finished; those that failed before are tried again.

    If a process is killed (e.g. out of memory), the pool dies with it and is started again for the remaining cells. If it dies
    three times without having ended a cell in between, cells run one at a time until one of them is killed alone: that one is
    given up, and the others run together again.

    Args:
        jobs: cells; equal keys are one.
        execute: of :mod:`lacuna.bench.executors`.
        tell: called when a cell has ended.
        warn: called when the pool died.

    Returns:
        What is finished, what failed, and what was lost.
    """
    unique = {job.key: job for job in jobs}
    left = {key: job for key, job in unique.items() if not is_done(job.folder / key)}
    progress = GridProgress(total=len(unique), done=len(unique) - len(left))
    deaths = 0
    while left:
        alone, before = deaths >= RESTARTS, len(left)
        now = list(left.values())[: 1 if alone else None]
        try:
            for outcome in execute(now):
                if outcome.state == "busy":  # another process runs it: try it last, and then wait
                    left[outcome.key] = left.pop(outcome.key)._replace(wait=True)
                    continue
                job = left.pop(outcome.key)
                progress.ran += 1
                if outcome.state == "done":
                    progress.done += 1
                else:
                    progress.failed[outcome.key] = outcome.reason
                tell(job, outcome, progress)
        except BrokenProcessPool:
            if alone and now[0].key in left:
                del left[now[0].key]
                progress.lost.append(now[0].key)
                deaths = 0
            else:
                deaths = deaths + 1 if len(left) == before else 0
            if left:
                how = ", one at a time" if deaths >= RESTARTS else ""
                warn(f"a worker was killed (out of memory?); {len(left)} cells are left; starting again with them{how}")
    return progress
