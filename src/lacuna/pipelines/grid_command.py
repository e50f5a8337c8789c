"""What ``lacuna bench`` does, apart from the command line: plan, run, write pages, and tell how it goes."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError

from lacuna.bench import GridProgress, Job, Outcome, local, on_ray, run_grid
from lacuna.bench.store import is_done
from lacuna.errors import ConfigError
from lacuna.pipelines.environments import environments
from lacuna.pipelines.grids import Grid, Planned, plan_grid, project_of, read_grid, write_pages
from lacuna.training.device import pick_device

Tell = Callable[[str], Any]


@dataclass(frozen=True)
class Asked:
    """What was typed to say which cells.

    Attributes:
        names: of environments; or none, with a ``config``.
        config: a grid in YAML.
        models: variants with ``+`` between, in place of those of the environments.
        seeds: in the same way.
    """

    names: tuple[str, ...] = ()
    config: Path | None = None
    models: str | None = None
    seeds: str | None = None

    def grid(self, project: Path) -> Grid:
        """The grid that this asks for.

        Raises:
            ConfigError: it makes none.
        """
        if self.config is None and not self.names:
            raise ConfigError(
                f"name environments, or say --config FILE; there are: {', '.join(environments(project))}\n"
                "  e.g. lacuna bench mosi mmmo"
            )
        if self.config is not None and self.names:
            raise ConfigError("either names or --config: the file says which environments")
        if self.config is not None:
            grid = read_grid(self.config)
        else:
            grid = _checked({"name": "-".join(self.names)[:60], "environments": list(self.names)})
        given = {"models": self.models, "seeds": self.seeds}
        return _checked(grid.model_dump() | {name: value for name, value in given.items() if value is not None})

    def command(self) -> str:
        """What gives the same pages again; how many workers there were is no part of it."""
        options = [f"--config {self.config}"] if self.config else []
        options += [f"--{name} {value}" for name in ("models", "seeds") if (value := getattr(self, name)) is not None]
        return " ".join(["lacuna bench", *self.names, *options])


def run(asked: Asked, tell: Tell, *, workers: int | None = None, address: str | None = None, listing: bool = False) -> bool:
    """Run a grid and write its pages.

    Args:
        asked: which cells.
        tell: is given every line.
        workers: processes on this machine; ``None`` = one a core, or one if there is a GPU.
        address: of a Ray cluster, instead of processes.
        listing: only say what is done; corpora are made all the same, since keys depend on them.

    Returns:
        Whether every cell is finished, and every contest could be read and has its page.

    Raises:
        ConfigError: what was typed or written makes no grid.
    """
    project = project_of(Path.cwd())
    grid = asked.grid(project)
    planned, failed = plan_grid(grid, project, tell)
    folder = project / grid.folder
    jobs = [job for one in planned for job in one.contest.jobs(folder)]
    titles = {key: _title(one, i) for one in reversed(planned) for i, key in reversed(list(enumerate(one.contest.keys)))}
    if listing:
        done = {job.key: is_done(folder / job.key) for job in jobs}
        for key, there in done.items():
            tell(f"{'done' if there else 'open'}  {key}  {titles[key]}")
        for name, reason in failed.items():
            tell(f"\n{name} could not be read:\n{reason}")
        return all(done.values()) and not failed
    execute = on_ray(address) if address else local(workers or _workers())

    def ended(job: Job, outcome: Outcome, progress: GridProgress) -> None:
        over = progress.total - progress.left
        how = f"{_time(outcome.seconds)}" if outcome.state == "done" else f"FAILED: {outcome.reason.splitlines()[0]}"
        rest = f"; {_time(progress.eta)} left" if progress.left else ""
        tell(f"[{over}/{progress.total}] {titles[job.key]}: {how}{rest}")

    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        progress = run_grid(jobs, execute, ended, tell)
    finally:
        signal.signal(signal.SIGTERM, previous)
    pages = write_pages(grid, planned, project, asked.command(), tell, unplanned=failed)
    if pages.board is not None:
        tell(f"leaderboard: {pages.board.relative_to(project)}")
    for name, reason in pages.failed.items():
        tell(f"\n{name} has no page:\n{reason}")
    _summary(progress, failed, titles, folder, tell)
    return progress.complete and not failed and not pages.failed


def _checked(content: dict[str, Any]) -> Grid:
    try:
        return Grid.model_validate(content)
    except ValidationError as error:
        raise ConfigError("; ".join(f"{'.'.join(map(str, e['loc'])) or 'grid'}: {e['msg']}" for e in error.errors())) from None


def _workers() -> int:
    from joblib import cpu_count  # type: ignore[import-untyped]

    return 1 if pick_device("auto").type == "cuda" else int(cpu_count(only_physical_cores=True))


def _title(one: Planned, index: int) -> str:
    cell = one.contest.cells[index]
    return f"{one.contest.name} {cell.variant}" + ("" if cell.is_ceiling else f" seed {cell.seed}")


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown time"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _summary(progress: GridProgress, failed: dict[str, str], titles: dict[str, str], folder: Path, tell: Tell) -> None:
    for name, reason in failed.items():
        tell(f"\n{name} could not be read:\n{reason}")
    for key, reason in progress.failed.items():
        tell(f"\n{titles[key]} failed (all of it in {folder / key / 'failed.json'}):\n{reason}")
    if progress.lost:
        tell(
            "\ngiven up, because their worker was killed while nothing else ran (out of memory?): "
            + ", ".join(titles[k] for k in progress.lost)
        )
    if not progress.complete or failed:
        tell(f"\n{progress.done} of {progress.total} cells are finished; the same command tries the others again")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
