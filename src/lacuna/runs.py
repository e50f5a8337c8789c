"""Folders of the runs of the command line: every run has a name, and no run replaces another.

A run folder holds ``run.json`` (what was trained, on what, when), ``corpus/`` (with its splits, unless it was read from a corpus
folder), ``checkpoints/``, ``recognizers/`` and ``history.parquet``; after ``lacuna evaluate`` also ``evaluation/``, the
tables, and ``report/``. Runs of ``kedro run`` lie in ``data/`` of the project; they are listed and compared here too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from lacuna.atomic import atomic_path, write_bytes, write_json
from lacuna.corpus import Corpus, open_corpus
from lacuna.corpus.schema import check_name
from lacuna.errors import ConfigError, DataError, readable
from lacuna.evaluation import CEILINGS, EvaluationConfig, PatternSpec, Tables
from lacuna.evaluation.conditions import Condition
from lacuna.evaluation.replicates import bootstrap
from lacuna.evaluation.stored_sweeps import sweeps_from_bytes, sweeps_to_bytes
from lacuna.evaluation.sweep import Sweep
from lacuna.evaluation.tables import areas, compare
from lacuna.metrics.scores import METRICS, primary
from lacuna.results import Evaluation
from lacuna.training import TrainedRecognizer, load_recognizers

RUN, RECOGNIZERS, HISTORY, EVALUATION = "run.json", "recognizers", "history.parquet", "evaluation"
CHECKPOINTS = "checkpoints"
UNFINISHED = "the command that began it continues it, `lacuna train` with --name {}"
FOLDER = Path("runs")
PROJECT_RUNS = Path("data/02_intermediate")  # of a Kedro project: <run>/run.json
SWEEPS = "sweeps.safetensors"
_LONG = ("history", "recovery", "points", "examples", "dynamics")


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
        raise no_run(folder)
    with readable("the run cannot be read", folder.name, "delete the folder and train again"):
        content: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        record = RunRecord(**{**content, "models": tuple(content["models"]), "seeds": tuple(content["seeds"])})
        for item in fields(record):
            value = getattr(record, item.name)
            wanted: type = {"models": str, "seeds": int}.get(item.name, str)
            if not all(isinstance(part, wanted) for part in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"{item.name} is {value!r}")
        return record


def no_run(folder: Path) -> DataError:
    """Return the error of a folder without ``run.json``: it does not exist, its training has not ended, or it is no run."""
    if (folder / CHECKPOINTS).is_dir():
        what, hint = "the training of this run has not ended", UNFINISHED.format(folder.name)
    elif folder.exists():
        what, hint = "no finished run here", "name the folder of a run; lacuna runs lists them"
    else:
        what, hint = f"there is no folder {folder}", "check the spelling; lacuna runs lists all runs"
    return DataError(what, corpus=folder.name, expected=f"a folder with {RUN}", hint=hint)


def list_runs(parent: Path) -> list[RunRecord]:
    """Return the runs of a folder, oldest first; a damaged one and one whose training has not ended say so as headline."""
    runs = [
        RunRecord(path.parent.name, "", "", "", (), (), "", "", f"not finished: {UNFINISHED.format(path.parent.name)}")
        for path in sorted(parent.glob(f"*/{CHECKPOINTS}"))
        if not (path.parent / RUN).is_file()
    ]
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
    """Return the trained recognisers of a run.

    Raises:
        DataError: one is damaged; the message has the command that writes it again from its checkpoints.
    """
    try:
        return load_recognizers(folder / RECOGNIZERS)
    except DataError as error:
        if not (folder / RUN).is_file():
            raise
        command = load_run(folder).command
        named = command if "--name" in command else f"{command} --name {folder.name}"
        raise DataError(
            "the recognisers of the run cannot be read",
            corpus=folder.name,
            found=str(error).splitlines()[0],
            hint=f"delete {folder / RUN}, then run: {named} (finished training is taken from its checkpoints)",
        ) from error


def save_evaluation(folder: Path, run: RunRecord, evaluation: Evaluation) -> None:
    """Keep all tables of an evaluation in the run's folder, and its headline in ``run.json``."""
    place = folder / EVALUATION
    write_bytes(place / SWEEPS, sweeps_to_bytes(evaluation.sweeps))
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
    with readable("the evaluation cannot be read", folder.name, f"evaluate the run again: lacuna evaluate {folder}"):
        content = json.loads((place / "config.json").read_text("utf-8"))
        patterns = tuple(PatternSpec(p["name"], p["settings"], tuple(p["rates"])) for p in content.pop("patterns"))
        tables = {path.stem: pd.read_parquet(path) for path in place.glob("*.parquet")}
        config = EvaluationConfig(patterns=patterns, **content)
    return Evaluation(
        corpus_of(folder, run),
        tuple(recognizers_of(folder)),
        config,
        Tables(*(tables.get(name, pd.DataFrame()) for name in Tables._fields)),  # a run of an earlier version lacks some
        **{name: tables.get(name, pd.DataFrame()) for name in _LONG},
        sweeps=sweeps_of_run(folder),
    )


