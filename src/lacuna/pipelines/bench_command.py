"""What ``lacuna bench`` does, apart from the command line: plan, run, write pages, and report progress."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from pydantic import ValidationError

from lacuna.atomic import write_text
from lacuna.bench import (
    Contest,
    Gathered,
    GridProgress,
    Job,
    Outcome,
    gather,
    local,
    on_ray,
    plan,
    run_grid,
    write_leaderboard,
    write_report_of,
)
from lacuna.bench.store import is_done
from lacuna.errors import ConfigError, DataError, LacunaError
from lacuna.pipelines.environments import Environment, ingest_corpus, problems, project_of
from lacuna.pipelines.experiments import CELLS, Experiment, Study, cells_of, environments_of, find_studies
from lacuna.reporting.core.provenance import git, now, versions
from lacuna.training.device import pick_device

Tell = Callable[[str], Any]


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        names: experiments by path, or environments.
        models: variants with ``+`` between them, in place of those of the studies; then no committed page is written.
        seeds: of training, in the same form; then no committed page is written.
    """

    names: tuple[str, ...] = ()
    models: str | None = None
    seeds: str | None = None

    def studies(self, project: Path) -> list[Study]:
        """Return the studies to run.

        Raises:
            ConfigError: a name or an option is wrong.
        """
        studies = find_studies(self.names, project)
        options = {name: value for name in ("models", "seeds") if (value := getattr(self, name)) is not None}
        return [_narrowed(study, options) for study in studies] if options else studies


class Planned(NamedTuple):
    """A contest with what its report needs.

    Attributes:
        study: that it belongs to.
        contest: its cells.
        environment: that the cells come from.
        facts: about the corpus.
    """

    study: Study
    contest: Contest
    environment: Environment
    facts: Mapping[str, Any]


def run(request: Request, tell: Tell, *, workers: int | None = None, address: str | None = None, listing: bool = False) -> bool:
    """Run studies and write their pages.

    Args:
        request: which studies.
        tell: called with every line of output.
        workers: processes on this machine; ``None`` = one a core, or one if there is a GPU.
        address: of a Ray cluster, instead of processes.
        listing: only say which cells are finished; corpora are imported nevertheless, because keys depend on them.

    Returns:
        Whether every cell is finished and every page was written.

    Raises:
        ConfigError: a name, an option or a setting is wrong.
    """
    project = project_of(Path.cwd())
    studies = request.studies(project)
    planned, failed = plan_studies(studies, project, tell)
    jobs = list({job.key: job for one in planned for job in one.contest.jobs(project / CELLS)}.values())
    titles = {key: _title(one, i) for one in reversed(planned) for i, key in reversed(list(enumerate(one.contest.keys)))}
    if listing:
        done = {job.key: is_done(job.folder / job.key) for job in jobs}
        for key, finished in done.items():
            tell(f"{'done' if finished else 'open'}  {key}  {titles[key]}")
        for study in (s for s in studies if s.experiment.pipeline != "evaluate"):
            tell(f"{study.name}: Kedro pipeline {study.experiment.pipeline}, which has no cells")
        _tell_failed(failed, "could not be read", tell)
        return all(done.values()) and not failed
    progress = _run_cells(jobs, titles, on_ray(address) if address else local(workers or _workers()), tell) if jobs else None
    unwritten: dict[str, str] = {}
    for study in studies:
        if study.experiment.pipeline == "evaluate":
            contests = [one for one in planned if one.study == study]
            unwritten |= write_pages(study, contests, project, tell, failed)
        else:
            _run_pipelines(study, project, tell)
    _tell_failed(unwritten, "has no page", tell)
    _tell_failed(failed, "could not be read", tell)
    if progress is not None:
        _summary(progress, titles, project / CELLS, tell)
    return (progress is None or progress.complete) and not failed and not unwritten


def plan_studies(studies: list[Study], project: Path, tell: Tell) -> tuple[list[Planned], dict[str, str]]:
    """Import the corpora and give every cell its key.

    Returns:
        The contests, and by name why the others could not be planned, e.g. a corpus that cannot be read.

    Raises:
        ConfigError: a setting is wrong; all of them are checked before a corpus is read.
    """
    facts: dict[Path, dict[str, Any]] = {}
    planned: list[Planned] = []
    failed: dict[str, str] = {}
    read = [(study, environments_of(study, project)) for study in studies]
    contests = [(study, *item) for study, own in read if study.experiment.pipeline == "evaluate" for item in own.items()]
    for study, name, environment in contests:
        try:
            if environment.corpus not in facts:
                tell(f"{name}: corpus")
                facts[environment.corpus] = ingest_corpus(environment, project)
            planned.append(Planned(study, plan(name, cells_of(environment)), environment, facts[environment.corpus]))
        except DataError as error:
            failed[name] = str(error)
    return planned, failed


