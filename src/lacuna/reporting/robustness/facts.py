"""Content of a report: tables with known columns, facts about the run, facts about the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from lacuna.errors import DataError
from lacuna.models import model_class
from lacuna.reporting.core.frames import COLUMNS, checked
from lacuna.reporting.core.settings import changed
from lacuna.reporting.core.words import baseline_label, higher_is_better
from lacuna.training.trained import TrainedRecognizer

MIN_DIALOGUES = 10  # with fewer test dialogues, no interval is shown
INTERVALS = ("low", "high", "gain_low", "gain_high", "p_value")


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run: corpus, command, code and machine.

    Attributes:
        corpus: name of the corpus.
        command: command that reproduces the tables.
        created: time of the run, ISO 8601; the report itself never reads the clock.
        target: predicted target.
        classes: class names in the order of their codes.
        git: commit of the code, or ``None`` outside a repository.
        dirty: the working tree had uncommitted changes.
        versions: version by package, including ``python`` and ``lacuna``.
        cores: processor cores of the machine.
        threads: threads that torch used.
        device: e.g. ``cpu`` or the name of the GPU.
        seeds: training seeds.
        config_digest: hash of all settings.
        level: confidence level of the intervals.
        resamples: number of bootstrap resamples, or ``None`` if unknown.
        splits: number of utterances by split.
        dialogues: number of dialogues by split.
        class_counts: number of utterances by split and class, in the order of ``classes``.
        absences: number of utterances without a modality, by modality and split.
        cautions: sentences on data that make scores say little, such as features that do not vary.
        source: source of the corpus, without machine paths.
        files: SHA-256 of the source files by file name.
        notes: notes of the importer.
        licence: licence of the corpus.
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
    dialogues: Mapping[str, int] = field(default_factory=dict)
    class_counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    absences: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    source: str = "unknown"
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    licence: str = "unknown"

    @property
    def machine(self) -> str:
        """Return cores, threads and device as text."""
        cores = "unknown number of cores" if self.cores is None else f"{self.cores} core{'s' if self.cores != 1 else ''}"
        threads = "" if self.threads is None else f", {self.threads} thread{'s' if self.threads != 1 else ''}"
        return f"{cores}{threads}, {self.device}"

    @property
    def commit(self) -> str:
        """Return the commit as text, with a note on uncommitted changes."""
        return (self.git or "unknown") + (" with uncommitted changes" if self.dirty else "")


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model beside its scores.

    Attributes:
        name: name of the variant in tables and figures.
        model: registered name of the model; empty = same as ``name``.
        description: one sentence.
        parameters: number of trainable parameters.
        pattern: missingness pattern of training.
        selection: validation metric that selected the weights.
        chosen: selected epoch by seed, from 1.
        epochs: number of epochs by seed.
        valid: validation value of the selected weights by seed.
        seconds: wall-clock time of training by seed, in s.
        config: settings of the model.
        changed: settings that differ from the defaults, see :func:`lacuna.reporting.core.settings.changed`.
        training: training settings.
        flags: properties of the model as text.
        gains: how much the validation loss falls when a modality is added, mean over seeds: by available modalities (joined by
            ``+``, ``nothing`` if none) and added modality, the gain and its standard error.
        trials: number of settings that were compared on validation before training; 1 = its own alone.
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
    gains: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    trials: int = 1

    @classmethod
    def of(cls, trained: Sequence[TrainedRecognizer]) -> ModelFacts:
        """Return the facts of one variant from its recognisers, one per seed.

        Raises:
            DataError: there is no recogniser, or there are several variants.
        """
        names = sorted({(t.variant, t.name) for t in trained})
        if len(names) != 1:
            found = ", ".join(variant if variant == name else f"{variant} ({name})" for variant, name in names)
            raise DataError("a model card describes one variant", expected="one variant", found=found or "none")
        first = trained[0]
        model, selection = first.model, first.selection
        flags = (
            "reads whole dialogues" if model.needs_dialogue else "reads one utterance at a time",
            "recovers missing features" if model.recovers else "does not recover missing features",
            "trained by gradient descent" if model.learns else "fitted in closed form",
        )
        return cls(
            name=first.variant,
            model=first.name,
            description=" ".join((model_class(first.name).__doc__ or "").strip().split("\n\n")[0].split()),
            parameters=selection.parameters,
            pattern=selection.pattern,
            selection=selection.metric,
            chosen={t.seed: t.selection.epoch + 1 for t in trained},
            epochs={t.seed: t.selection.epochs for t in trained},
            valid={t.seed: t.selection.value for t in trained},
            seconds={t.seed: t.selection.seconds for t in trained},
            config={f.name: getattr(model.config, f.name) for f in fields(model.config)},
            changed=changed(model.config),
            training=selection.training,
            flags=flags,
            gains=_gains(trained),
            trials=selection.trials,
        )


def _gains(trained: Sequence[TrainedRecognizer]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the gains of added modalities that were measured, see :attr:`ModelFacts.gains`."""
    tables = [t.model.sureness.added for t in trained]
    gain, error = (np.mean([getattr(t, name).cpu().numpy() for t in tables], axis=0) for name in ("gain", "error"))
    names = list(trained[0].schema.dims)
    by_set: dict[str, dict[str, tuple[float, float]]] = {}
    for code, row in enumerate(gain):
        measured = {m: (float(row[i]), float(error[code, i])) for i, m in enumerate(names) if np.isfinite(error[code, i])}
        if measured:
            by_set["+".join(m for i, m in enumerate(names) if code >> i & 1) or "nothing"] = measured
    return by_set


