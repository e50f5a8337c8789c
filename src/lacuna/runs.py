"""RunRecord folders of the command line: every run has a name, and no run replaces another.

A run folder holds ``run.json`` (what was trained, on what, when), ``corpus/`` (with its splits, unless it was read from a corpus
folder), ``checkpoints/``, ``recognizers/`` and ``history.parquet``; after ``lacuna evaluate`` also ``evaluation/``, the
tables, and ``report/``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from lacuna.atomic import atomic_path, write_json
from lacuna.corpus import Corpus, open_corpus
from lacuna.corpus.schema import check_name
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation import EvaluationConfig, PatternSpec, Tables
from lacuna.results import Evaluation
from lacuna.training import TrainedRecognizer, load_recognizers

RUN, RECOGNIZERS, HISTORY, EVALUATION = "run.json", "recognizers", "history.parquet", "evaluation"
FOLDER = Path("runs")
_LONG = ("history", "recovery", "points")


@dataclass(frozen=True)
class RunRecord:
    """What ``run.json`` says.

    Attributes:
        name: of the folder.
        corpus: name of the corpus.
        source: path or name that it was loaded from, as typed.
        corpus_folder: where the corpus lies in Lacuna's format, relative to the run if it is inside.
        models: variants, in the order of tables.
        seeds: training seeds.
        created: ISO 8601, UTC.
        command: what was typed.
        headline: the result in one line; empty before ``lacuna evaluate``.
    """

    name: str
    corpus: str
    source: str
    corpus_folder: str
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    created: str
    command: str
    headline: str = ""


def new_run_folder(parent: Path, name: str | None, corpus: str) -> Path:
    """Make the folder of a new run.

    Args:
        parent: folder of all runs.
        name: of the run; ``None`` = the corpus and the next free number, e.g. ``mosi-3``.
        corpus: name of the corpus.

    Raises:
        ConfigError: a finished run has that name.
        DataError: the name is not safe in a path.
    """
    if name is None:
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            try:
                (folder := parent / f"{corpus}-{number}").mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    folder = parent / check_name("run", name)
    if (folder / RUN).is_file():
        raise ConfigError(f"there is a run '{name}' in {parent} already: choose another --name, or delete {folder}")
    folder.mkdir(parents=True, exist_ok=True)  # an interrupted run of that name goes on here
    return folder


def now() -> str:
    """Return the time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def save_run(folder: Path, run: RunRecord, history: pd.DataFrame) -> None:
    """Write the history and then ``run.json``, which makes the run count."""
    with atomic_path(folder / HISTORY) as path:
        history.to_parquet(path, index=False)
    write_json(folder / RUN, asdict(run))


def load_run(folder: Path) -> RunRecord:
    """Return what ``run.json`` of a folder says.

    Raises:
        DataError: there is no finished run, or its file is damaged.
    """
    path = folder / RUN
    if not path.is_file():
        raise DataError("no finished run here", corpus=folder.name, expected=f"a folder with {RUN}", hint="lacuna train CORPUS")
    try:
        content: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        return RunRecord(**{**content, "models": tuple(content["models"]), "seeds": tuple(content["seeds"])})
    except (ValueError, TypeError, KeyError) as error:
        found = f"{type(error).__name__}: {error}"
        raise DataError(
            "the run cannot be read", corpus=folder.name, found=found, hint="delete the folder and train again"
        ) from None


def list_runs(parent: Path) -> list[RunRecord]:
    """Return the finished runs of a folder, oldest first; a damaged one shows its error as headline."""
    runs = []
    for folder in sorted(path.parent for path in parent.glob(f"*/{RUN}")):
        try:
            runs.append(replace(load_run(folder), name=folder.name))
        except DataError as error:
            runs.append(RunRecord(folder.name, "", "", "", (), (), "", "", str(error).splitlines()[0]))
    return sorted(runs, key=lambda run: run.created)


def corpus_of(folder: Path, run: RunRecord) -> Corpus:
    """Open the corpus of a run."""
    place = Path(run.corpus_folder)
    return open_corpus(place if place.is_absolute() else folder / place, verify=True)


def recognizers_of(folder: Path) -> list[TrainedRecognizer]:
    """Return the trained recognisers of a run."""
    return load_recognizers(folder / RECOGNIZERS)


def save_evaluation(folder: Path, run: RunRecord, evaluation: Evaluation) -> None:
    """Keep all tables of an evaluation in the run's folder, and its headline in ``run.json``."""
    place = folder / EVALUATION
    tables = {**evaluation.tables._asdict(), **{name: getattr(evaluation, name) for name in _LONG}}
    for name, table in tables.items():
        with atomic_path(place / f"{name}.parquet") as path:
            table.to_parquet(path, index=False)
    config = evaluation.config
    write_json(place / "config.json", {**asdict(config), "patterns": [asdict(pattern) for pattern in config.patterns]})
    write_json(folder / RUN, asdict(replace(run, headline=headline(evaluation))))


def load_evaluation(folder: Path) -> Evaluation:
    """Return the evaluation that :func:`save_evaluation` kept.

    Raises:
        DataError: the run was not evaluated.
    """
    run, place = load_run(folder), folder / EVALUATION
    if not (place / "config.json").is_file():
        raise DataError("the run was not evaluated yet", corpus=folder.name, hint=f"lacuna evaluate {folder}")
    content = json.loads((place / "config.json").read_text("utf-8"))
    patterns = tuple(PatternSpec(p["name"], p["settings"], tuple(p["rates"])) for p in content.pop("patterns"))
    tables = {path.stem: pd.read_parquet(path) for path in place.glob("*.parquet")}
    return Evaluation(
        corpus_of(folder, run),
        tuple(recognizers_of(folder)),
        EvaluationConfig(patterns=patterns, **content),
        Tables(*(tables[name] for name in Tables._fields)),
        **{name: tables[name] for name in _LONG},
    )


def headline(evaluation: Evaluation) -> str:
    """Return the highest mean of the ranking metric over all conditions, in one line."""
    rows = evaluation.summary
    own = [one.variant for one in evaluation.recognizers]
    rows = rows[(rows["metric"] == evaluation.metric) & rows["model"].isin(own)]
    means = rows.groupby("model")["mean"].mean().sort_values(ascending=False)
    return f"{evaluation.metric} {means.iloc[0]:.3f} ({means.index[0]}, mean over all conditions)"


def compare_runs(first: Path, second: Path) -> pd.DataFrame:
    """Return the scores of two runs side by side.

    Returns:
        One row a model and pattern that both runs have: area under the curve of the ranking metric in both with its interval,
        and the difference (second minus first). Intervals are of each run by itself; a difference inside both of them may
        be chance.

    Raises:
        DataError: a run was not evaluated, or the two have nothing in common.
    """
    tables = []
    for folder in (first, second):
        evaluation = load_evaluation(folder)
        areas = evaluation.tables.areas
        chosen = areas[(areas["metric"] == evaluation.metric) & areas["measure"].isin(["auilc", "subset_mean"])]
        tables.append(chosen[["model", "pattern", "setting", "mean", "low", "high"]])
    both = tables[0].merge(tables[1], on=["model", "pattern", "setting"], suffixes=("_first", "_second"))
    if both.empty:
        raise DataError("the runs share no model and pattern", expected="one at least", found=f"{first.name}, {second.name}")
    return both.assign(difference=both["mean_second"] - both["mean_first"])
