from dataclasses import replace

import numpy as np
import pandas as pd

from lacuna.reporting import Report, headline
from lacuna.reporting.core.words import higher_is_better, interval, listing, metric_label, number, panel_label, percent


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
    assert "Not every lead is borne out by a paired interval" in found["In short"]
    assert "knn, linear, ridge and context_gru cannot be told apart from it" in found["Frames, from few to all (rmfm)"]


def test_without_pairs_overlap_decides(report):
    a = report.areas
    wide = a.assign(low=a["mean"] - 1, high=a["mean"] + 1)
    text = texts(replace(report, comparisons=None, areas=wide))["Frames, from few to all (rmfm)"]
    assert "no pairs were compared" in text


def test_models_below_the_constant_are_named(report):
    finding = next(f for f in headline(report) if f.caution)
    assert finding.topic == "Below the constant"
    assert "linear under rmfm at 100\u202f% (by its interval)" in finding.text
    assert "a 95% one for itself" in finding.text
    assert "(not certain)" in finding.text
    s = report.summary
    fine = s.assign(mean=s["mean"].where(s["metric"] != "weighted_f1", s["constant"] + 0.1), gain_high=0.2)
    text = texts(replace(report, summary=fine))["Against the constant"]
    assert text == "No model is worse than the constant answer in Weighted F1 anywhere that was measured."


def below(report, leads, high):
    """What is said of one model under one pattern, given its lead over the constant at each rate and the lead's upper end."""
    s = report.summary
    own = s[(s["metric"] == "weighted_f1") & (s["model"] == "mlp") & (s["pattern"] == "rmm")].iloc[: len(leads)]
    own = own.assign(mean=own["constant"] + leads, gain_low=-1.0, gain_high=high)
    return next(f for f in headline(Report(report.facts, own, "weighted_f1")) if f.topic.endswith("the constant"))


def test_the_rates_at_which_a_model_is_below_the_constant_are_named(report):
    finding = below(report, [0.1, -0.1, -0.1, -0.1, -0.1, -0.1], [0.2, -0.05, 0.05, -0.05, -0.05, -0.05])
    where = "mlp under rmm at 10\u202f% and 30\u202f% to 50\u202f% (by its interval), at 20\u202f% (not certain)"
    assert where in finding.text
    assert finding.caution
    finding = below(report, [0.1, -0.1], [0.2, np.nan])
    assert finding.text.endswith("mlp under rmm at 10\u202f% (not certain).")
    assert not finding.caution


def test_rounding_is_not_below_the_constant(report):
    assert below(report, [0.1, -1e-9], [0.2, -1e-9]).topic == "Against the constant"
    assert "(not certain)" in below(report, [0.1, -1e-3], [0.2, -1e-9]).text


def test_a_model_above_the_ceiling_is_the_first_warning(report):
    c = report.comparisons
    names = {"mlp": "oracle"}  # mlp is model_a of all its pairs
    c = c.assign(model_a=c["model_a"].replace(names), low=np.nan, high=np.nan)
    accurate = (c["metric"] == "accuracy") & (c["model_a"] == "oracle")

    def said(model, low, high, pattern="rmm", swap=False, metric="accuracy"):
        row = accurate & (c["model_b"] == model) & (c["pattern"] == pattern)
        table = c.assign(low=c["low"].where(~row, low), high=c["high"].where(~row, high))
        table.loc[row, "metric"] = metric
        if swap:
            table.loc[row, ["model_a", "model_b"]] = table.loc[row, ["model_b", "model_a"]].to_numpy()
        return headline(replace(report, comparisons=table, facts=replace(report.facts, seeds=(0,))))

    leak = said("knn", -0.06, -0.04)
    first = next(f for f in leak if f.caution)
    assert first.topic == "More accurate than the best possible answers"
    assert "knn under rmm (by 0.040 to 0.060): a sign of a leak (or of a wrong ceiling)" in first.text
    assert leak[0].topic == "In short"
    assert "first read the warning below" in leak[0].text
    assert leak[1] == first
    assert "over the subsets of modalities" in said("knn", -0.06, -0.04, pattern="fixed")[1].text
    assert "knn under rmm (by 0.040" in said("knn", 0.04, 0.06, swap=True)[1].text
    fine = [said("knn", 0.04, 0.06), said("knn", -0.06, 0.01), said("knn", -0.06, -1e-9), said("knn", -0.06, -0.04, swap=True)]
    fine += [said("knn", -0.06, -0.04, metric="macro_f1"), headline(report), headline(replace(report, comparisons=None))]
    for found in fine:
        assert all("More accurate" not in f.topic and "warning" not in f.text for f in found)


