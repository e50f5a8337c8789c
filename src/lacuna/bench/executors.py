"""Where cells run: in processes of this machine, or on a cluster. Both are other people's libraries; nothing is home-made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lacuna.bench.cell import Job
from lacuna.bench.run import Outcome, run_job
from lacuna.errors import ConfigError
from lacuna.parallel import run_parallel
from lacuna.training.device import pick_device

Execute = Callable[[Sequence[Job]], Iterator[Outcome]]
RETRIES = 10  # of a task whose machine or process was lost


def local(workers: int) -> Execute:
    """Run cells in processes that joblib starts afresh (loky), each with one thread; with one worker in this very process.

    Args:
        workers: how many processes.

    Returns:
        A function from jobs to outcomes, as they come. It raises ``concurrent.futures.process.BrokenProcessPool`` if one of the
        processes was killed.
    """
    if workers < 1:
        raise ConfigError(f"at least one worker is needed, not {workers}")

    return lambda jobs: run_parallel(run_job, jobs, workers, ordered=False)


def _needs(job: Job) -> dict[str, int]:
    """What a task asks of a machine. ``auto`` is what it is here: a worker that finds another device refuses the cell."""
    device = job.cell.training.device
    here = device == "auto" and pick_device(device).type == "cuda"
    return {"num_cpus": 1, "num_gpus": int(here or device.startswith("cuda"))}


def on_ray(address: str, retries: int = RETRIES) -> Execute:
    """Run each cell as a task of a Ray cluster, which starts a task again if its process or machine is lost.

    The project's folder is one that all machines share, at the same path, with the same code.

    Args:
        address: as for ``ray.init``: ``auto``, ``host:port`` or ``ray://host:port``.
        retries: of a task that was lost; an error of the cell itself is an outcome, and no reason to try again.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("--ray needs the extra `cluster`: python -m pip install -e '.[cluster]' in the clone") from None

    def execute(jobs: Sequence[Job]) -> Iterator[Outcome]:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(f"there is no Ray cluster at '{address}': {error}") from None
        try:
            task: Any = ray.remote(run_job)
            waiting = {}
            for job in jobs:
                waiting[task.options(**_needs(job), max_retries=retries, retry_exceptions=False).remote(job)] = job
            while waiting:
                (ready,), _ = ray.wait(list(waiting), num_returns=1)
                job = waiting.pop(ready)
                try:
                    yield ray.get(ready)
                except ray.exceptions.RayTaskError as error:  # not of the cell: those are outcomes
                    yield Outcome(job.key, "failed", reason=str(error.cause or error))
                except ray.exceptions.RayError as error:
                    yield Outcome(job.key, "failed", reason=f"lost {retries + 1} times on the cluster: {error}")
        finally:
            ray.shutdown()

    return execute
