from dataclasses import replace

import numpy as np
import pandas as pd

from lacuna.reporting import headline
from lacuna.reporting.words import higher_is_better, interval, listing, metric_label, number, panel_label, percent


def texts(report):
    return {f.topic: f.text for f in headline(report)}


def test_the_leader_its_fall_and_its_lead(report):
    found = texts(report)
    assert found["In short"] == "mlp holds up best, under all 3 patterns that were measured."
    text = found["Frames, from few to all (rmfm)"]
    own = report.summary[(report.summary["model"] == "mlp") & (report.summary["pattern"] == "rmfm")]
    own = own[own["metric"] == "weighted_f1"].set_index("rate")["mean"]
    assert f"It falls from {own[0.0]:.3f} to {own[0.9]:.3f}" in text
    assert "It leads knn, the next, by" in text
    assert "(ridge" not in text


def test_the_rate_that_was_reached_is_said(report):
    assert "90\u202f% is asked for and 66.7\u202f% removed" in texts(report)["Whole modalities (rmm)"]


def test_pairs_that_cannot_be_told_apart_are_named(report):
    c = report.comparisons
    wide = c.assign(low=c["difference"] - 1, high=c["difference"] + 1)
    found = texts(replace(report, comparisons=wide))
    assert "Not every lead is beyond doubt" in found["In short"]
    assert "knn, linear, ridge and context_gru cannot be told apart from it" in found["Frames, from few to all (rmfm)"]


def test_without_pairs_overlap_decides(report):
    a = report.areas
    wide = a.assign(low=a["mean"] - 1, high=a["mean"] + 1)
    text = texts(replace(report, comparisons=None, areas=wide))["Frames, from few to all (rmfm)"]
    assert "no pairs were compared" in text


def test_models_below_the_constant_are_named(report):
    finding = next(f for f in headline(report) if f.caution)
    assert finding.topic == "Below the constant"
    assert "linear under rmfm from 100\u202f% (beyond doubt)" in finding.text
    assert "(not certain)" in finding.text
    s = report.summary
    fine = s.assign(mean=s["mean"].where(s["metric"] != "weighted_f1", s["constant"] + 0.1), gain_high=0.2)
    assert "No model is worse" in texts(replace(report, summary=fine))["Against the constant"]


def test_without_the_paired_lead_nothing_is_called_certain(report):
    bare = replace(report, summary=report.summary.drop(columns=["gain_low", "gain_high"]))
    assert "beyond doubt" not in " ".join(f.text for f in headline(bare) if f.topic != "In short")


def test_lower_is_better(report):
    found = texts(replace(report, primary="log_loss"))
    assert "mlp holds up best" in found["Frames, from few to all (rmfm)"]
    assert "It rises from" in found["Frames, from few to all (rmfm)"]


def test_one_seed_and_no_intervals_are_admitted(make):
    found = texts(make(seeds=(7,), intervals=False, models=("mlp", "knn")))
    assert "trained once" in found["One seed"]
    assert "nan" not in " ".join(found.values())
    assert "cannot be told apart" in found["Frames, from few to all (rmfm)"]


def test_one_rate_one_model_and_no_subsets(make):
    found = texts(make(models=("mlp",), rates=(0.5,), patterns=("rmm",), subsets=()))
    assert found["Whole modalities (rmm)"].startswith("At 50\u202f% missing, mlp has the best Weighted F1")
    assert "In short" not in found
    assert "Single modalities" not in found


def test_only_subsets(make):
    found = texts(make(patterns=()))
    assert "Single modalities" in found
    assert "In short" not in found


def test_references_never_lead(report):
    assert texts(replace(report, references=("mlp",)))["In short"].startswith("knn holds up best")


def test_unmeasured_means_are_left_out(report):
    s = report.summary
    holes = s.assign(mean=s["mean"].where(s["model"] != "mlp", np.nan))
    areas = report.areas[report.areas["model"] != "mlp"]
    assert all("mlp holds" not in f.text for f in headline(replace(report, summary=holes, areas=areas)))


def test_words():
    assert metric_label("f1:joy") == "F1 of joy"
    assert metric_label("my_metric") == "My metric"
    assert not higher_is_better("train_loss")
    assert higher_is_better("log_loss", "effective_robustness")
    assert panel_label("rmfm", "protect=text") == "frames, from few to all (rmfm, protect=text)"
    assert panel_label("fixed", "audio+text") == "only audio + text"
    assert percent(0.3) == "30\u202f%"
    assert number(-0.5, sign=True) == "\u22120.500"
    assert number(float("inf")) == "n/a"
    assert interval(0.1, float("nan")) == ""
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing(list("abcdefgh"), 3) == "a, b and 6 more"


def test_the_share_of_a_known_ceiling_is_said(report):
    areas = report.areas[report.areas["measure"] == "auilc"].copy()
    shares = areas.assign(measure="share_of_ceiling", mean=0.5, low=0.4, high=0.6)
    with_ceiling = replace(report, areas=pd.concat([report.areas, shares], ignore_index=True))
    assert "Share of the ceiling" not in {f.topic for f in headline(report)}
    text = next(f.text for f in headline(with_ceiling) if f.topic == "Share of the ceiling")
    assert "reach at most 50" in text
    assert "(40" in text