def test_without_the_paired_lead_nothing_is_called_certain(report):
    bare = replace(report, summary=report.summary.drop(columns=["gain_low", "gain_high"]))
    assert "beyond doubt" not in " ".join(f.text for f in headline(bare) if f.topic != "In short")


def test_a_pair_without_an_interval_is_said_to_have_none(report):
    c = report.comparisons
    found = texts(replace(report, comparisons=c.assign(low=np.nan, high=np.nan)))
    text = found["Frames, from few to all (rmfm)"]
    assert "the paired difference has no interval" in text
    assert "contains 0" not in text
    assert "Not every lead" in found["In short"]


def test_models_that_were_never_compared_are_not_certain(report):
    c = report.comparisons
    alone = replace(report, comparisons=c[~c["model_b"].isin(["linear"])])
    found = texts(alone)
    assert "Not every lead is borne out by a paired interval" in found["In short"]
    assert "linear, but no pairs were compared" in found["Frames, from few to all (rmfm)"]
    assert "It leads knn, the next, by" in found["Frames, from few to all (rmfm)"]


def test_the_smallest_loss_is_among_those_that_had_something_to_lose(report):
    text = texts(report)["Frames, from few to all (rmfm)"]
    assert "Of the models that start above the constant answer (with their whole interval), " in text
    assert "loses less" in text or "loses least" in text
    s = report.summary
    flat = s.assign(mean=s["mean"].where(s["model"] != "mlp", 0.9), low=np.nan, high=np.nan)
    text = texts(replace(report, summary=flat))["Frames, from few to all (rmfm)"]
    assert text.endswith("Of the models that start above the constant answer, none loses less.")
    assert "No model loses less" not in text


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
    assert higher_is_better("log_loss", "share_of_ceiling")
    assert not higher_is_better("log_loss", "auilc")
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
    topic = "Share of ceiling"
    assert topic not in {f.topic for f in headline(report)}
    text = texts(with_ceiling)[topic]
    assert "in Weighted F1, the models reach at most 50" in text
    assert "(40" in text
    assert "a reference for Weighted F1, which another decision rule can pass" in text
    bound = texts(replace(with_ceiling, primary="log_loss"))[topic]
    assert "No answers are better in it" in bound
    assert "reference" not in bound
    best = shares.assign(mean=shares["model"].map({"knn": 0.6}).fillna(0.5))
    of_losses = replace(report, areas=pd.concat([report.areas, best], ignore_index=True), primary="log_loss")
    assert "by knn" in texts(of_losses)[topic]


def test_probabilities_that_tell_less_than_the_class_shares_are_named(report):
    own = report.summary[report.summary["metric"] == report.primary].assign(metric="log_loss", constant=1.0, mean=2.0)
    sure = own.assign(gain_low=-1.5, gain_high=-0.5).where(
        own["model"] == "mlp", own.assign(mean=0.5, gain_low=0.1, gain_high=0.9)
    )
    rest = report.summary[report.summary["metric"] != "log_loss"]
    found = texts(replace(report, summary=pd.concat([rest, sure], ignore_index=True)))
    count = (own["model"] == "mlp").sum()
    assert f": mlp in {count} of {count} conditions." in found["Too sure"]
    better = replace(report, summary=pd.concat([rest, sure[sure["model"] != "mlp"]], ignore_index=True))
    assert "Too sure" not in texts(better)