def headline(evaluation: Evaluation) -> str:
    """Return the highest mean of the ranking metric over all conditions, in one line."""
    return headline_of(evaluation.summary, [one.variant for one in evaluation.recognizers], evaluation.metric)


def headline_of(summary: pd.DataFrame, models: Collection[str], metric: str) -> str:
    """Return the highest mean of a metric over all conditions, in one line.

    Args:
        summary: means of every condition.
        models: that were trained; ceilings are not among them.
        metric: that ranks.

    >>> table = pd.DataFrame({"model": ["mlp", "mlp", "prior"], "metric": "accuracy", "mean": [0.5, 0.7, 0.4]})
    >>> headline_of(table, ["mlp", "prior"], "accuracy")
    'accuracy 0.600 (mlp, mean over all conditions)'
    """
    rows = summary[(summary["metric"] == metric) & summary["model"].isin([m for m in models if m not in CEILINGS])]
    lower_is_better = any(m.name == metric and not m.higher for m in METRICS)
    means = rows.groupby("model")["mean"].mean().sort_values(ascending=lower_is_better)
    return f"{metric} {means.iloc[0]:.3f} ({means.index[0]}, mean over all conditions)" if len(means) else ""


def project_of(folder: Path) -> Path | None:
    """Return the Kedro project that a folder lies in, or ``None``."""
    return next((p for p in (folder, *folder.parents) if (p / "conf/base").is_dir() and (p / "pyproject.toml").is_file()), None)


def list_project_runs(project: Path) -> list[RunRecord]:
    """Return the runs of ``kedro run``, oldest first; a damaged one shows its error as headline."""
    runs = []
    for path in sorted((project / PROJECT_RUNS).glob(f"*/{RUN}")):
        name = path.parent.name
        try:
            content = json.loads(path.read_text("utf-8"))
            settings = content.get("settings", {})
            ingest, train = settings.get("ingest", {}), settings.get("train", {})
            run = RunRecord(
                name=name,
                corpus=ingest.get("name", ""),
                source=ingest.get("path") or ingest.get("name", ""),
                corpus_folder=str(path.with_name("corpus")),
                models=tuple(train.get("models", ())),
                seeds=tuple(train.get("seeds", ())),
                created=content["created"],
                command=content["command"],
                headline=content.get("headline", ""),
            )
        except Exception as error:  # an edited file may hold anything
            run = RunRecord(name, "", "", "", (), (), "", "", f"the run cannot be read: {type(error).__name__}: {error}")
        runs.append(run)
    return sorted(runs, key=lambda run: str(run.created))


