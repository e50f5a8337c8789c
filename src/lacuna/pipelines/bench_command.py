"""What ``lacuna bench`` does, apart from the command line: plan, run, write pages, and report progress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lacuna.bench import GridProgress, Job, Outcome, local, on_ray, plan, run_grid
from lacuna.bench.executors import Execute
from lacuna.bench.store import is_done
from lacuna.errors import DataError, LacunaError
from lacuna.parallel import terminated_as_interrupted
from lacuna.pipelines.environments import ingest_corpus, project_of
from lacuna.pipelines.experiments import CELLS, Study, cells_of, environments_of, find_studies
from lacuna.pipelines.study_pages import Planned, Tell, run_pipelines, write_pages
from lacuna.progress import in_words
from lacuna.training.device import pick_device


def run(
    names: tuple[str, ...],
    tell: Tell,
    *,
    models: str | None = None,
    seeds: str | None = None,
    workers: int | None = None,
    address: str | None = None,
    listing: bool = False,
) -> bool:
    """Run studies and write their pages.

    Args:
        names: experiments by path, or environments.
        tell: called with every line of output.
        models: variants with ``+`` between them, in place of those of the studies; then no committed page is written.
        seeds: of training, in the same form; then no committed page is written.
        workers: processes on this machine; ``None`` = one a core, or one if there is a GPU.
        address: of a Ray cluster, instead of processes.
        listing: only say which cells are finished; corpora are imported nevertheless, because keys depend on them.

    Returns:
        Whether every cell is finished and every page was written.

    Raises:
        ConfigError: a name, an option or a setting is wrong.
    """
    project = project_of(Path.cwd())
    studies = find_studies(names, project, models, seeds)
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
            continue
        try:
            run_pipelines(study, project, tell)
        except LacunaError as error:
            unwritten[study.name] = str(error)
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
            cells = cells_of(environment, facts[environment.corpus]["utterances"].get("train", 0))
            planned.append(Planned(study, plan(name, cells), environment, facts[environment.corpus]))
        except DataError as error:
            failed[name] = str(error)
    return planned, failed


def _run_cells(jobs: list[Job], titles: Mapping[str, str], execute: Execute, tell: Tell) -> GridProgress:
    """Run the cells that are not finished and report each one."""
    unfinished = [job for job in jobs if not is_done(job.folder / job.key)]
    if unfinished:
        n_trained = sum(not job.cell.is_ceiling for job in unfinished)
        n_masks = sum(len(job.cell.plans()) for job in unfinished)
        tell(
            f"{len(unfinished)} of {len(jobs)} cells are not finished: {n_trained} trainings, {n_masks} scored masks; "
            "the time left follows after the first cell"
        )

    def ended(job: Job, outcome: Outcome, progress: GridProgress) -> None:
        over = progress.total - progress.left
        how = f"{_time(outcome.seconds)}" if outcome.state == "done" else f"FAILED: {outcome.reason.splitlines()[0]}"
        rest = f"; {_time(progress.eta)} left" if progress.left else ""
        tell(f"[{over}/{progress.total}] {titles[job.key]}: {how}{rest}")

    with terminated_as_interrupted():
        return run_grid(jobs, execute, ended, tell)


def _workers() -> int:
    from joblib import cpu_count  # type: ignore[import-untyped]

    return 1 if pick_device("auto").type == "cuda" else int(cpu_count(only_physical_cores=True))


def _title(one: Planned, index: int) -> str:
    cell = one.contest.cells[index]
    return f"{one.contest.name} {cell.variant}" + ("" if cell.is_ceiling else f" seed {cell.seed}")


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown time"
    return f"{seconds:.1f} s" if seconds < 60 else in_words(seconds)


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
