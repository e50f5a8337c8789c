from dataclasses import replace

import numpy as np
import pandas as pd

from lacuna.missing import Thin, thin
from lacuna.reporting import Report, headline
from lacuna.reporting.core.words import higher_is_better, interval, listing, metric_label, number, panel_label, percent
from lacuna.reporting.robustness.summary import headline_sentence, tiles
from lacuna.synthetic.duet import generate, preset


def texts(report):
    return {f.topic: f.text for f in headline(report)}


def test_the_leader_its_drop_and_its_lead(report):
    found = texts(report)
    expected = "mlp is most robust under all 3 patterns: significantly better than every other model in mean Weighted F1."
    assert found["Summary"] == expected
    text = found["Frames, from few to all (rmfm)"]
    own = report.summary[(report.summary["model"] == "mlp") & (report.summary["pattern"] == "rmfm")]
    own = own[own["metric"] == "weighted_f1"].set_index("rate")["mean"]
    assert f"It falls from {own[0.0]:.3f} to {own[0.9]:.3f}" in text
    assert "Its lead over knn, the next model, is" in text
    assert "(ridge" not in text


def test_the_reached_rate_is_reported(report):
    assert "90\u202f% was requested and 66.7\u202f% removed" in texts(report)["Whole modalities (rmm)"]


def test_there_is_no_winner_on_a_tie(report):
    c = report.comparisons
    wide = c.assign(low=c["difference"] - 1, high=c["difference"] + 1)
    found = texts(replace(report, comparisons=wide))
    assert found["Summary"].startswith("No single best model: no significant difference in mean Weighted F1 between mlp, knn")
    assert "No significant difference to knn, linear, ridge and context_gru" in found["Frames, from few to all (rmfm)"]
    tile = tiles(replace(report, comparisons=wide))[-1]
    assert (tile.value, tile.interval) == ("tied", "")


def test_without_pairs_overlap_decides(report):
    a = report.areas
    wide = a.assign(low=a["mean"] - 1, high=a["mean"] + 1)
    text = texts(replace(report, comparisons=None, areas=wide))["Frames, from few to all (rmfm)"]
    assert "there is no paired comparison" in text


def test_models_below_the_baseline_are_named(report):
    finding = next(f for f in headline(report) if f.caution)
    assert finding.topic == "Below the baseline"
    assert "linear under rmfm at 100\u202f% (significant)" in finding.text
    assert "Each 95% interval is for one comparison" in finding.text
    assert "(not significant)" in finding.text
    s = report.summary
    fine = s.assign(mean=s["mean"].where(s["metric"] != "weighted_f1", s["constant"] + 0.1), gain_high=0.2)
    text = texts(replace(report, summary=fine))["Against the baseline"]
    assert text == "No model is worse than the majority-class baseline in Weighted F1 in any condition."


def below(report, leads, high):
    """Return the finding on one model, from its gain over the baseline at each rate and the upper end of the gain."""
    s = report.summary
    own = s[(s["metric"] == "weighted_f1") & (s["model"] == "mlp") & (s["pattern"] == "rmm")].iloc[: len(leads)]
    own = own.assign(mean=own["constant"] + leads, gain_low=-1.0, gain_high=high)
    return next(f for f in headline(Report(report.facts, own, "weighted_f1")) if f.topic.endswith("the baseline"))


def test_the_rates_at_which_a_model_is_below_the_baseline_are_named(report):
    finding = below(report, [0.1, -0.1, -0.1, -0.1, -0.1, -0.1], [0.2, -0.05, 0.05, -0.05, -0.05, -0.05])
    where = "mlp under rmm at 10\u202f% and 30\u202f% to 50\u202f% (significant), at 20\u202f% (not significant)"
    assert where in finding.text
    assert finding.caution
    finding = below(report, [0.1, -0.1], [0.2, np.nan])
    assert finding.text.endswith("mlp under rmm at 10\u202f% (not significant).")
    assert not finding.caution


def test_a_rounding_error_is_not_below_the_baseline(report):
    assert below(report, [0.1, -1e-9], [0.2, -1e-9]).topic == "Against the baseline"
    assert "(not significant)" in below(report, [0.1, -1e-3], [0.2, -1e-9]).text


