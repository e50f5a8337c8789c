"""A study as one HTML page that needs nothing else, in the look of the report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lacuna.models import Span
from lacuna.reporting.core.html import Plot, environment, read_part, script_json
from lacuna.reporting.core.style import SCALES, template
from lacuna.reporting.core.words import metric_label
from lacuna.reporting.robustness.results import MISUSE
from lacuna.reporting.study.figures import PARAM, parameters_of, study_history, study_importance, study_slices

if TYPE_CHECKING:
    from lacuna.tuning import StudyFacts

LIMITS = (
    "Every value on this page was measured on the validation split, on which the trials were also chosen: the best of many is "
    "better there than it will be elsewhere. What it is worth is said by a test, with intervals, over several training seeds.",
    "With several workers a study does not come out the same twice: which trials one has seen when the next is drawn depends on "
    "who was quicker.",
    "Importances are of this space and these trials: a setting that was searched in a narrow span looks unimportant.",
    "A pruned trial shows its last metric on the selection masks, which is not the area that completed trials are judged by.",
)


@dataclass(frozen=True, eq=False)
class StudyPage:
    """What the page shows.

    Attributes:
        facts: of the study.
        trials: one row a trial, see :func:`lacuna.tuning.trials_table`.
        importances: by parameter.
    """

    facts: StudyFacts
    trials: pd.DataFrame
    importances: dict[str, float]


def render_study(page: StudyPage, taken_up: str = "") -> str:
    """The page.

    Args:
        page: what to show.
        taken_up: name of the Kedro environment that takes the result up; empty = there is none.
    """
    facts, trials = page.facts, page.trials
    plots = study_plots(page)
    data = {
        "figures": [json.loads(p.figure.to_json()) for p in plots],
        "groups": [p.group for p in plots],
        "templates": {theme: template(theme) for theme in ("light", "dark")},
        "scales": SCALES,
        "hidden": [],
        "file": f"study-{facts.name}",
    }
    for figure in data["figures"]:
        figure["layout"].pop("template", None)
    return environment().get_template("study/page.html").render(
        title=f"Study of {facts.config.variant} on {facts.corpus}",
        facts=facts,
        findings=findings(page),
        parameters=parameter_rows(page),
        trials=trial_rows(trials),
        names=parameters_of(trials),
        plots=list(enumerate(plots)),
        run=[(name, value) for name, value in study_lines(page) if value],
        environment=taken_up,
        limits=LIMITS,
        misuse=MISUSE,
        css=Markup(read_part("core/page.css")),
        js=Markup(read_part("core/page.js")),
        plotly=Markup(get_plotlyjs()),
        data=Markup(script_json(data)),
    )  # fmt: skip


def study_plots(page: StudyPage) -> list[Plot]:
    """Every figure that the trials allow."""
    log = frozenset(name for name, dim in page.facts.config.space.items() if isinstance(dim, Span) and dim.log)
    plots = [Plot("history", "How the study went", study_history(page.trials), wide=True)]
    if page.importances:
        note = "Shares of what single settings explain, so that they add up to 100 %: how much chance explains is not in them."
        plots.append(Plot("importance", "What mattered", study_importance(page.importances), note, wide=True))
    if (page.trials["state"] == "complete").any():
        note = "A diamond: the variant's own settings."
        plots.append(Plot("slices", "Value over each setting", study_slices(page.trials, log), note, wide=True))
    return plots


def findings(page: StudyPage) -> list[tuple[str, str]]:
    """What came out, in sentences, as (topic, text)."""
    facts, count = page.facts, page.trials["state"].value_counts()
    told = [f"Trial {facts.best.number} reached {facts.best.value:.4f} on validation."]
    if facts.start is not None:
        gain = facts.best.value - facts.start
        more = f"{gain:+.4f}".replace("-", "\u2212")
        told.append(f"The variant's own settings reached {facts.start:.4f}, a difference of {more}.")
    died = int((page.trials["kind"] == "died").sum())
    went = f"{count.get('complete', 0)} trials were completed and {count.get('pruned', 0)} pruned."
    went += f" {int((page.trials['kind'] == 'raised').sum())} failed with an error."
    if died:
        went += f" Workers died in the middle of {died} more, whose parameters were tried again."
    lines = [("Best", " ".join(told)), ("How it went", went)]
    if facts.best.number == 0 or (facts.start is not None and facts.best.value <= facts.start):
        lines.append(("Nothing gained", "No trial was better than the variant's own settings, from which the study started."))
    if facts.codes > 1:
        lines.append(("Mixed", f"{facts.codes} states of the code ran these trials; they need not give the same values."))
    return lines


def parameter_rows(page: StudyPage) -> list[tuple[str, str, str, str]]:
    """Each parameter: its name, where it was searched, what the variant says, and what was best."""
    config = page.facts.config
    best = page.facts.best.settings | {f"training.{name}": value for name, value in page.facts.best.training.items()}
    return [(name, str(dim), _short(config.start[name]), _short(best[name])) for name, dim in config.space.items()]


def trial_rows(trials: pd.DataFrame) -> list[list[str]]:
    """The trials as words, best first, and what did not end in a value last."""
    order = {"complete": 0, "pruned": 1}
    ranked = trials.assign(_rank=trials["state"].map(order).fillna(2)).sort_values(
        ["_rank", "value", "number"], ascending=[True, False, True]
    )
    rows = []
    for _, row in ranked.iterrows():
        state = row["state"] + (", own settings" if row["warm"] else "")
        state += f", again for {row['retry_of']}" if pd.notna(row["retry_of"]) else ""
        what = row["reason"].splitlines()[0] if row["reason"] else ""
        drawn = [_short(row[PARAM + name]) for name in parameters_of(trials)]
        rows.append([str(row["number"]), state, _short(row["value"]), str(row["epochs"]), _short(row["seconds"]), *drawn, what])
    return rows


def study_lines(page: StudyPage) -> list[tuple[str, str]]:
    """Where the numbers come from, as (name, value)."""
    facts, config = page.facts, page.facts.config
    rates = ", ".join(f"{rate:g}" for rate in config.rates)
    judged = f"pattern {config.judged_under()}, validation split"
    value = f"area under {metric_label(facts.metric)} over missing rates {rates}; {judged}"
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
