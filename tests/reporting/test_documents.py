import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lacuna.corpus.schema import Target
from lacuna.evaluation import Bootstrap, areas, compare, metrics_of, summarise
from lacuna.evaluation.intervals import ModelDraws, Setting
from lacuna.reporting import Report, model_card, results_page, write_report
from lacuna.reporting.html import script_json

CASES = {
    "regression": {"classes": (), "metrics": ("ccc", "mae")},
    "one pattern": {"patterns": ("rmm",)},
    "one rate": {"rates": (0.5,), "patterns": ("rmm",)},
    "one model": {"models": ("mlp",)},
    "one seed": {"seeds": (3,), "intervals": False},
    "no subsets": {"subsets": ()},
    "only subsets": {"patterns": ()},
    "unknown pattern": {"patterns": ("my_own",)},
    "one class": {"classes": ("only",)},
    "smallest": {
        "models": ("mlp",),
        "rates": (0.0,),
        "patterns": ("x",),
        "subsets": (),
        "metrics": ("accuracy",),
        "intervals": False,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_a_report_with_a_piece_missing_is_whole_otherwise(case, make, tmp_path):
    report = make(**({"metrics": ("weighted_f1", "ece"), "rates": (0.0, 0.5, 1.0)} | CASES[case]))
    page = write_report(tmp_path, report)
    assert page == tmp_path / "report.html"
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        text = path.read_text("utf-8")
        if path.name != "report.html":
            assert not re.search(r"\bnan\b", text), path
        assert ".partial-" not in path.name
    assert {p.suffix for p in (tmp_path / "tables").iterdir()} == {".csv", ".md", ".tex"}
    assert {p.stem for p in (tmp_path / "cards").iterdir()} == set(report.summary["model"])


def test_only_a_summary_is_needed(report, tmp_path):
    bare = Report(
        report.facts, report.summary[["model", "pattern", "rate", "metric", "mean", "low", "high", "constant"]], "weighted_f1"
    )
    text = write_report(tmp_path, bare).read_text("utf-8")
    for section in ("confusion", "training"):
        assert f'<section id="{section}"' not in text
    assert "In short" not in results_page(bare) or "beyond doubt" in results_page(bare)


def test_the_results_page_says_what_was_run(report):
    page = results_page(report)
    assert page == results_page(report)
    for part in (
        "kedro run --env demo",
        "2 cores, 1 thread",
        "0, 1, 2, 3, 4",
        "on the validation split",
        "with uncommitted changes",
    ):
        assert part in page, part
    for part in ("Area measures", "Paired differences", "available modalities", "AI Act", "constant answer", "CC0-1.0"):
        assert part in page, part
    value = report.summary.query("model == 'mlp' and pattern == 'rmm' and rate == 0.3 and metric == 'weighted_f1'")["mean"].item()
    assert f"{value:.3f}" in page


def test_a_card_tells_numbers_limits_and_misuse(report):
    card = model_card(report, "knn")
    for part in ("# knn on duet", "## Calibration", "## When data are missing", "Intended use", "AI Act", "CC0-1.0", "12,345"):
        assert part in card, part
    assert "Weighted F1, constant" in card
    assert "epoch 21" in card
    assert re.search(r"Mean gap .* at 0\u202f% and .* at 100\u202f% missing", card)
    assert "Not measured" in model_card(replace(report, models={}), "knn") or "nothing is known" in model_card(
        replace(report, models={}), "knn"
    )


def test_html_cannot_hide_in_json():
    text = script_json({"a": "</script><b>&\u2028"})
    assert not re.search("[<>&\u2028]", text)


def test_all_numbers_of_a_metric_lie_beside_the_report(make, tmp_path):
    report = make(rates=(0.0, 0.1, 1.0), patterns=("rmm",))
    write_report(tmp_path, report)
    table = pd.read_csv(tmp_path / "tables" / "summary.csv", keep_default_na=False)
    assert len(table) == len(report.summary)
    assert table["mean"].astype(float).tolist() == pytest.approx(report.summary["mean"].tolist())
    first = (tmp_path / "tables" / "rates-rmm-weighted_f1.csv").read_text("utf-8").splitlines()[0]
    assert first.startswith("Model,0 %,0 % low,0 % high,10 %")


def test_what_evaluation_makes_is_what_a_report_reads(report, tmp_path):
    target = Target("emotion", "classification", ("a", "b", "c"))
    metrics = metrics_of(target)
    settings = tuple(Setting("rmm", "", r, min(r, 0.667), 3) for r in (0.0, 0.5, 1.0))
    settings += tuple(Setting("fixed", s, 1.0, 1.0, 1) for s in ("audio", "text", "audio+text"))
    rng = np.random.default_rng(0)

    def draws(level):
        points = level + rng.normal(0, 0.01, (2, len(settings), len(metrics)))
        return ModelDraws((0, 1), points, points.mean(axis=0) + rng.normal(0, 0.01, (50, *points.shape[1:])))

    constant = rng.uniform(0.1, 0.2, len(metrics))
    drawn = Bootstrap(
        "duet", target, metrics, settings, {"mlp": draws(0.6), "knn": draws(0.5)}, constant, np.tile(constant, (50, 1)), 100, 20
    )
    facts = replace(report.facts, classes=target.classes)
    own = Report(facts, summarise(drawn), "weighted_f1", areas=areas(drawn), comparisons=compare(drawn))
    page = write_report(tmp_path, own)
    assert page.stat().st_size > 1e6
    subsets = (tmp_path / "tables" / "subsets-weighted_f1.md").read_text("utf-8")
    assert "Mean over subsets" in subsets
