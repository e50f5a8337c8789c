"""Pages of a study: a report of each contest, a leaderboard, and the committed ``results.md``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

from lacuna.atomic import write_text
from lacuna.bench import Contest, Gathered, gather, write_leaderboard, write_report_of
from lacuna.bench.choices import choices_page
from lacuna.errors import LacunaError
from lacuna.missing.thin import NOTE
from lacuna.pipelines.environments import Environment
from lacuna.pipelines.experiments import CELLS, Study
from lacuna.reporting.core.provenance import git, now, versions

Tell = Callable[[str], Any]


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
    thinned = [(one.contest.name, note) for one in planned for note in one.facts["notes"] if note.startswith(NOTE)]
    remarks = [f"{name}: {note}." for name, note in thinned]
    board = write_leaderboard(folder, study.name, contests, provenance, reports, missing=missing, remarks=remarks)
    tell(f"leaderboard: {board.relative_to(project)}")
    if study.page and len(contests) == len(whole) and not any(g.unfinished for g in contests) and page is not None:
        source = board.with_name("leaderboard.md") if len(whole) > 1 else page.with_name("results.md")
        _write_page(study.page, source.read_text("utf-8"), tell)
    return failed


def run_pipelines(study: Study, project: Path, tell: Tell) -> None:
    """Run the Kedro pipelines of a study that is not a grid, and write its page.

    Args:
        study: with ``pipeline: train`` or ``ood``.
        project: its folder.
        tell: called with a line when the page is written.

    Raises:
        LacunaError: as the nodes do.
    """
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    kind = study.experiment.pipeline
    names = ["ood"] if kind == "ood" else ["ingest", "preprocess", "train"]
    with chdir(project):  # paths in parameters are relative to the project
        bootstrap_project(project)
        parameters = {**study.experiment.parameters(), "run": study.name, "replace": True}
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