@dataclass(frozen=True, eq=False)
class Report:
    """Content of a report. Only ``facts``, ``summary`` and ``primary`` are required; sections without content are not shown.

    With fewer than :data:`MIN_DIALOGUES` test dialogues all intervals and p-values are removed, because a bootstrap over so few
    dialogues gives intervals that are too narrow.

    Attributes:
        facts: facts about the run and the corpus.
        summary: one row per model, pattern, setting, rate and metric, with interval and constant baseline.
        primary: main metric, which ranks the models.
        areas: one row per model, pattern, setting, metric and measure.
        comparisons: paired differences ``model_a - model_b``; those at single rates are dropped where there are areas.
        confusion: counts, summed over seeds.
        history: one row per epoch (the training log) or one row per quantity.
        scores: one row per measurement; written to the tables only.
        recovery: one row per model, condition, modality, unit and measure of recovery quality.
        points: a sample of recovered and true vectors in two dimensions.
        dynamics: change, state and transition scores, see :func:`lacuna.evaluation.dynamics_table`.
        calibration: mean confidence, accuracy and number of utterances by confidence bin.
        risk_coverage: error rate of the most confident share of utterances.
        sureness: by available modalities, sums of covered and of answered utterances, and of the sizes of prediction sets.
        examples: one row per utterance and model: text, missing modalities, true and predicted class, confidence.
        models: facts by variant.
        references: models that are shown in grey and not ranked, such as a known ceiling.
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
    dynamics: pd.DataFrame | None = None
    calibration: pd.DataFrame | None = None
    risk_coverage: pd.DataFrame | None = None
    sureness: pd.DataFrame | None = None
    examples: pd.DataFrame | None = None
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in COLUMNS:
            table = getattr(self, name)
            if table is not None:
                object.__setattr__(self, name, self._with_intervals(checked(name, table, self.facts.corpus)))
        if self.primary not in self.metrics:
            raise DataError(
                "the main metric was not measured",
                corpus=self.facts.corpus,
                expected=self.primary,
                found=", ".join(self.metrics) or "an empty summary",
                hint="choose one of the metrics of the summary",
            )

    def _with_intervals(self, table: pd.DataFrame | None) -> pd.DataFrame | None:
        """Return the table, without intervals and p-values if there are too few test dialogues."""
        if table is None or not self.few_dialogues:
            return table
        return table.assign(**dict.fromkeys([c for c in INTERVALS if c in table.columns], float("nan")))

    @property
    def few_dialogues(self) -> bool:
        """Return whether the test split is known to have fewer than :data:`MIN_DIALOGUES` dialogues."""
        return 0 < self.facts.dialogues.get("test", 0) < MIN_DIALOGUES

    @property
    def baseline(self) -> str:
        """Return the name of the constant baseline of the main metric."""
        return baseline_label(self.primary)

    @property
    def utterances(self) -> int | None:
        """Return the number of labelled test utterances, or ``None`` if unknown."""
        return int(self.summary["n"].max()) if "n" in self.summary.columns else None

    @property
    def metrics(self) -> list[str]:
        """Return the metrics of the summary, the main one first."""
        names: list[str] = list(dict.fromkeys(self.summary["metric"]))
        return sorted(names, key=lambda name: name != self.primary)

    @property
    def ranked(self) -> list[str]:
        """Return the models, best first by the mean of the main metric over all conditions; references last."""
        own = self.summary[self.summary["metric"] == self.primary]
        sign = -1 if higher_is_better(self.primary) else 1
        means = own.groupby("model")["mean"].mean().fillna(-sign * float("inf")) * sign
        return sorted(means.index, key=lambda name: (name in self.references, means[name], name))

    @property
    def trainings(self) -> dict[str, int]:
        """Return the number of training seeds of each ranked model; empty if the summary does not contain it."""
        if "seeds" not in self.summary.columns:
            return {}
        own = self.summary[~self.summary["model"].isin(self.references)].dropna(subset=["seeds"])
        return {str(name): int(count) for name, count in own.groupby("model", sort=True)["seeds"].min().items()}

    @property
    def seeds(self) -> str:
        """Return the number of training seeds as text: ``3 training seeds``; empty if unknown."""
        counts = sorted(set(self.trainings.values()))
        if not counts:
            return ""
        span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
        return f"{span} training seed{'s' if counts[-1] != 1 else ''}"
