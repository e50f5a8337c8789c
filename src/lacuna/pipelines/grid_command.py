"""What ``lacuna bench`` does, apart from the command line: plan, run, write pages, and tell how it goes."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError

from lacuna.bench import Job, Outcome, Progress, local, on_ray, run_grid
from lacuna.bench.store import is_done
from lacuna.errors import ConfigError
from lacuna.pipelines.environments import environments
from lacuna.pipelines.grids import Grid, Planned, plan_grid, project_of, read_grid, write_pages
from lacuna.training.device import pick_device

Tell = Callable[[str], Any]


def run(
    names: Sequence[str],
    config: Path | None,
    models: str | None,
    seeds: str | None,
    workers: int | None,
    address: str | None,
    listing: bool,
    tell: Tell,
) -> bool:
    """Run a grid and write its pages.

    Args:
        names: of environments; or none, with a ``config``.
        config: a grid in YAML.
        models: labels with ``+`` between, in place of those of the environments.
        seeds: in the same way.
        workers: processes on this machine; ``None`` = one a core, or one if there is a GPU.
        address: of a Ray cluster, instead of processes.
        listing: only say what is done.
        tell: is given every line.

    Returns:
        Whether every cell is finished.

    Raises:
        ConfigError: what was typed or written makes no grid.
    """
    project = project_of(Path.cwd())
    grid = _grid(names, config, models, seeds, project)
    typed = _typed(names, config, models, seeds)
    planned, failed = plan_grid(grid, project, tell)
    folder = project / grid.folder
    jobs = [job for one in planned for job in one.contest.jobs(folder)]
    titles = {key: _title(one, i) for one in reversed(planned) for i, key in reversed(list(enumerate(one.contest.keys)))}
    if listing:
        for job in {job.key: job for job in jobs}.values():
            tell(f"{'done' if is_done(folder / job.key) else 'open'}  {job.key}  {titles[job.key]}")
        return not failed
    execute = on_ray(address) if address else local(workers or _workers())

    def ended(job: Job, outcome: Outcome, progress: Progress) -> None:
        over = progress.done + len(progress.failed)
        how = f"{_time(outcome.seconds)}" if outcome.state == "done" else f"FAILED: {outcome.reason.splitlines()[0]}"
        rest = f"; {_time(progress.eta)} left" if progress.left else ""
        tell(f"[{over}/{progress.total}] {titles[job.key]}: {how}{rest}")

    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        progress = run_grid(jobs, execute, ended, tell)
    finally:
        signal.signal(signal.SIGTERM, previous)
    board = write_pages(grid, planned, project, typed, tell)
    if board is not None:
        tell(f"leaderboard: {board.relative_to(project)}")
    _summary(progress, failed, titles, folder, tell)
    return progress.complete and not failed


def _grid(names: Sequence[str], config: Path | None, models: str | None, seeds: str | None, project: Path) -> Grid:
    if config is None and not names:
        raise ConfigError(
            "name environments, or say --config FILE; there are: " + ", ".join(environments(project)) + "\n"
            "  e.g. lacuna bench mosi mmmo"
        )
    if config is not None and names:
        raise ConfigError("either names or --config: the file says which environments")
    grid = read_grid(config) if config is not None else Grid(name="-".join(names)[:60], environments=list(names))
    given = {"models": models, "seeds": seeds}
    try:
        return Grid.model_validate(grid.model_dump() | {k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        raise ConfigError("; ".join(f"--{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from None


def _typed(names: Sequence[str], config: Path | None, models: str | None, seeds: str | None) -> str:
    """What gives the same pages again; how many workers there were is no part of it."""
    options = [f"--config {config}"] if config else []
    options += [f"--{name} {value}" for name, value in (("models", models), ("seeds", seeds)) if value is not None]
    return " ".join(["lacuna bench", *names, *options])


def _workers() -> int:
    from joblib import cpu_count

    return 1 if pick_device("auto").type == "cuda" else int(cpu_count(only_physical_cores=True))


def _title(one: Planned, index: int) -> str:
    cell = one.contest.cells[index]
    return f"{one.contest.name} {cell.label}" + ("" if cell.is_ceiling else f" seed {cell.seed}")


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown time"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _summary(progress: Progress, failed: dict[str, str], titles: dict[str, str], folder: Path, tell: Tell) -> None:
    for name, reason in failed.items():
        tell(f"\n{name} could not be read:\n{reason}")
    for key, reason in progress.failed.items():
        tell(f"\n{titles[key]} failed (all of it in {folder / key / 'failed.json'}):\n{reason}")
    if progress.lost:
        tell("\nworkers were killed again and again; these cells are not finished: " + ", ".join(titles[k] for k in progress.lost))
    if not progress.complete or failed:
        tell(f"\n{progress.done} of {progress.total} cells are finished; the same command tries the others again")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
