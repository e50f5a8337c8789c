"""What a report is made of: tables with known columns, facts about the run, facts about the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

from lacuna.errors import DataError
from lacuna.evaluation.protocol import FIXED
from lacuna.models import model_class
from lacuna.reporting.variants import changed
from lacuna.reporting.words import higher_is_better
from lacuna.training.trained import TrainedRecognizer

Panel = tuple[str, str]  # a pattern and its setting
COLUMNS = {
    "summary": ("model", "pattern", "setting", "rate", "measured_rate", "metric", "mean", "low", "high", "constant"),
    "areas": ("model", "pattern", "setting", "metric", "measure", "mean", "low", "high", "constant"),
    "comparisons": ("model_a", "model_b", "pattern", "setting", "metric", "measure", "difference", "low", "high", "p_value"),
    "confusion": ("model", "pattern", "setting", "rate", "true", "predicted", "count"),
    "history": ("model", "seed", "epoch", "metric", "value"),
    "scores": ("model", "seed", "pattern", "setting", "rate", "metric", "value"),
}


@dataclass(frozen=True)
class RunFacts:
    """What was run, on what, by which code.

    Attributes:
        corpus: name of the corpus.
        command: what a reader types to get the same tables.
        created: when, ISO 8601; the report itself never reads the clock.
        target: what is predicted.
        classes: class names in the order of their codes.
        git: commit of the code, or ``None`` outside a repository.
        dirty: the working tree had changes that the commit does not hold.
        versions: by package, ``python`` and ``lacuna`` among them.
        cores: processor cores of the machine.
        threads: threads that torch used.
        device: e.g. ``cpu`` or the name of the GPU.
        seeds: training seeds.
        config_digest: hash of all settings.
        level: confidence level of the intervals.
        resamples: bootstrap resamples behind the intervals, or ``None`` if unknown.
        splits: utterances by split.
        absences: utterances that lack the modality altogether, by modality and split.
        source: what the corpus was read from, without machine paths.
        files: SHA-256 by file name of the corpus's sources.
        notes: what the importer recognised, decided or repaired.
        licence: terms of the corpus.
    """

    corpus: str
    command: str
    created: str
    target: str = "emotion"
    classes: tuple[str, ...] = ()
    git: str | None = None
    dirty: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    cores: int | None = None
    threads: int | None = None
    device: str = "cpu"
    seeds: tuple[int, ...] = ()
    config_digest: str = ""
    level: float = 0.95
    resamples: int | None = None
    splits: Mapping[str, int] = field(default_factory=dict)
    absences: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    source: str = "unknown"
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    licence: str = "unknown"

    @property
    def machine(self) -> str:
        """Cores, threads and device in words."""
        cores = "unknown number of cores" if self.cores is None else f"{self.cores} core{'s' if self.cores != 1 else ''}"
        threads = "" if self.threads is None else f", {self.threads} thread{'s' if self.threads != 1 else ''}"
        return f"{cores}{threads}, {self.device}"

    @property
    def commit(self) -> str:
        """The commit in words, with a warning if it does not tell everything."""
        return (self.git or "unknown") + (" with uncommitted changes" if self.dirty else "")


@dataclass(frozen=True)
class ModelFacts:
    """What a model card says beside the numbers.

    Attributes:
        name: its label, by which tables and figures call it.
        model: the registered name of the model; empty = the label.
        description: one sentence.
        parameters: number of trainable parameters.
        pattern: missingness pattern of training.
        selection: validation metric that chose the weights.
        chosen: by seed, the epoch whose weights were kept, from 0.
        epochs: by seed, how many epochs ran.
        valid: by seed, the validation value of the kept weights.
        seconds: by seed, wall-clock time of training.
        config: the model's settings.
        changed: those that differ from the defaults, see :func:`lacuna.reporting.variants.changed`.
        training: the training settings that decide what comes out.
        flags: what it needs and does, in words.
    """

    name: str
    model: str = ""
    description: str = ""
    parameters: int | None = None
    pattern: str = ""
    selection: str = ""
    chosen: Mapping[int, int] = field(default_factory=dict)
    epochs: Mapping[int, int] = field(default_factory=dict)
    valid: Mapping[int, float] = field(default_factory=dict)
    seconds: Mapping[int, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, trained: Sequence[TrainedRecognizer]) -> ModelFacts:
        """Facts of one model from its recognisers, one a seed.

        Raises:
            DataError: there is none, or they are of several models or labels.
        """
        names = sorted({(t.label, t.name) for t in trained})
        if len(names) != 1:
            found = ", ".join(label if label == name else f"{label} ({name})" for label, name in names)
            raise DataError("a model card is about one model", expected="one model and label", found=found or "none")
        first = trained[0]
        model, selection = first.model, first.selection
        flags = (
            "reads whole dialogues" if model.needs_dialogue else "reads one utterance at a time",
            "recovers what is missing" if model.recovers else "does not recover what is missing",
            "trained by gradient descent" if model.learns else "fitted in closed form",
        )
        return cls(
            name=first.label,
            model=first.name,
            description=" ".join((model_class(first.name).__doc__ or "").strip().split("\n\n")[0].split()),
            parameters=selection.parameters,
            pattern=selection.pattern,
            selection=selection.metric,
            chosen={t.seed: t.selection.epoch for t in trained},
            epochs={t.seed: t.selection.epochs for t in trained},
            valid={t.seed: t.selection.value for t in trained},
            seconds={t.seed: t.selection.seconds for t in trained},
            config={f.name: getattr(model.config, f.name) for f in fields(model.config)},
            changed=changed(model.config),
            training=selection.training,
            flags=flags,
        )


@dataclass(frozen=True, eq=False)
class Report:
    """Everything a report shows. Only ``summary`` and ``facts`` are needed; what is ``None`` is left out.

    Attributes:
        facts: about the run and the corpus.
        summary: one row a model, pattern, setting, rate and metric, with interval and constant baseline.
        primary: the metric that headlines and ranks.
        areas: one row a model, pattern, setting, metric and measure.
        comparisons: paired differences ``model_a - model_b``; those at single rates are left out where there are areas.
        confusion: counts; seeds are added up.
        history: one row an epoch (as training logs them) or one row a quantity.
        scores: one row a single measurement; kept beside the tables.
        models: facts by label.
        references: models shown in grey and never ranked, such as a known ceiling.
    """

    facts: RunFacts
    summary: pd.DataFrame
    primary: str
    areas: pd.DataFrame | None = None
    comparisons: pd.DataFrame | None = None
    confusion: pd.DataFrame | None = None
    history: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in COLUMNS:
            table = getattr(self, name)
            if table is not None:
                object.__setattr__(self, name, checked(name, table, self.facts.corpus))
        if self.primary not in self.metrics:
            raise DataError(
                "the primary metric was not measured",
                corpus=self.facts.corpus,
                expected=self.primary,
                found=", ".join(self.metrics) or "an empty summary",
                hint="name one of the metrics of the summary",
            )

    @property
    def metrics(self) -> list[str]:
        """Metrics of the summary, the primary one first."""
        names: list[str] = list(dict.fromkeys(self.summary["metric"]))
        return sorted(names, key=lambda name: name != self.primary)

    @property
    def ranked(self) -> list[str]:
        """Models, best first by the mean of the primary metric over everything measured; references last."""
        own = self.summary[self.summary["metric"] == self.primary]
        sign = -1 if higher_is_better(self.primary) else 1
        means = own.groupby("model")["mean"].mean().fillna(-sign * float("inf")) * sign
        return sorted(means.index, key=lambda name: (name in self.references, means[name], name))

    @property
    def trainings(self) -> dict[str, int]:
        """How many training runs are behind the means of each model but references; empty if the summary does not say."""
        if "seeds" not in self.summary.columns:
            return {}
        own = self.summary[~self.summary["model"].isin(self.references)].dropna(subset=["seeds"])
        return {str(name): int(count) for name, count in own.groupby("model", sort=True)["seeds"].min().items()}

    @property
    def seeds(self) -> str:
        """Their number in words, such as ``3 training seeds``; empty if the summary does not say."""
        counts = sorted(set(self.trainings.values()))
        if not counts:
            return ""
        span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
        return f"{span} training seed{'s' if counts[-1] != 1 else ''}"


def checked(name: str, table: pd.DataFrame, corpus: str) -> pd.DataFrame | None:
    """The table with the columns that the report reads, ``None`` if it has no rows.

    Raises:
        DataError: a column is missing, or the rows are of several corpora.
    """
    if table.empty and name != "summary":
        return None
    if name == "history" and "value" not in table.columns:
        table = long_history(table)
    needed = [c for c in COLUMNS[name] if c not in ("setting", "measured_rate")]
    if missing := [c for c in needed if c not in table.columns]:
        raise DataError(f"the table '{name}' lacks a column", corpus=corpus, expected=missing[0], found=", ".join(table.columns))
    if "corpus" in table.columns and table["corpus"].nunique() > 1:
        found = ", ".join(sorted(map(str, table["corpus"].unique())))
        raise DataError(f"the table '{name}' mixes corpora", expected="one corpus a report", found=found, hint="write one each")
    table = table.reset_index(drop=True)
    if "setting" in COLUMNS[name]:
        table["setting"] = table["setting"].fillna("").astype(str) if "setting" in table.columns else ""
    if name == "summary" and "measured_rate" not in table.columns:
        table["measured_rate"] = table["rate"]
    return overall(table) if name == "comparisons" else table


def long_history(table: pd.DataFrame) -> pd.DataFrame:
    """The training log with one row a quantity, from one row an epoch; validation metric and losses first.

    Args:
        table: model, seed, epoch and a column for each quantity, as :func:`lacuna.training.fit` gives them.
    """
    keys = [c for c in ("corpus", "model", "seed", "epoch") if c in table.columns]
    first = {"valid_loss": 1, "train_loss": 2, "learning_rate": 4, "seconds": 5}
    names = [str(c) for c in table.columns if c not in keys]
    order = sorted(names, key=lambda c: first.get(c, 3 if "/" in c else 0))
    return table.melt(id_vars=keys, value_vars=order, var_name="metric", value_name="value").dropna(subset=["value"])


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """Comparisons of whole curves; those at single rates only where a pattern and setting, or the subsets, have no others."""
    single = table["measure"] == "at_rate"
    mean = table["measure"] == "subset_mean"  # has no setting of its own
    covered = set(distinct(table[~single & ~mean], "pattern", "setting"))
    pairs = zip(table["pattern"], table["setting"], strict=True)
    whole = pd.Series([pair in covered for pair in pairs], index=table.index, dtype=bool)
    if (mean & (table["pattern"] == FIXED)).any():
        whole |= table["pattern"] == FIXED
    return table[~(single & whole)].reset_index(drop=True)


def panels(table: pd.DataFrame) -> list[Panel]:
    """The (pattern, setting) pairs that have a missing rate, in order of appearance; fixed subsets are not among them."""
    return [(pattern, setting) for pattern, setting in distinct(table, "pattern", "setting") if pattern != FIXED]


def rows_where(table: pd.DataFrame, **equal: Any) -> pd.DataFrame:
    """The rows where each named column has the given value."""
    keep = pd.Series(True, index=table.index)
    for column, value in equal.items():
        keep &= table[column] == value
    return table[keep]


def records(table: pd.DataFrame) -> list[Any]:
    """The rows as named tuples."""
    return list(table.itertuples(index=False))


def distinct(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """The different combinations of some columns, in order of appearance."""
    return list(table[list(columns)].drop_duplicates().itertuples(index=False, name=None))


def subset_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of fixed subsets, each at its highest rate: where the other modalities are gone from most utterances."""
    own = table[table["pattern"] == FIXED]
    return own[own["rate"] == own.groupby("setting")["rate"].transform("max")]