def sweeps_of_run(folder: Path) -> tuple[Sweep, ...]:
    """Return the counts of an evaluated run.

    Args:
        folder: of a run of the command line; or ``data/02_intermediate/<run>`` of a project.

    Raises:
        DataError: the run was not evaluated, or its counts are damaged.
    """
    of_project = folder.parents[1] / "07_model_output" / folder.name / SWEEPS
    for path in (folder / EVALUATION / SWEEPS, of_project):
        if path.is_file():
            return sweeps_from_bytes(path.read_bytes(), folder.name)
    raise DataError("no finished run with scores here", corpus=folder.name, hint="lacuna runs lists all runs; evaluate it first")


def compare_runs(first: Path, second: Path, replicates: int = 500) -> pd.DataFrame:
    """Return the scores of two runs side by side, for every model and pattern that both have.

    If both runs scored the same utterances under some equal masks, the difference over those conditions has an interval of its
    own, from the same bootstrap samples of dialogues for both. Otherwise only each run by itself has intervals, over all of
    its conditions; a difference inside both of them may be chance.

    Args:
        first: folder of a run.
        second: folder of another one.
        replicates: of the bootstrap.

    Returns:
        One row a model and pattern: model, pattern, setting; mean, low and high of the area under the curve of the ranking metric
        in both runs; difference (second minus first); for paired runs difference_low, difference_high and p_value.

    Raises:
        DataError: a run was not evaluated, or the two have nothing in common.
    """
    sweeps = sweeps_of_run(first), sweeps_of_run(second)
    metric = primary(sweeps[0][0].target)
    conditions = _equal_conditions(*sweeps)
    if conditions:
        sweeps = tuple([_only(one, conditions) for one in run] for run in sweeps)  # type: ignore[assignment]
    tables = []
    for run in sweeps:
        table = areas(bootstrap(run, replicates))
        chosen = table[(table["metric"] == metric) & table["measure"].isin(_AREAS)]
        tables.append(chosen[["model", "pattern", "setting", "mean", "low", "high"]])
    both = tables[0].merge(tables[1], on=_KEYS, suffixes=("_first", "_second"))
    if both.empty:
        raise DataError(
            "the runs share no model and pattern",
            expected="one at least",
            found=f"{first.name}, {second.name}",
            hint="compare runs that share a model, and were evaluated under a common pattern",
        )
    both = both.assign(difference=both["mean_second"] - both["mean_first"])
    return both.merge(_paired(sweeps, metric, replicates), on=_KEYS) if conditions else both


_KEYS, _AREAS = ["model", "pattern", "setting"], ["auilc", "subset_mean"]


def _equal_conditions(first: Sequence[Sweep], second: Sequence[Sweep]) -> list[Condition]:
    """Return the conditions under which both runs scored the same utterances; empty if the utterances differ."""
    a, b = first[0], second[0]
    same = (a.corpus, a.target, a.fingerprint) == (b.corpus, b.target, b.fingerprint)
    return [condition for condition in a.conditions if condition in b.conditions] if same else []


def _only(one: Sweep, conditions: list[Condition]) -> Sweep:
    rows = [one.conditions.index(condition) for condition in conditions]
    return replace(one, conditions=tuple(conditions), counts=one.counts[rows])


def _paired(sweeps: Sequence[Sequence[Sweep]], metric: str, replicates: int) -> pd.DataFrame:
    """Return the paired differences of the models that both runs have."""
    names = [dict.fromkeys(one.model for one in run) for run in sweeps]
    shared = [name for name in names[0] if name in names[1]]
    together = [replace(one, model=f"{one.model}\n{i}") for i, run in enumerate(sweeps) for one in run if one.model in shared]
    table = compare(bootstrap(together, replicates), pairs=[(f"{name}\n1", f"{name}\n0") for name in shared])
    rows = table[(table["metric"] == metric) & table["measure"].isin(_AREAS)]
    rows = rows.assign(model=rows["model_a"].str.removesuffix("\n1"))
    return rows.rename(columns={"low": "difference_low", "high": "difference_high"})[
        [*_KEYS, "difference_low", "difference_high", "p_value"]
    ]
