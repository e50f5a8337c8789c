"""What a report is made of: tables with known columns, facts about the run, facts about the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

from lacuna.errors import DataError
from lacuna.models import model_class
from lacuna.reporting.core.frames import COLUMNS, checked
from lacuna.reporting.core.settings import changed
from lacuna.reporting.core.words import higher_is_better
from lacuna.training.trained import TrainedRecognizer


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
        changed: those that differ from the defaults, see :func:`lacuna.reporting.core.settings.changed`.
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
        names = sorted({(t.variant, t.name) for t in trained})
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
            name=first.variant,
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
        recovery: one row a model, condition, modality, unit and measure of what was filled in.
        points: some recovered vectors beside the true ones, in two dimensions.
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
    recovery: pd.DataFrame | None = None
    points: pd.DataFrame | None = None
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
