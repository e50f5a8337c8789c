"""``lacuna bench``: environments of this project as contests of the grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml  # type: ignore[import-untyped]
from pydantic import Field, ValidationError, model_validator

from lacuna.atomic import write_text
from lacuna.bench import Cell, Contest, Gathered, Protocol, gather, plan, write_leaderboard, write_report_of
from lacuna.corpus.schema import check_name
from lacuna.errors import ConfigError, DataError, LacunaError
from lacuna.pipelines.environments import Environment, ingested, project_of, read_environment
from lacuna.pipelines.parameters import Listed, Parameters, Seed, training_config
from lacuna.reporting.core.provenance import git, now, versions

FOLDER = Path("data/09_bench")


class GridEntry(Parameters):
    """An environment in a grid, under a name of its own, with other models or seeds than its own if need be."""

    name: str
    environment: str = ""
    models: Annotated[list[str] | None, Listed] = None
    seeds: Annotated[list[Seed] | None, Listed] = None


class Grid(Parameters):
    """What ``conf/bench/*.yml`` may say.

    Attributes:
        name: of the leaderboard.
        environments: which corpora, with variants, seeds and protocols.
        leaderboard: names of those that stand on the leaderboard; by default all.
        models: variants in place of those of every environment.
        seeds: in place of those of every environment.
        folder: of cells, reports and leaderboards, relative to the project.
        pages: folder into which the results page of each finished contest is put too, as ``<name>.md``.
    """

    name: str = "bench"
    environments: Annotated[list[str | GridEntry], Field(min_length=1)]
    leaderboard: list[str] | None = None
    models: Annotated[list[str] | None, Listed] = None
    seeds: Annotated[list[Seed] | None, Listed] = None
    folder: Path = FOLDER
    pages: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Grid:
        names = [e.name for e in self.entries]
        for name in [self.name, *names]:
            try:
                check_name("grid", name)
            except DataError as error:
                raise ValueError(str(error)) from None
        if twice := next((n for n in names if names.count(n) > 1), None):
            raise ValueError(f"environments: '{twice}' is named twice; give one of them another `name`")
        if unknown := next((n for n in self.leaderboard or () if n not in names), None):
            raise ValueError(f"leaderboard: '{unknown}' is not among the environments: {', '.join(names)}")
        return self

    @property
    def entries(self) -> list[GridEntry]:
        """Environments, each with a name."""
        return [GridEntry(name=e) if isinstance(e, str) else e for e in self.environments]


def read_grid(path: Path) -> Grid:
    """Read a grid.

    Raises:
        ConfigError: the file is not there, or says something wrong.
    """
    try:
        return Grid.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'grid'}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join([f"{path} is not a grid", *lines])) from None


@dataclass(frozen=True)
class Planned:
    """A contest with what its pages need.

    Attributes:
        contest: its cells.
        environment: that it comes from.
        facts: of the corpus.
    """

    contest: Contest
    environment: Environment
    facts: Mapping[str, Any]


def plan_grid(grid: Grid, project: Path, tell: Callable[[str], None] = lambda _: None) -> tuple[list[Planned], dict[str, str]]:
    """Make corpora that are not there yet and give every cell its key.

    Args:
        grid: what to run.
        project: its folder.
        tell: called with a line for each environment.

    Returns:
        The contests, and by name why the others could not be planned: a corpus that cannot be read, say.

    Raises:
        ConfigError: a setting is wrong.
    """
    planned: list[Planned] = []
    failed: dict[str, str] = {}
    chosen = {}
    for entry in grid.entries:  # all settings are checked before anything is read
        changes = {"models": entry.models or grid.models, "seeds": entry.seeds or grid.seeds}
        chosen[entry.name] = read_environment(project, entry.environment or entry.name, train=changes)
    for name, environment in chosen.items():
        tell(f"{name}: corpus")
        try:
            facts = ingested(environment, project)
            planned.append(Planned(plan(name, cells_of(environment)), environment, facts))
        except DataError as error:
            failed[name] = str(error)
    return planned, failed


def cells_of(environment: Environment) -> list[Cell]:
    """A cell for each variant and seed, in the order of the environment."""
    train, evaluate = environment.train, environment.evaluate
    protocol = Protocol(evaluate.config(), tuple(evaluate.recovery_rates), evaluate.device, evaluate.threads)
    cells = []
    for variant in train.models:
        own = environment.models.of(variant)
        config = training_config(train.training | own.training)
        for seed in train.seeds:
            where = environment.corpus, train.target, environment.checkpoints
            cells.append(Cell(*where, variant, own.model, own.settings, config, seed, protocol))
    return cells


class Pages(NamedTuple):
    """What was written.

    Attributes:
        board: the leaderboard; ``None`` if no contest on it has a finished model.
        failed: contests without a page, with the reason: no finished cell, or one that cannot be read.
    """

    board: Path | None
    failed: dict[str, str]


def write_pages(
    grid: Grid,
    planned: Sequence[Planned],
    project: Path,
    command: str,
    tell: Callable[[str], None] = lambda _: None,
    *,
    unplanned: Mapping[str, str] | None = None,
) -> Pages:
    """Write a report of each contest, and the leaderboard over those that are on it.

    Args:
        grid: as read.
        planned: its contests.
        project: its folder.
        command: what was typed.
        tell: called with a line for each page.
        unplanned: contests that could not be planned, with the reason; the leaderboard names them.
    """
    folder, contests, reports = project / grid.folder, list[Gathered](), dict[str, str]()
    failed, on_board = dict[str, str](), grid.leaderboard or [e.name for e in grid.entries]
    for one in planned:
        name = one.contest.name
        try:
            gathered = gather(one.contest, folder)
        except LacunaError as error:
            failed[name] = str(error)
            continue
        page = write_report_of(gathered, folder / "reports" / name, one.facts, one.environment.parameters, command)
        tell(f"{name}: {page.relative_to(project)}")
        if grid.pages is not None and not gathered.unfinished:
            write_text(project / grid.pages / f"{name}.md", page.with_name("results.md").read_text("utf-8"))
        if name in on_board:
            contests.append(gathered)
            reports[name] = f"../../reports/{name}/report.html"
    if not contests:
        return Pages(None, failed)
    lost = {**(unplanned or {}), **failed}
    missing = {name: lost[name] for name in on_board if name in lost}
    provenance = {"command": command, "made": now(), "commit": git("rev-parse", "HEAD") or "unknown"}
    provenance["versions"] = ", ".join(f"{name} {version}" for name, version in versions().items())
    board = write_leaderboard(folder / "leaderboard" / grid.name, grid.name, contests, provenance, reports, missing=missing)
    return Pages(board, failed)


__all__ = ["FOLDER", "Grid", "GridEntry", "Pages", "Planned", "plan_grid", "project_of", "read_grid", "write_pages"]