def write_pages(study: Study, planned: list[Planned], project: Path, tell: Tell, unplanned: Mapping[str, str]) -> dict[str, str]:
    """Write a report of each contest of a study, the leaderboard over them, and the committed page if all cells are finished.

    Args:
        study: with its page.
        planned: its contests.
        project: its folder.
        tell: called with a line for each page.
        unplanned: contests that could not be planned, with the reason; the leaderboard names them.

    Returns:
        Contests without a page, with the reason.
    """
    failed, contests, reports = dict[str, str](), list[Gathered](), dict[str, str]()
    whole = study.experiment.corpus
    page = None
    for one in planned:
        name = one.contest.name
        try:
            gathered = gather(one.contest, project / CELLS)
        except LacunaError as error:
            failed[name] = str(error)
            continue
        folder = Path("reports", study.name, *([name] if len(whole) > 1 else []))
        page = write_report_of(gathered, project / CELLS / folder, one.facts, one.environment.parameters, study.command)
        tell(f"{name}: {page.relative_to(project)}")
        contests.append(gathered)
        reports[name] = f"../../{folder.as_posix()}/report.html"
    if not contests:
        return failed
    missing = {name: reason for name, reason in {**unplanned, **failed}.items() if name in whole}
    provenance = {"command": study.command, "made": now(), "commit": git("rev-parse", "HEAD") or "unknown"}
    provenance["versions"] = ", ".join(f"{name} {version}" for name, version in versions().items())
    folder = project / CELLS / "leaderboard" / study.name
    board = write_leaderboard(folder, study.name, contests, provenance, reports, missing=missing)
    tell(f"leaderboard: {board.relative_to(project)}")
    if study.page and len(contests) == len(whole) and not any(g.unfinished for g in contests) and page is not None:
        source = board.with_name("leaderboard.md") if len(whole) > 1 else page.with_name("results.md")
        _write_page(study.page, source.read_text("utf-8"), tell)
    return failed


def _run_pipelines(study: Study, project: Path, tell: Tell) -> None:
    """Run Kedro's pipelines for a study that is no grid, and write its page."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from lacuna.bench.choices import choices_page

    kind = study.experiment.pipeline
    names = ["ood"] if kind == "ood" else ["ingest", "preprocess", "train"]
    with chdir(project):  # paths in parameters are relative to the project
        bootstrap_project(project)
        parameters = {**study.experiment.parameters(), "run": study.name}
        session: Any = KedroSession.create(project, env=study.experiment.corpus[0], runtime_params=parameters)
        with session:
            session.run(pipeline_names=names)
            catalog = session.load_context().catalog
        if kind == "ood":
            text = (project / "data/08_reporting" / study.name / "ood" / "results.md").read_text("utf-8")
        else:
            text = choices_page(study.name, catalog.load("recognizers"), study.command)
    if study.page:
        _write_page(study.page, text, tell)


def _write_page(path: Path, text: str, tell: Tell) -> None:
    write_text(path, text)
    tell(f"results: {path}")


def _narrowed(study: Study, options: Mapping[str, str]) -> Study:
    """Return a study with other models or seeds; it keeps the settings of its variants, and has no committed page."""
    experiment = study.experiment
    changed: dict[str, Any] = {name: value for name, value in options.items() if name == "seeds"}
    if "models" in options:
        known = experiment.model_dump(exclude_unset=True).get("models") or {}
        changed["models"] = {name.strip(): known.get(name.strip()) for name in options["models"].split("+")}
    try:
        new = Experiment.model_validate(experiment.model_dump(exclude_unset=True) | changed)
    except ValidationError as error:
        raise ConfigError(problems(error)) from None
    command = " ".join([study.command, *(f"--{name} {value}" for name, value in options.items())])
    return replace(study, experiment=new, command=command, page=None)


def _run_cells(jobs: list[Job], titles: Mapping[str, str], execute: Any, tell: Tell) -> GridProgress:
    def ended(job: Job, outcome: Outcome, progress: GridProgress) -> None:
        over = progress.total - progress.left
        how = f"{_time(outcome.seconds)}" if outcome.state == "done" else f"FAILED: {outcome.reason.splitlines()[0]}"
        rest = f"; {_time(progress.eta)} left" if progress.left else ""
        tell(f"[{over}/{progress.total}] {titles[job.key]}: {how}{rest}")

    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run_grid(jobs, execute, ended, tell)
    finally:
        signal.signal(signal.SIGTERM, previous)


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


def _tell_failed(failed: Mapping[str, str], what: str, tell: Tell) -> None:
    for name, reason in failed.items():
        tell(f"\n{name} {what}:\n{reason}")


def _summary(progress: GridProgress, titles: Mapping[str, str], folder: Path, tell: Tell) -> None:
    for key, reason in progress.failed.items():
        tell(f"\n{titles[key]} failed (details in {folder / key / 'failed.json'}):\n{reason}")
    if progress.lost:
        lost = ", ".join(titles[key] for key in progress.lost)
        tell(f"\ngiven up, because their worker was killed while nothing else ran (out of memory?): {lost}")
    if not progress.complete:
        tell(f"\n{progress.done} of {progress.total} cells are finished; the same command tries the others again")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
