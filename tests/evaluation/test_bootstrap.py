"""Intervals, comparisons and their tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lacuna.corpus import Target
from lacuna.errors import ConfigError
from lacuna.evaluation import (
    Bootstrap,
    Condition,
    Counts,
    Sweep,
    against_baseline,
    areas,
    auilc,
    baseline_counts,
    bootstrap,
    brief,
    compare,
    count,
    replicates,
    score,
    summarise,
)  # fmt: skip
from lacuna.metrics.bootstrap import MIN_DIALOGUES, interval, p_value

PRIMARY = ["weighted_f1"]
EMOTION = Target("emotion", "classification", ("a", "b", "c"))


def made(
    model: str = "m",
    seed: int = 0,
    *,
    dialogues: int = 12,
    skill: float = 2.0,
    draw: int = 0,
    conditions: tuple[Condition, ...] | None = None,
    fall: float = 1.0,
) -> Sweep:
    """A sweep of random answers whose skill falls with the rate; ``draw`` fixes the truth, (model, seed) the answers."""
    if conditions is None:
        conditions = tuple(Condition("rmm", "", r, s, r) for r in (0.0, 0.5, 1.0) for s in (0, 1))
    truth_of = np.random.default_rng([draw, 0])
    n = dialogues * 8
    truth, dialogue = truth_of.choice(3, p=[0.5, 0.3, 0.2], size=n), np.arange(n) // 8
    r = np.random.default_rng([draw, 1, seed, *model.encode()])
    hard = r.normal(size=(dialogues, 1, 1))[dialogue][:, 0]  # some dialogues are hard
    counts = []
    for at in conditions:
        logits = r.normal(size=(n, 3)) + np.eye(3)[truth] * (skill + hard) * (1 - fall * at.rate)
        counts.append(count(EMOTION, logits, truth, dialogue, dialogues).values)
    baseline = baseline_counts(EMOTION, truth, truth, dialogue, dialogues).values
    return Sweep("toy", model, seed, EMOTION, conditions, np.stack(counts), baseline, f"{draw}-{dialogues}")


def test_replicates_equal_a_plain_loop() -> None:
    sweeps = [made("m", seed) for seed in (3, 1)]
    drawn = bootstrap(sweeps, replicates=20, seed=5, metrics=["weighted_f1", "ece"])
    assert drawn.models["m"].seeds == (1, 3)
    weights = np.random.default_rng([5, 0]).multinomial(12, np.full(12, 1 / 12), 20)
    seeds = np.random.default_rng([5, 1]).multinomial(2, [0.5, 0.5], 20)
    for b in (0, 7, 19):
        for q, rate in enumerate((0.0, 0.5, 1.0)):
            for m, name in enumerate(("weighted_f1", "ece")):
                parts = []
                for s, one in enumerate(sorted(sweeps, key=lambda x: x.seed)):
                    masks = [i for i, c in enumerate(one.conditions) if c.rate == rate]
                    value = np.mean([score(Counts(EMOTION, weights[b] @ one.counts[i]), name) for i in masks])
                    parts.append(seeds[b, s] / 2 * value)
                assert drawn.models["m"].draws[b, q, m] == pytest.approx(sum(parts))


def test_summary_has_every_row_and_the_baseline_beside_it() -> None:
    sweeps = [made(m, s) for m in ("good", "bad") for s in (0, 1, 2)]
    table = summarise(bootstrap(sweeps, 100))
    columns = ["corpus", "model", "pattern", "setting", "rate", "measured_rate", "metric", "mean", "low", "high", "sd_over_seeds"]
    assert list(table.columns) == [*columns, "seeds", "mask_seeds", "n", "dialogues", "constant", "gain_low", "gain_high"]
    assert len(table) == 2 * 3 * len(set(table["metric"]))
    assert table["constant"].notna().all()
    assert (table["low"] <= table["high"]).all()
    row = table.query("model == 'good' and rate == 0.5 and metric == 'weighted_f1'").iloc[0]
    own = [score(s.pooled) for s in sweeps[:3]]
    assert row["mean"] == pytest.approx(np.mean([v[2:4] for v in own]))
    assert row["sd_over_seeds"] == pytest.approx(np.std([v[2:4].mean() for v in own], ddof=1))
    assert row["constant"] == pytest.approx(float(score(sweeps[0].pooled_baseline)))
    assert (row["seeds"], row["mask_seeds"], row["n"]) == (3, 2, 96)
    assert summarise(bootstrap([made()], 10))["sd_over_seeds"].isna().all()


def test_the_same_seed_gives_the_same_table_and_models_do_not_influence_each_other() -> None:
    both = summarise(bootstrap([made("a"), made("b")], 50, seed=1))
    again = summarise(bootstrap([made("b"), made("a")], 50, seed=1))
    keys = ["model", "rate", "metric"]
    assert both.sort_values(keys).reset_index(drop=True).equals(again.sort_values(keys).reset_index(drop=True))
    assert not both["low"].equals(summarise(bootstrap([made("a"), made("b")], 50, seed=2))["low"])


def test_block_size_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap([made()], 30).models["m"].draws
    monkeypatch.setattr(replicates, "BLOCK_BYTES", 1)
    np.testing.assert_allclose(bootstrap([made()], 30).models["m"].draws, whole)


@pytest.mark.parametrize("dialogues", [1, MIN_DIALOGUES - 1])
def test_few_dialogues_have_no_interval(dialogues: int) -> None:
    drawn = bootstrap([made("a", dialogues=dialogues), made("b", dialogues=dialogues)], 50)
    table, comparison = against_baseline(summarise(drawn)), compare(drawn)
    assert table[["low", "high", "gain_low", "gain_high"]].isna().all(axis=None)
    assert table["mean"].notna().all()
    assert set(table["verdict"]) == {"undefined"}
    assert areas(drawn)["low"].isna().all()
    assert {*areas(drawn)["dialogues"], *table["dialogues"], *comparison["dialogues"]} == {dialogues}
    assert comparison[["low", "high", "p_value"]].isna().all(axis=None)


def test_interval_is_undefined_where_too_many_replicates_are() -> None:
    draws = np.tile(np.arange(200.0)[:, None], (1, 3))
    draws[:3, 1] = np.nan
    draws[:20, 2] = np.nan
    low, high = interval(draws, 0.95, 10)
    assert low[0] == pytest.approx(np.quantile(draws[:, 0], 0.025))
    assert (low[1], high[1]) == pytest.approx(np.nanquantile(draws[:, 1], [0.025, 0.975]))
    assert np.isnan([low[2], high[2]]).all()
    with pytest.raises(ConfigError, match="between 0 and 1"):
        interval(draws, 95, 10)


def clustered(r: np.random.Generator, dialogues: int, turns: int = 8) -> Sweep:
    """Whole dialogues are easy or hard: right with probability 0.9 or 0.3, 0.6 on average."""
    easy = r.random(dialogues) < 0.5
    right = r.random((dialogues, turns)) < np.where(easy, 0.9, 0.3)[:, None]
    truth = r.integers(3, size=dialogues * turns)
    answers = np.where(right.reshape(-1), truth, (truth + 1) % 3)  # (D, turns) -> (U,)
    values = count(EMOTION, np.eye(3)[answers], truth, np.arange(len(truth)) // turns, dialogues).values
    return Sweep("toy", "m", 0, EMOTION, (Condition("rmm", "", 0.0, 0, 0.0),), values[None], values, "x")


def test_intervals_cover_the_truth_although_utterances_of_a_dialogue_are_alike() -> None:
    r, hits, naive = np.random.default_rng(0), 0, 0
    for trial in range(150):
        one = clustered(r, 40)
        row = summarise(bootstrap([one], 200, seed=trial, metrics=["accuracy"])).iloc[0]
        hits += row["low"] <= 0.6 <= row["high"]
        half = 1.96 * np.sqrt(row["mean"] * (1 - row["mean"]) / 320)  # as if utterances were independent
        naive += abs(row["mean"] - 0.6) <= half
    assert 0.88 <= hits / 150 <= 0.99
    assert naive / 150 < 0.85


def test_areas() -> None:
    extra = tuple(Condition("fixed", m, 1.0, 0, 0.5) for m in ("text", "audio"))
    rates = tuple(Condition("rmm", "", r, s, r) for r in (0.0, 0.5, 1.0) for s in (0, 1))
    late = tuple(Condition("outage", "burst=2.0", r, 0, r) for r in (0.2, 0.8))
    sweeps = [made("m", s, conditions=rates + late + extra) for s in (0, 1)]
    drawn = bootstrap(sweeps, 100)
    table = areas(drawn)
    found = table.query("metric == 'weighted_f1'").set_index(["pattern", "measure"])
    robustness = ("auilc", "relative_robustness", "effective_robustness")
    assert set(found.index) == {*(("rmm", m) for m in robustness), ("outage", "auilc"), ("fixed", "subset_mean")}
    values = np.mean([score(s.pooled) for s in sweeps], axis=0)
    curve = values[:6].reshape(3, 2).mean(axis=1)  # (rates, masks) -> (rates,)
    baseline = float(score(sweeps[0].pooled_baseline))
    area = float(auilc([0, 0.5, 1], curve))
    assert found.loc[("rmm", "auilc"), "mean"] == pytest.approx(area)
    assert found.loc[("rmm", "relative_robustness"), "mean"] == pytest.approx(area / curve[0])
    assert found.loc[("rmm", "effective_robustness"), "mean"] == pytest.approx((area - baseline) / (curve[0] - baseline))
    assert found.loc[("fixed", "subset_mean"), "mean"] == pytest.approx(values[8:].mean())
    assert found["constant"].tolist() == pytest.approx([baseline, 1, 0, baseline, baseline])
    assert (found["low"] <= found["mean"]).all()
    assert (found["mean"] <= found["high"]).all()
    assert found.loc[("outage", "auilc"), "setting"] == "burst=2.0"


def test_a_single_rate_has_no_area_and_key_figures_without_one() -> None:
    drawn = bootstrap([made(conditions=(Condition("rmm", "", 0.0, 0, 0.0),))], 20)
    table = areas(drawn)
    assert table.empty
    assert {"model", "pattern", "metric", "measure", "mean"} <= set(table.columns)
    figures = brief(summarise(drawn), table, "weighted_f1", "m")
    assert list(figures["weighted_f1"]["m"]) == ["complete"]


def test_effective_robustness_without_skill_is_undefined_not_random() -> None:
    table = areas(bootstrap([made(skill=0.0)], 100, metrics=PRIMARY)).set_index("measure")
    assert np.isnan(table.loc["effective_robustness", "low"])
    assert np.isfinite(table.loc["auilc", "low"])


def test_a_model_compared_with_itself_differs_by_exactly_0() -> None:
    sweeps = [made("a", s) for s in (0, 1)]
    twins = [replace(s, model="b") for s in sweeps]
    table = compare(bootstrap(sweeps + twins, 50))
    assert (table[["difference", "low", "high"]] == 0).all(axis=None)
    assert (table["p_value"] == 1).all()


def test_comparison_finds_the_better_model_and_is_antisymmetric() -> None:
    sweeps = [made(m, s, dialogues=30, skill=k) for m, k in (("good", 3.0), ("bad", 1.0)) for s in (0, 1)]
    drawn = bootstrap(sweeps, 200, metrics=["weighted_f1", "log_loss"])
    table = compare(drawn, "bad")
    assert set(table["measure"]) == {"at_rate", "auilc"}
    assert table.query("measure == 'auilc'")["rate"].isna().all()
    area = table.query("measure == 'auilc' and metric == 'weighted_f1'").iloc[0]
    assert (area["model_a"], area["model_b"]) == ("good", "bad")
    assert area["low"] > 0
    assert area["p_value"] == pytest.approx(2 / 200)
    assert table.query("measure == 'auilc' and metric == 'log_loss'")["high"].item() < 0
    other = compare(drawn, pairs=[("bad", "good")])
    np.testing.assert_allclose(other["difference"], -table["difference"])
    np.testing.assert_allclose(other["low"], -table["high"])
    np.testing.assert_allclose(other["p_value"], table["p_value"])
    summary = summarise(drawn).set_index(["model", "rate", "metric"])["mean"]
    rows = table.query("measure == 'at_rate'").set_index(["rate", "metric"])["difference"]
    np.testing.assert_allclose(rows[0.5, "weighted_f1"], summary["good", 0.5, "weighted_f1"] - summary["bad", 0.5, "weighted_f1"])


def test_pairing_is_what_makes_differences_visible() -> None:
    r = np.random.default_rng(0)
    one = clustered(r, 30)
    better = one.counts.copy()
    confusion = Counts(EMOTION, better).part("confusion")
    for d in range(30):  # one error fewer where there was one
        for row, column in np.argwhere(confusion[0, d] * (1 - np.eye(3)))[:1]:
            confusion[0, d, row, column] -= 1
            confusion[0, d, row, row] += 1
    drawn = bootstrap([replace(one, model="b"), replace(one, model="a", counts=better)], 300, metrics=["accuracy"])
    table, each = compare(drawn, "b").iloc[0], summarise(drawn)
    assert table["low"] > 0
    assert each["low"].max() < each["high"].min()  # the intervals overlap widely all the same


def test_p_value() -> None:
    draws = np.array([[1.0, -1, 0, 1, np.nan]] * 99 + [[1.0, -1, 0, -1, 1]])
    assert p_value(draws, 50).tolist() == pytest.approx([2 / 100, 2 / 100, 1, 2 / 100, np.nan], nan_ok=True)


@pytest.mark.parametrize("trials", [200])
def test_p_values_of_equal_models_are_not_small_too_often(trials: int) -> None:
    ps = []
    for trial in range(trials):
        r = np.random.default_rng([1, trial])
        easy = np.where(r.random(30) < 0.5, 0.9, 0.3)[:, None]
        truth, dialogue = r.integers(3, size=240), np.arange(240) // 8
        pair = []
        for name in "ab":
            answers = np.where((r.random((30, 8)) < easy).reshape(-1), truth, (truth + 1) % 3)  # (D, turns) -> (U,)
            values = count(EMOTION, np.eye(3)[answers], truth, dialogue, 30).values
            pair.append(Sweep("toy", name, 0, EMOTION, (Condition("rmm", "", 0.0, 0, 0.0),), values[None], values, "x"))
        ps.append(compare(bootstrap(pair, 200, seed=trial, metrics=["accuracy"]))["p_value"].iloc[0])
    assert 0.01 <= np.mean(np.array(ps) < 0.05) <= 0.11


def test_sweeps_that_are_not_comparable_are_refused() -> None:
    base = made("a")
    moved = tuple(replace(c, measured=c.measured / 2) for c in base.conditions)
    with pytest.raises(ConfigError, match="not scored under the same masks"):
        bootstrap([base, made("b", conditions=moved)])
    with pytest.raises(ConfigError, match="not scored under the same masks"):
        bootstrap([base, made("b", conditions=base.conditions[::-1])])
    with pytest.raises(ConfigError, match="not scored on the same utterances"):
        bootstrap([base, made("b", draw=1)])
    with pytest.raises(ConfigError, match="not scored on the same utterances"):
        bootstrap([base, made("b", dialogues=6)])
    with pytest.raises(ConfigError, match="is given twice"):
        bootstrap([base, base])
    with pytest.raises(ConfigError, match="no sweep to summarise"):
        bootstrap([])
    with pytest.raises(ConfigError, match="no metric 'f2'"):
        bootstrap([base], metrics=["f2"])
    with pytest.raises(ConfigError, match="no sweep of model 'c'"):
        compare(bootstrap([base], 10), "c")
    with pytest.raises(ConfigError, match="no sweep of model 'c'"):
        compare(bootstrap([base], 10), pairs=[("a", "c")])


def test_verdict_against_the_baseline() -> None:
    drawn = bootstrap([made("good", dialogues=40, skill=4.0, fall=0.0), made("blind", dialogues=40, skill=0.0, fall=0.0)], 200)
    table = against_baseline(summarise(drawn)).query("rate == 0").set_index(["model", "metric"])["verdict"]
    assert table["good", "weighted_f1"] == "above"
    assert table["blind", "accuracy"] == "below"
    assert table["blind", "log_loss"] == "below"  # an error: larger is worse


def test_bootstrap_is_a_plain_value() -> None:
    drawn = bootstrap([made()], 10)
    assert isinstance(drawn, Bootstrap)
    assert (drawn.dialogues, drawn.utterances, len(drawn.settings)) == (12, 96, 3)
    assert drawn.baseline_draws.shape == (10, len(drawn.metrics))
