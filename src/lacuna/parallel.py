"""Run independent pieces of work in processes of this machine, by joblib (loky, which spawns)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from lacuna.errors import ConfigError

In = TypeVar("In")
Out = TypeVar("Out")
IDLE = 15.0  # seconds after which a process without work ends, also if the command that started it was killed


def n_workers(wanted: int | None, n_jobs: int, *, on_gpu: bool = False) -> int:
    """Return how many processes to use.

    Args:
        wanted: at most so many; ``None`` = one for each physical core, or one if the work runs on a GPU.
        n_jobs: pieces of work.
        on_gpu: whether the work runs on a GPU.

    Raises:
        ConfigError: fewer than one is wanted.
    """
    if wanted is not None and wanted < 1:
        raise ConfigError(f"at least one worker is needed, found {wanted}")
    if wanted is None:
        from joblib import cpu_count  # type: ignore[import-untyped]

        wanted = 1 if on_gpu else int(cpu_count(only_physical_cores=True) or os.cpu_count() or 1)
    return max(1, min(wanted, n_jobs))


def run_parallel(function: Callable[[In], Out], jobs: Iterable[In], workers: int, *, ordered: bool = True) -> Iterator[Out]:
    """Yield the result of each job; with one worker in this process, without starting another.

    Each process computes with one thread, so results do not depend on the number of workers.

    Args:
        function: importable by its name.
        jobs: arguments that can be pickled.
        workers: number of processes.
        ordered: yield results in the order of the jobs; otherwise in the order in which they end.

    Raises:
        concurrent.futures.process.BrokenProcessPool: one of the processes was killed.
        Exception: what the function raises.
    """
    if workers == 1:
        yield from map(function, jobs)
        return
    from joblib import Parallel, delayed, parallel_config

    order = "generator" if ordered else "generator_unordered"
    with parallel_config("loky", inner_max_num_threads=1, idle_worker_timeout=IDLE):
        pool: Any = Parallel(n_jobs=workers, batch_size=1, pre_dispatch="n_jobs", return_as=order)
    yield from pool(delayed(function)(job) for job in jobs)
