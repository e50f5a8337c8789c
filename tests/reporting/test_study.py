"""The page of a study reports its results, loads nothing, and shows trials of every kind."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from lacuna.models import Choice, Span
from lacuna.reporting import StudyPage, render_study, study_plots
from lacuna.tuning import StudyConfig, StudyFacts
from lacuna.tuning.results import Best


@pytest.fixture
def page() -> StudyPage:
    config = StudyConfig(
        variant="mlp_small",
        model="mlp",
        settings={"modality_dropout": 0.3},
        training={"epochs": 3},
        space={"hidden": Span(8, 64, log=True), "training.schedule": Choice(("constant", "cosine"))},
        start={"hidden": 32, "training.schedule": "constant"},
    )
    rows = [
        (0, "complete", 0.90, True, None, "", "", 32, "constant"),
        (1, "complete", 0.95, False, None, "", "", 16, "cosine"),
        (2, "pruned", 0.60, False, None, "", "", 8, "cosine"),
        (3, "fail", None, False, None, "raised", "ValueError: <b>too wide</b>", 64, "constant"),
        (4, "fail", None, False, None, "died", "the worker died (worker-1 on here)", 20, "cosine"),
        (5, "complete", 0.93, False, 4, "", "", 20, "cosine"),
    ]
    columns = ["number", "state", "value", "warm", "retry_of", "kind", "reason", "param_hidden", "param_training.schedule"]
    trials = pd.DataFrame(rows, columns=columns).assign(epochs=3, seconds=1.5)
    facts = StudyFacts(
        name="mlp_small", storage="mlp_small.journal", corpus="toy", target="emotion", metric="weighted_f1", config=config,
        best=Best(1, 0.95, {"hidden": 16}, {"schedule": "cosine"}), start=0.90, codes=1,
    )  # fmt: skip
    return StudyPage(facts, trials.astype({"retry_of": "Int64"}), {"hidden": 0.7, "training.schedule": 0.2})


def test_the_page_reports_results_and_limits(page: StudyPage) -> None:
    text = render_study(page, "toy_tuned")
    assert "Trial 1 reached 0.9500 on validation. The original settings reached 0.9000, a difference of +0.0500." in text
    assert "3 trials were completed and 1 pruned. 1 failed with an error. Interrupted because a worker died: 1" in text
    assert "kedro run --env toy_tuned" in text
    assert "biased upwards on the data that selected it" in text
    assert "retry of 4" in text
    assert "&lt;b&gt;too wide&lt;/b&gt;" in text
    assert "<b>too wide" not in text
    assert not re.search(r"""(src|href)=["']?https?:""", text.partition("<script>")[0])  # Plotly itself follows


def test_figures_show_trials_of_every_kind(page: StudyPage) -> None:
    assert [plot.group for plot in study_plots(page)] == ["history", "slices"]  # three trials have no importances
    assert "too few to rank settings" in render_study(page)
    more = [page.trials] + [page.trials[1:2].assign(number=6 + i, value=0.8) for i in range(7)]
    page = replace(page, trials=pd.concat(more, ignore_index=True))
    figures = {plot.group: plot.figure for plot in study_plots(page)}
    assert list(figures) == ["history", "importance", "slices"]
    history = {trace.name: trace for trace in figures["history"].data}
    assert list(history["best so far"].y)[:3] == [0.90, 0.95, 0.95]
    assert list(history["original settings"].x) == [0]
    assert list(history["failed"].x) == [3, 4]
    assert list(figures["importance"].data[0].y)[-1] == "hidden"  # the largest on top
    assert figures["slices"].layout.xaxis.type == "log"
    assert figures["slices"].layout.xaxis2.type == "category"
    for figure in figures.values():
        assert figure.layout.meta["alt"]
        json.loads(figure.to_json())


def test_a_study_that_gained_nothing_says_so(page: StudyPage) -> None:
    trials = page.trials.assign(value=[0.90, 0.85, 0.6, None, None, 0.8])
    facts = StudyFacts(**{**vars(page.facts), "best": Best(0, 0.90, {"hidden": 32}, {"schedule": "constant"})})
    text = render_study(StudyPage(facts, trials, {}))
    assert "No trial was better than the original settings" in text
    assert "Hyperparameter importance" not in text
