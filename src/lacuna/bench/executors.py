"""Where cells run: in processes of this machine (joblib), or on a cluster (Ray)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lacuna.bench.cell import Job
from lacuna.bench.run import Outcome, run_job
from lacuna.errors import ConfigError
from lacuna.parallel import RETRIES, run_on_ray, run_parallel
from lacuna.training.device import pick_device

Execute = Callable[[Sequence[Job]], Iterator[Outcome]]


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
        address: as for :func:`lacuna.parallel.run_on_ray`.
        retries: of a task that was lost; an error of the cell itself is an outcome and is not retried.

    Returns:
        A function from jobs to outcomes. It raises :class:`ConfigError` if Ray is not installed, or there is no cluster at the
        address.
    """

    def execute(jobs: Sequence[Job]) -> Iterator[Outcome]:
        for number, result in run_on_ray(run_job, jobs, address, needs=_needs, retries=retries):
            yield Outcome(jobs[number].key, "failed", reason=str(result)) if isinstance(result, Exception) else result

    return execute
