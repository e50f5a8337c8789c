"""The report on a hyperparameter study as one self-contained HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from lacuna.models import Span
from lacuna.reporting.core.html import Plot, environment, page_parts
from lacuna.reporting.core.words import metric_label
from lacuna.reporting.robustness.results import MISUSE
from lacuna.reporting.study.figures import PARAM, parameters_of, study_history, study_importance, study_slices

if TYPE_CHECKING:
    from lacuna.tuning import StudyFacts

MIN_TRIALS = 10  # with fewer completed trials, no importance is shown
LIMITS = (
    "Every value on this page was measured on the validation split, which also selected the trials. The best of many trials is "
    "biased upwards there. Its quality must be measured on the test split, with intervals and several training seeds.",
    "A study with several workers is not reproducible: the trials that are known when the next one is sampled depend on timing.",
    "Importances hold for this search space and these trials: a setting with a narrow range appears unimportant.",
    "A pruned trial shows its last metric on the selection masks. It is not comparable with the area of completed trials.",
)


@dataclass(frozen=True, eq=False)
class StudyPage:
    """Content of the page.

    Attributes:
        facts: facts about the study.
        trials: one row per trial, see :func:`lacuna.tuning.trials_table`.
        importances: importance by parameter.
    """

    facts: StudyFacts
    trials: pd.DataFrame
    importances: dict[str, float]


def render_study(page: StudyPage, environment_name: str = "") -> str:
    """Return the HTML page.

    Args:
        page: content.
        environment_name: name of the Kedro environment with the result; empty = none.
    """
    facts, trials = page.facts, page.trials
    plots = study_plots(page)
    return environment().get_template("study/page.html").render(
        **page_parts(plots, file=f"study-{facts.name}"),
        title=f"Study of {facts.config.variant} on {facts.corpus}",
        facts=facts,
        findings=findings(page),
        parameters=parameter_rows(page),
        trials=trial_rows(trials),
        names=parameters_of(trials),
        run=[(name, value) for name, value in study_lines(page) if value],
        environment=environment_name,
        limits=LIMITS,
        misuse=MISUSE,
    )  # fmt: skip


def study_plots(page: StudyPage) -> list[Plot]:
    """Return every figure that the trials allow."""
    log = frozenset(name for name, dim in page.facts.config.space.items() if isinstance(dim, Span) and dim.log)
    plots = [Plot("history", "Optimisation history", study_history(page.trials), wide=True)]
    if page.importances and _completed(page) >= MIN_TRIALS:
        note = "Shares of the variance explained by single settings; they add up to 100 %. Unexplained variance is not included."
        plots.append(Plot("importance", "Hyperparameter importance", study_importance(page.importances), note, wide=True))
    if (page.trials["state"] == "complete").any():
        note = "Diamond: the original settings of the variant."
        plots.append(Plot("slices", "Value by setting", study_slices(page.trials, log), note, wide=True))
    return plots


def _completed(page: StudyPage) -> int:
    return int((page.trials["state"] == "complete").sum())


def findings(page: StudyPage) -> list[tuple[str, str]]:
    """Return the findings as (topic, text)."""
    facts, count = page.facts, page.trials["state"].value_counts()
    sentences = [f"Trial {facts.best.number} reached {facts.best.value:.4f} on validation."]
    if facts.start is not None:
        gain = facts.best.value - facts.start
        more = f"{gain:+.4f}".replace("-", "\u2212")
        sentences.append(f"The original settings reached {facts.start:.4f}, a difference of {more}.")
    died = int((page.trials["kind"] == "died").sum())
    trials = f"{count.get('complete', 0)} trials were completed and {count.get('pruned', 0)} pruned."
    trials += f" {int((page.trials['kind'] == 'raised').sum())} failed with an error."
    if died:
        trials += f" Interrupted because a worker died: {died}; their parameters were tried again."
    lines = [("Best", " ".join(sentences)), ("Trials", trials)]
    if _completed(page) < MIN_TRIALS:
        few = f"{_completed(page)} trials were completed: too few to rank settings. Importances need at least {MIN_TRIALS}."
        lines.append(("Few trials", few))
    if facts.best.number == 0 or (facts.start is not None and facts.best.value <= facts.start):
        lines.append(("No improvement", "No trial was better than the original settings, with which the study started."))
    if facts.codes > 1:
        lines.append(
            ("Several code versions", f"{facts.codes} versions of the code ran these trials; their values may not be comparable.")
        )
    return lines


def parameter_rows(page: StudyPage) -> list[tuple[str, str, str, str]]:
    """Return each parameter: name, search range, original value, best value."""
    config = page.facts.config
    best = page.facts.best.settings | {f"training.{name}": value for name, value in page.facts.best.training.items()}
    return [(name, str(dim), _short(config.start[name]), _short(best[name])) for name, dim in config.space.items()]


def trial_rows(trials: pd.DataFrame) -> list[list[str]]:
    """Return the trials as text, best first; trials without a value last."""
    order = {"complete": 0, "pruned": 1}
    ranked = trials.assign(_rank=trials["state"].map(order).fillna(2)).sort_values(
        ["_rank", "value", "number"], ascending=[True, False, True]
    )
    rows = []
    for _, row in ranked.iterrows():
        state = row["state"] + (", original settings" if row["warm"] else "")
        state += f", retry of {row['retry_of']}" if pd.notna(row["retry_of"]) else ""
        reason = row["reason"].splitlines()[0] if row["reason"] else ""
        values = [_short(row[PARAM + name]) for name in parameters_of(trials)]
        rows.append(
            [str(row["number"]), state, _short(row["value"]), str(row["epochs"]), _short(row["seconds"]), *values, reason]
        )
    return rows


def study_lines(page: StudyPage) -> list[tuple[str, str]]:
    """Return the provenance as (name, value)."""
    facts, config = page.facts, page.facts.config
    rates = ", ".join(f"{rate:g}" for rate in config.rates)
    scored_on = f"pattern {config.judged_under()}, validation split"
    value = f"area under {metric_label(facts.metric)} over missing rates {rates}; {scored_on}"
    fixed = {**config.settings, **{f"training.{name}": value for name, value in config.training.items()}}
    return [
        ("Corpus", facts.corpus),
        ("Target", facts.target),
        ("Model", config.model if config.model == config.variant else f"{config.variant} ({config.model})"),
        ("Value", value),
        ("Mask seeds", ", ".join(map(str, config.mask_seeds))),
        ("Training seeds", ", ".join(map(str, config.seeds))),
        ("Sampler", f"TPE, multivariate, seed {config.seed}"),
        ("Pruner", f"{config.pruner}, not in the first {config.warmup} epochs nor before {config.startup} completed trials"),
        ("Workers", str(config.workers)),
        ("Study", facts.name),
        ("Storage", facts.storage),
        ("Not searched", ", ".join(f"{name} {value}" for name, value in fixed.items())),
    ]


def _short(value: object) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "\u2013"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 0.01 else f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)