def test_a_model_above_the_ceiling_is_the_first_warning(report):
    c = report.comparisons
    names = {"mlp": "oracle"}  # mlp is model_a of all its pairs
    c = c.assign(model_a=c["model_a"].replace(names), low=np.nan, high=np.nan)
    accurate = (c["metric"] == "accuracy") & (c["model_a"] == "oracle")

    def findings(model, low, high, pattern="rmm", swap=False, metric="accuracy"):
        row = accurate & (c["model_b"] == model) & (c["pattern"] == pattern)
        table = c.assign(low=c["low"].where(~row, low), high=c["high"].where(~row, high))
        table.loc[row, "metric"] = metric
        if swap:
            table.loc[row, ["model_a", "model_b"]] = table.loc[row, ["model_b", "model_a"]].to_numpy()
        return headline(replace(report, comparisons=table, facts=replace(report.facts, seeds=(0,))))

    leak = findings("knn", -0.06, -0.04)
    first = next(f for f in leak if f.caution)
    assert first.topic == "Accuracy above the ceiling"
    assert "knn under rmm (by 0.040 to 0.060): a sign of leakage or of a wrong ceiling" in first.text
    assert leak[0].topic == "Summary"
    assert "Read the warning below first" in leak[0].text
    assert leak[1] == first
    assert "over the subsets of modalities" in findings("knn", -0.06, -0.04, pattern="fixed")[1].text
    assert "knn under rmm (by 0.040" in findings("knn", 0.04, 0.06, swap=True)[1].text
    fine = [
        findings("knn", 0.04, 0.06),
        findings("knn", -0.06, 0.01),
        findings("knn", -0.06, -1e-9),
        findings("knn", -0.06, -0.04, swap=True),
    ]
    fine += [findings("knn", -0.06, -0.04, metric="macro_f1"), headline(report), headline(replace(report, comparisons=None))]
    for found in fine:
        assert all("ceiling" not in f.topic and "warning" not in f.text for f in found)


def test_without_paired_gains_nothing_is_called_significant(report):
    bare = replace(report, summary=report.summary.drop(columns=["gain_low", "gain_high"]))
    assert "(significant)" not in " ".join(f.text for f in headline(bare))


def test_a_pair_without_an_interval_is_said_to_have_none(report):
    c = report.comparisons
    found = texts(replace(report, comparisons=c.assign(low=np.nan, high=np.nan)))
    text = found["Frames, from few to all (rmfm)"]
    assert "the paired difference has no interval" in text
    assert "contains 0" not in text
    assert found["Summary"].startswith("No single best model")


def test_a_missing_comparison_is_no_significant_difference(report):
    c = report.comparisons
    alone = replace(report, comparisons=c[~c["model_b"].isin(["linear"])])
    found = texts(alone)
    assert "is most robust" not in found["Summary"]
    assert "that of linear, but there is no paired comparison" in found["Frames, from few to all (rmfm)"]
    assert "Its lead over knn, the next model, is" in found["Frames, from few to all (rmfm)"]


def test_the_smallest_drop_is_among_models_better_than_the_baseline(report):
    text = texts(report)["Frames, from few to all (rmfm)"]
    assert "Of the models better than the majority-class baseline at the lowest rate (by their whole interval), " in text
    assert "the smallest drop" in text
    s = report.summary
    flat = s.assign(mean=s["mean"].where(s["model"] != "mlp", 0.9), low=np.nan, high=np.nan)
    text = texts(replace(report, summary=flat))["Frames, from few to all (rmfm)"]
    assert text.endswith("Of the models better than the majority-class baseline at the lowest rate, it has the smallest drop.")


def test_lower_is_better(report):
    found = texts(replace(report, primary="log_loss"))
    assert "mlp has the best mean Log loss" in found["Frames, from few to all (rmfm)"]
    assert "It rises from" in found["Frames, from few to all (rmfm)"]


def test_one_seed_and_missing_intervals_are_reported(make):
    found = texts(make(seeds=(7,), intervals=False, models=("mlp", "knn")))
    assert "trained once" in found["One seed"]
    assert "nan" not in " ".join(found.values())
    assert "the paired difference has no interval" in found["Frames, from few to all (rmfm)"]


def test_one_rate_one_model_and_no_subsets(make):
    found = texts(make(models=("mlp",), rates=(0.5,), patterns=("rmm",), subsets=()))
    assert found["Whole modalities (rmm)"].startswith("At 50\u202f% missing, mlp has the best mean Weighted F1")
    assert found["Summary"].startswith("mlp has a mean Weighted F1 of")
    assert "Single modalities" not in found


def test_only_subsets(make):
    found = texts(make(patterns=()))
    assert "Single modalities" in found
    assert "over subsets of modalities" in found["Summary"]


def test_references_never_lead(report):
    assert texts(replace(report, references=("mlp",)))["Summary"].startswith("knn is most robust")


def test_unmeasured_means_are_left_out(report):
    s = report.summary
    holes = s.assign(mean=s["mean"].where(s["model"] != "mlp", np.nan))
    areas = report.areas[report.areas["model"] != "mlp"]
    assert all("mlp has the best" not in f.text for f in headline(replace(report, summary=holes, areas=areas)))


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


