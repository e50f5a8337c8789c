"""Where cells run: in processes of this machine (joblib), or on a cluster (Ray)."""

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
    """Return a function that runs cells in processes started by joblib (loky), with one thread each; one worker is this process.

    Args:
        workers: how many processes.

    Returns:
        A function from jobs to outcomes, in the order in which they end. It raises
        ``concurrent.futures.process.BrokenProcessPool`` if one of the processes was killed.
    """
    if workers < 1:
        raise ConfigError(f"at least one worker is needed, not {workers}")

    return lambda jobs: run_parallel(run_job, jobs, workers, ordered=False)


def _needs(job: Job) -> dict[str, int]:
    """Return what a task requests. ``auto`` is resolved here: a worker with another device refuses to run the cell."""
    device = job.cell.training.device
    if device == "auto":
        device = pick_device(device).type
    return {"num_cpus": 1, "num_gpus": int(device.startswith("cuda"))}


def on_ray(address: str, retries: int = RETRIES) -> Execute:
    """Return a function that runs each cell as a task of a Ray cluster, which restarts a task if its process or machine is lost.

    All machines share the project's folder, at the same path and with the same code.

    Args:
        address: as for ``ray.init``: ``auto``, ``host:port`` or ``ray://host:port``.
        retries: of a task that was lost; an error of the cell itself is an outcome and is not retried.

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
                except ray.exceptions.RayTaskError as error:  # errors of the cell itself are outcomes
                    yield Outcome(job.key, "failed", reason=str(error.cause or error))
                except ray.exceptions.RayError as error:
                    yield Outcome(job.key, "failed", reason=f"lost {retries + 1} times on the cluster: {error}")
        finally:
            ray.shutdown()

    return execute
