"""Run independent pieces of work: in processes of this machine by joblib (loky, which spawns), or as tasks of a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from lacuna.atomic import scratch_folder
from lacuna.errors import ConfigError
from lacuna.progress import WorkProgress, shown_by

In = TypeVar("In")
Out = TypeVar("Out")
IDLE = 15.0  # seconds after which a process without work ends, also if the command that started it was killed
RETRIES = 10  # of a task of Ray whose machine or process was lost
PERIOD = 0.5  # seconds between two looks at the progress of other processes


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


def run_parallel(
    function: Callable[[In], Out],
    jobs: Iterable[In],
    workers: int,
    *,
    ordered: bool = True,
    ahead: int = 1,
    progress: WorkProgress | None = None,
) -> Iterator[Out]:
    """Yield the result of each job; with one worker in this process, without starting another.

    Each process computes with one thread, so results do not depend on the number of workers. Other processes show no progress
    of their own; it moves that of the whole.

    Args:
        function: importable by its name.
        jobs: arguments that can be pickled.
        workers: number of processes.
        ordered: yield results in the order of the jobs; otherwise in the order in which they end.
        ahead: jobs that each process has been sent at a time; more than one saves time if a job takes less than a second.
        progress: of the whole, one unit for each job.

    Raises:
        concurrent.futures.process.BrokenProcessPool: one of the processes was killed.
        Exception: what the function raises.
    """
    if workers == 1:
        for job in jobs:
            with nullcontext() if progress is None else progress.part():
                result = function(job)
            yield result
        return
    from joblib import Parallel, delayed, parallel_config

    order = "generator" if ordered else "generator_unordered"
    with parallel_config("loky", inner_max_num_threads=1, idle_worker_timeout=IDLE):
        pool: Any = Parallel(n_jobs=workers, batch_size=1, pre_dispatch=ahead * workers, return_as=order)
    with scratch_folder() as folder, _watched(folder, progress):
        yield from pool(delayed(_work)(function, job, folder / str(number), os.getpid()) for number, job in enumerate(jobs))


def _one_cpu(job: object) -> Mapping[str, int]:
    return {"num_cpus": 1}


def run_on_ray(
    function: Callable[[In], Out],
    jobs: Sequence[In],
    address: str,
    *,
    needs: Callable[[In], Mapping[str, int]] = _one_cpu,
    retries: int = RETRIES,
) -> Iterator[tuple[int, Out | Exception]]:
    """Yield the number and the result of each job, in the order in which they end; each is a task of a Ray cluster.

    Ray restarts a task if its process or machine is lost. All machines see the same files at the same paths, and the same code.

    Args:
        function: importable by its name.
        jobs: arguments that can be pickled.
        address: as for ``ray.init``: ``auto``, ``host:port`` or ``ray://host:port``; ``local`` = a cluster on this machine, for
            this work alone.
        needs: what the task of a job requests, by the names of Ray's options.
        retries: of a task that was lost. An error of the function is not retried: the error itself is the result.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("--ray needs the extra `cluster`: python -m pip install -e '.[cluster]' in the clone") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"there is no Ray cluster at '{address}': {error}") from None
    try:
        task: Any = ray.remote(function)
        waiting = {
            task.options(**needs(job), max_retries=retries, retry_exceptions=False).remote(job): number
            for number, job in enumerate(jobs)
        }
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            result: Any
            try:
                result = ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                result = error.cause if isinstance(error.cause, Exception) else error
            except ray.exceptions.RayError as error:
                result = RuntimeError(f"lost {retries + 1} times on the cluster: {error}")
            yield waiting.pop(ready), result
    finally:
        ray.shutdown()


def _work(function: Callable[[In], Out], job: In, file: Path, parent: int) -> Out:
    """Return the result of a job; the file holds the share of it that is done, for the process that shows the progress."""
    last = 0.0

    def write(share: float, note: str = "", line: bool = False) -> None:
        nonlocal last
        if share >= 1 or time.monotonic() - last > PERIOD:
            last = time.monotonic()
            file.write_text(f"{share:.6f}", "ascii")

    with shown_by(write), ending_with(parent):
        result = function(job)
    write(1.0)
    return result


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Handle SIGTERM as Ctrl-C in the block: processes are ended, and temporary files and folders are deleted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def ending_with(parent: int) -> Iterator[None]:
    """End this process within a second if its parent ends while the block runs, however the parent ends.

    Args:
        parent: process that started this one.
    """
    if os.name != "posix" or os.getppid() != parent:  # another process started it: there is nothing to compare
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(PERIOD):
            if os.getppid() != parent:
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


@contextmanager
def _watched(folder: Path, progress: WorkProgress | None) -> Iterator[None]:
    """Show the progress of the processes that write to a folder, until the block ends."""
    if progress is None:
        yield
        return
    start, over = progress.done, threading.Event()

    def watch() -> None:
        while not over.wait(PERIOD):
            progress.update(start + _done_in(folder))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    progress.update(start + _done_in(folder))


def _done_in(folder: Path) -> float:
    """Return how many jobs are done, with the shares of those that run."""
    return sum(float(path.read_text("ascii") or 0) for path in folder.iterdir())