def test_the_share_of_a_known_ceiling_is_reported(report):
    areas = report.areas[report.areas["measure"] == "auilc"].copy()
    shares = areas.assign(measure="share_of_ceiling", mean=0.5, low=0.4, high=0.6)
    with_ceiling = replace(report, areas=pd.concat([report.areas, shares], ignore_index=True))
    topic = "Share of ceiling"
    assert topic not in {f.topic for f in headline(report)}
    text = texts(with_ceiling)[topic]
    assert "The largest share of the oracle's gain over the majority-class baseline in Weighted F1 is 50" in text
    assert "(40" in text
    assert "only a reference for Weighted F1: another decision rule can exceed it" in text
    bound = texts(replace(with_ceiling, primary="log_loss"))[topic]
    assert "no model can be better than the oracle" in bound
    assert "reference" not in bound
    best = shares.assign(mean=shares["model"].map({"knn": 0.6}).fillna(0.5))
    of_losses = replace(report, areas=pd.concat([report.areas, best], ignore_index=True), primary="log_loss")
    assert "by knn" in texts(of_losses)[topic]


def test_overconfident_models_are_named(report):
    own = report.summary[report.summary["metric"] == report.primary].assign(metric="log_loss", constant=1.0, mean=2.0)
    sure = own.assign(gain_low=-1.5, gain_high=-0.5).where(
        own["model"] == "mlp", own.assign(mean=0.5, gain_low=0.1, gain_high=0.9)
    )
    rest = report.summary[report.summary["metric"] != "log_loss"]
    found = texts(replace(report, summary=pd.concat([rest, sure], ignore_index=True)))
    count = (own["model"] == "mlp").sum()
    assert f": mlp in {count} of {count} conditions." in found["Overconfident"]
    better = replace(report, summary=pd.concat([rest, sure[sure["model"] != "mlp"]], ignore_index=True))
    assert "Overconfident" not in texts(better)


def cautions(report):
    return {f.topic: f.text for f in headline(report) if f.caution}


def test_few_test_dialogues_remove_every_interval_and_winner(report):
    few = replace(report, facts=replace(report.facts, dialogues={"train": 40, "test": 6}))
    assert few.summary[["low", "high", "gain_low", "gain_high"]].isna().all(axis=None)
    assert few.comparisons[["low", "high", "p_value"]].isna().all(axis=None)
    assert "6 dialogues; a bootstrap over fewer than 10 dialogues" in cautions(few)["No intervals"]
    assert headline_sentence(few).startswith("No model can be called best")
    assert [t.interval for t in tiles(few)] == ["", "", ""]
    assert tiles(few)[-1].value == "unknown"
    enough = replace(report, facts=replace(report.facts, dialogues={"test": 10}))
    assert enough.summary["low"].notna().all()
    assert "Few test dialogues" in cautions(enough)
    assert "Few test dialogues" not in cautions(replace(report, facts=replace(report.facts, dialogues={"test": 20})))


def test_few_test_utterances_are_a_caution(report):
    assert "Few test utterances" not in cautions(report)
    assert "80 labelled utterances" in cautions(replace(report, summary=report.summary.assign(n=80)))["Few test utterances"]


def test_absent_classes_and_a_test_with_one_class_are_cautions(report):
    counts = {"train": [9, 9, 9, 9, 9, 0], "valid": [1, 1, 1, 1, 1, 1], "test": [0, 811, 0, 0, 0, 0]}
    found = cautions(replace(report, facts=replace(report.facts, class_counts=counts)))
    assert "Absent from the train split: fear" in found["Absent classes"]
    assert "One test class" in found
    no_fear = report.confusion[report.confusion["true"] != "fear"]
    assert "Absent from the test split: fear" in cautions(replace(report, confusion=no_fear))["Absent classes"]


def test_a_report_without_a_model_above_the_baseline_says_so(report):
    worse = report.summary.assign(mean=report.summary["constant"] - 0.1)
    assert headline_sentence(replace(report, summary=worse)).startswith("No model is better than the majority-class baseline")


def test_tiles_name_score_interval_baseline_and_size(report):
    complete, half, lead = tiles(report)
    row = report.summary.query("model == 'mlp' and pattern == 'rmfm' and metric == 'weighted_f1' and rate == 0.5").iloc[0]
    assert (half.label, half.value) == ("Half missing", f"{row['mean']:.3f}")
    assert half.interval == interval(row["low"], row["high"])
    assert "majority-class baseline 0.160; n = 811 utterances" in complete.detail
    assert lead.value.startswith("+")
    assert lead.detail.startswith("mlp over knn")


def test_half_missing_is_only_claimed_near_one_half(make):
    assert [t.label for t in tiles(make(rates=(0.0, 0.2)))] == ["Complete data", "20\u202f% missing", "Lead over the next"]


def test_thinned_training_data_is_a_caution(report):
    assert "Incomplete training data" not in cautions(report)
    note = thin(generate(preset("tiny")), Thin("rmm", 0.5)).provenance.notes[-1]
    thinned = replace(report, facts=replace(report.facts, notes=(note,)))
    assert "rmm rate=0.5 seed=0" in cautions(thinned)["Incomplete training data"]
