import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lacuna.corpus.schema import Target
from lacuna.evaluation import Bootstrap, areas, compare, metrics_of, summarise
from lacuna.evaluation.replicates import ModelDraws, Setting
from lacuna.reporting import Report, model_card, render_html, results_page, write_report
from lacuna.reporting.core.html import packed

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
    summary = next(line for line in results_page(bare).splitlines() if "Summary" in line)
    assert "No single best model" in summary


def test_the_results_page_describes_the_run(report):
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
    for part in ("Area measures", "Paired differences", "available modalities", "AI Act", "majority-class baseline", "CC0-1.0"):
        assert part in page, part
    value = report.summary.query("model == 'mlp' and pattern == 'rmm' and rate == 0.3 and metric == 'weighted_f1'")["mean"].item()
    assert f"{value:.3f}" in page


def test_a_card_has_scores_limits_and_misuse(report):
    card = model_card(report, "knn")
    for part in ("# knn on duet", "## Calibration", "## Missing data", "Intended use", "AI Act", "CC0-1.0", "12,345"):
        assert part in card, part
    assert "Weighted F1, baseline" in card
    assert "epoch 21" in card
    assert re.search(r"Mean gap .* at 0\u202f% and .* at 100\u202f% missing", card)
    assert "## Training\n\n- unknown" in model_card(replace(report, models={}), "knn")


def test_packed_data_contain_no_markup():
    text = packed("".join(map(chr, range(2000))) * 3)
    assert not re.search("[<&/]", text)
    assert text == packed("".join(map(chr, range(2000))) * 3)


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


def test_a_smaller_run_leaves_nothing_of_the_larger_one(make, tmp_path):
    small = {"rates": (0.0, 0.5), "metrics": ("weighted_f1",), "subsets": ()}
    write_report(tmp_path, make(patterns=("rmm", "rmfm"), models=("mlp", "knn"), **small))
    mine = [tmp_path / "tables" / "notes.txt", tmp_path / "cards" / "own" / "old.md", tmp_path / "old.md"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("kept")
    write_report(tmp_path, replace(make(patterns=("rmm",), models=("mlp",), **small), areas=None))
    names = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    tables = {f"tables/rates-rmm-weighted_f1.{kind}" for kind in ("csv", "md", "tex")} | {"tables/summary.csv"}
    kept = {p.relative_to(tmp_path).as_posix() for p in mine}
    assert names == tables | kept | {"cards/mlp.md", "report.html", "results.md"}


def test_models_whose_names_look_alike_get_a_card_each(make, tmp_path):
    write_report(tmp_path, make(models=("m (a)", "m-a"), rates=(0.0, 0.5), patterns=("rmm",), metrics=("accuracy",), subsets=()))
    cards = [p.read_text("utf-8").splitlines()[0] for p in sorted((tmp_path / "cards").iterdir())]
    assert sorted(cards) == ["# m (a) on duet", "# m-a on duet"]


def test_training_seeds_are_counted_in_the_summary(report):
    three = report.summary.assign(seeds=3)
    own = replace(report, summary=three, recovery=report.recovery.assign(seeds=3))
    page = results_page(own)
    assert "Mean over 3 training seeds." in page
    assert "Mean over 5" not in page
    assert "- training seeds: 3" in model_card(own, "mlp")
    assert ", 3 training seeds." in render_html(own)
    mixed = replace(report, summary=three.assign(seeds=three["seeds"].where(three["model"] != "knn", 1)))
    assert "Mean over 1 to 3 training seeds." in results_page(mixed)
    assert "knn was trained once" in results_page(mixed)
    assert "intervals over test dialogues\n" in model_card(mixed, "knn")
    reference = replace(mixed, references=("knn",))
    assert "Mean over 3 training seeds." in results_page(reference)
    assert "training seeds. 95" not in results_page(replace(report, summary=report.summary.drop(columns="seeds")))


def test_the_share_of_a_ceiling_is_no_bound_of_f1(report):
    areas = report.areas.assign(measure="share_of_ceiling").drop_duplicates(["model", "pattern", "metric"])
    page = render_html(replace(report, areas=areas))
    assert "only a reference for F1 and unweighted accuracy" in page
