"""How recoveries are judged: perfect ones, none, shuffled ones, the best possible ones, and draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation import RecoveryConfig, score_recovery
from lacuna.evaluation.recovery.quality import COLUMNS, MEAN_FILL
from lacuna.metrics.recovery.draws import Ranks
from lacuna.metrics.recovery.mmd import Sample, discrepancy
from lacuna.metrics.recovery.moments import Moments
from lacuna.missing import Layout, MaskPlan, pattern
from lacuna.models import Prediction, Recognizer, build
from lacuna.models.info import ModelInfo
from lacuna.models.wrappers.window import Windowed
from lacuna.synthetic.duet import Oracle, preset
from lacuna.synthetic.duet import generate as duet
from lacuna.training.trained import Selection, TrainedRecognizer
from standin import StandIn, generate

Frames = dict[str, Tensor]
QUICK = RecoveryConfig(replicates=100, permutations=100, samples=19, coverage=(0.5, 0.8, 0.9))
WHOLE, HOLES = MaskPlan("rmm", 0.4), MaskPlan("rmfm", 0.5)


class Knowing(Recognizer):
    """A model of tests that has seen everything, and answers by a function of the observed batch and the true frames."""

    name = "knowing"
    info = ModelInfo("knowing", "A model of tests", "baseline")
    recovers = True

    def __init__(self, corpus: Corpus, answer: Callable[[Batch, Frames], Frames], samples: bool = False) -> None:
        super().__init__(corpus.schema())
        self.answer, self.samples = answer, samples
        self.whole = collate(corpus, np.arange(len(corpus)), corpus.schema(), fit_statistics(corpus))
        self.sorted, self.at = torch.sort(self.whole.key)

    def rows(self, batch: Batch) -> Tensor:
        return self.at[torch.searchsorted(self.sorted, batch.key)]

    def recover(self, batch: Batch) -> Frames:
        truth = {m: x[self.rows(batch)][:, : batch.features[m].shape[1]] for m, x in self.whole.features.items()}
        return keep(batch, self.answer(batch, truth))

    def forward(self, batch: Batch) -> Prediction:
        return Prediction(torch.zeros(len(batch), self.schema.target.width), self.recover(batch))

    def sample(self, batch: Batch, number: int, seed: int) -> Frames:
        assert self.samples
        drawn = []
        for s in range(number):
            self.turn = seed % 1000 + s
            drawn.append(self.recover(batch))
        return {m: torch.stack([d[m] for d in drawn]) for m in batch.features}


def keep(batch: Batch, guess: Frames) -> Frames:
    return {m: torch.where(batch.present[m][..., None], x, guess[m]) for m, x in batch.features.items()}


def trained(corpus: Corpus, model: Recognizer) -> TrainedRecognizer:
    selection = Selection("weighted_f1", 0, 0, 1, "rmm", 0, 0)
    return TrainedRecognizer(model.name, 0, corpus.name, model.eval(), fit_statistics(corpus), selection)


def judged(
    corpus: Corpus, answer: Callable[[Batch, Frames], Frames], plan: MaskPlan, config: RecoveryConfig = QUICK
) -> pd.DataFrame:
    return score_recovery([trained(corpus, Knowing(corpus, answer))], corpus.only("test"), [plan], config)


def perfect(batch: Batch, truth: Frames) -> Frames:
    return truth


def nothing(batch: Batch, truth: Frames) -> Frames:
    return batch.features


def noisy(batch: Batch, truth: Frames) -> Frames:
    return {m: x + 0.3 + 0.5 * torch.sin(40 * x) for m, x in truth.items()}


def of(table: pd.DataFrame, measure: str, model: str = "knowing") -> pd.Series:
    rows = table[(table["model"] == model) & (table["measure"] == measure)]
    return rows.set_index(["modality", "unit"])["value"]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(StandIn(dialogues=80, turns=6, frames=5, absent=0.15))


@pytest.fixture(scope="module")
def generated() -> Corpus:
    return duet(preset("tiny", dialogues=150))


@pytest.mark.parametrize("plan", [WHOLE, HOLES])
def test_a_perfect_recovery_has_no_error(corpus: Corpus, plan: MaskPlan) -> None:
    table = judged(corpus, perfect, plan)
    assert list(table.columns) == [*COLUMNS, "value", "low", "high", "n", "dialogues"]
    assert set(table["unit"]) == ({"utterance"} if plan is WHOLE else {"utterance", "frame"})
    for measure in ("mse", "mean_error", "std_error", "covariance_error", "mmd"):
        np.testing.assert_allclose(of(table, measure), 0, atol=1e-9)
    for measure in ("cosine", "variance_ratio", "mmd_p"):
        np.testing.assert_allclose(of(table, measure), 1)


@pytest.mark.parametrize("plan", [WHOLE, HOLES])
def test_errors_are_those_of_the_slots_and_frames_that_the_mask_took(corpus: Corpus, plan: MaskPlan) -> None:
    test = corpus.only("test")
    table = judged(corpus, noisy, plan)
    complete = collate(test, np.arange(len(test)), corpus.schema(), fit_statistics(corpus))
    left = plan.over(Layout.of(test)).present(np.arange(len(test)))
    guess, counted = noisy(complete, complete.features), 0
    for m, x in complete.features.items():
        errors: dict[str, list[float]] = {"utterance": [], "frame": []}
        for u in range(len(test)):
            lost = (complete.present[m][u] & ~torch.from_numpy(left[m][u])).nonzero().flatten()
            if len(lost) and not left[m][u].any():
                errors["utterance"].append(float((guess[m][u, lost].mean(0) - x[u, lost].mean(0)).square().mean()))
            else:
                errors["frame"] += [float((guess[m][u, t] - x[u, t]).square().mean()) for t in lost]
        for unit, found in errors.items():
            rows = table[(table["model"] == "knowing") & (table["modality"] == m) & (table["unit"] == unit)]
            assert set(rows["n"]) == ({len(found)} if found else set())
            if found:
                counted += 1
                assert rows.set_index("measure").loc["mse", "value"] == pytest.approx(np.mean(found), rel=1e-4)
                mse = rows.set_index("measure").loc["mse"]
                assert mse["low"] <= mse["value"] <= mse["high"]
    assert counted == (3 if plan is WHOLE else 6)


def test_batches_do_not_matter(corpus: Corpus) -> None:
    whole, small = (judged(corpus, noisy, HOLES, replace(QUICK, batch_size=size, vectors=50)) for size in (1000, 7))
    pd.testing.assert_frame_equal(whole, small, rtol=1e-4, atol=1e-6)


def test_zeros_are_the_mean_fill(corpus: Corpus) -> None:
    table = judged(corpus, nothing, WHOLE)
    for measure in ("mse", "cosine", "std_error", "mmd", "variance_ratio"):
        pd.testing.assert_series_equal(of(table, measure), of(table, measure, MEAN_FILL))
    assert (of(table, "cosine") == 0).all()
    assert "share_of_oracle" not in set(table["measure"])  # nobody knows the best recovery here


@pytest.mark.parametrize("plan", [WHOLE, HOLES])
def test_shares_of_the_oracle(generated: Corpus, plan: MaskPlan) -> None:
    test = generated.only("test")
    mask, statistics = plan.over(Layout.of(test)), fit_statistics(generated)
    best = Oracle.of(test).recover(test, {m: ~gone for m, gone in mask.missing_flat().items()})
    ids = {i: row for row, i in enumerate(test.ids)}

    def wise(batch: Batch, truth: Frames) -> Frames:
        rows = [ids[i] for i in batch.ids]
        known = {m: (best[m].mean[rows] - statistics.mean[m]) / statistics.scale[m] for m in truth}
        return {m: torch.from_numpy(known[m]).float()[:, None].expand_as(x) for m, x in truth.items()}

    for answer, share in ((wise, 1), (nothing, 0)):
        found = of(judged(generated, answer, plan), "share_of_oracle").drop("text", level="modality")
        np.testing.assert_allclose(found, share, atol=1e-5)
    table = judged(generated, perfect, plan)
    assert (of(table, "share_of_oracle").drop("text", level="modality") > 1).all()
    assert of(table, "share_of_oracle").loc["text"].isna().all()  # words are drawn one by one: there is nothing to recover
    assert (of(table, "mse", "oracle") < of(table, "mse", MEAN_FILL)).drop("text", level="modality").all()


def another(model: list[Knowing], seed: int = 0) -> Callable[[Batch, Frames], Frames]:
    """Frames of another test utterance of the same length that has the modality: a draw from the marginal distribution."""

    def answer(batch: Batch, truth: Frames) -> Frames:
        one = model[0]
        generator = torch.Generator().manual_seed(getattr(one, "turn", seed))
        here, result = one.whole.present, {}
        for m, x in one.whole.features.items():
            length = here[m].sum(1)
            source = torch.arange(len(x))
            for t in length.unique():
                rows = (length == t).nonzero().flatten()
                source[rows] = rows[torch.randint(len(rows), (len(rows),), generator=generator)]
            result[m] = x[source[one.rows(batch)]][:, : batch.features[m].shape[1]]
        return result

    return answer


def shuffling(corpus: Corpus, **named: bool) -> Knowing:
    box: list[Knowing] = []
    box.append(Knowing(corpus, another(box), **named))
    return box[0]


def test_shuffled_vectors_have_the_right_moments_and_a_bad_error(corpus: Corpus) -> None:
    table = score_recovery([trained(corpus, shuffling(corpus))], corpus.only("test"), [WHOLE], QUICK)
    assert (of(table, "mse") > 1.5 * of(table, "mse", MEAN_FILL)).all()  # twice, in expectation
    assert of(table, "variance_ratio").between(0.7, 1.4).all()
    assert (of(table, "std_error") < 0.3 * of(table, "std_error", MEAN_FILL)).all()
    assert (of(table, "mmd_p") > 0.01).all()
    assert (of(table, "mmd_p", MEAN_FILL) < 0.02).all()


def paired(r: np.random.Generator, shift: float = 0.0, dialogues: int = 25) -> Sample:
    """Vectors that depend on each other within dialogues and within pairs."""
    group = np.repeat(np.arange(dialogues), 6)
    common, known = r.normal(size=(2, dialogues, 3))[:, group]
    sample = Sample(10_000, 3)
    guess = known + common + r.normal(size=common.shape) + shift
    truth = known + r.permuted(r.normal(size=(dialogues, 3)), axis=0)[group] + r.normal(size=common.shape)
    sample.add(r.integers(2**60, size=len(group)).astype(np.uint64), guess, truth, group)
    return sample


def test_the_null_of_mmd_is_calibrated() -> None:
    r, weights = np.random.default_rng(0), np.ones((1, 25))
    found = [discrepancy(paired(r), weights, 99, seed) for seed in range(300)]
    p = np.array([d.p for d in found])
    assert 0.02 < (p <= 0.05).mean() < 0.09
    assert 0.42 < (p <= 0.5).mean() < 0.58
    assert abs(np.mean([d.value for d in found])) < 3 * np.std([d.value for d in found]) / 300**0.5  # unbiased
    shifted = [discrepancy(paired(r, 0.8), weights, 99, seed).p for seed in range(20)]
    assert np.mean(np.array(shifted) <= 0.05) >= 0.8


def test_moments_are_those_of_numpy() -> None:
    r = np.random.default_rng(0)
    truth, group = r.normal(size=(200, 5)) @ r.normal(size=(5, 5)), r.integers(7, size=200)
    guess = 0.5 * truth + 0.2
    sums = Moments(8, 5)
    for part in np.split(np.arange(200), 4):
        sums.add(guess[part], truth[part], group[part])
    found = sums.measures(np.ones(8))
    assert found["mse"] == pytest.approx(np.square(guess - truth).mean())
    assert found["variance_ratio"] == pytest.approx(0.25)
    assert found["std_error"] == pytest.approx(np.sqrt(np.square(0.5 * truth.std(axis=0)).mean()))
    assert found["mean_error"] == pytest.approx(np.sqrt(np.square((guess - truth).mean(axis=0)).mean()))
    assert found["covariance_error"] == pytest.approx(0.75)
    twice = sums.measures(np.stack([np.ones(8), np.full(8, 3.0)]))
    np.testing.assert_allclose(twice["covariance_error"], 0.75)
    assert np.isnan(sums.measures(np.zeros(8))["mse"])


def test_of_wide_modalities_some_directions_stand_for_the_covariance() -> None:
    r = np.random.default_rng(0)
    truth = r.normal(size=(500, 200))
    sums = Moments(1, 200)
    sums.add(2 * truth, truth, np.zeros(500, np.int64))
    assert sums.measures(np.ones(1))["covariance_error"] == pytest.approx(3)
    assert sums.sums.shape[1] < 1400  # not 200 * 200


@pytest.mark.parametrize(("spread", "inside"), [(1.0, (0.0, 0.0)), (0.4, (-0.5, -0.2)), (2.5, (0.05, 0.6))])
def test_coverage_tells_calibrated_draws_from_overconfident_ones(spread: float, inside: tuple[float, float]) -> None:
    r = np.random.default_rng(0)
    known, ranks = r.normal(size=(4000, 3)), Ranks(20, 19)
    truth, draws = known + r.normal(size=known.shape), known + spread * r.normal(size=(19, *known.shape))
    ranks.add(draws, truth, np.arange(4000) % 20)
    found = ranks.measures(np.ones(20), (0.5, 0.8, 0.9))
    assert found["sharpness"] == pytest.approx(spread, rel=0.03)
    assert sum(found[f"rank@{k}"] for k in range(20)) == pytest.approx(1)
    for level in (0.5, 0.8, 0.9):
        low, high = inside
        assert level + low - 0.015 <= found[f"coverage@{level}"] <= level + high + 0.015
    if spread == 1:
        assert found["crps"] == pytest.approx(1 / np.pi**0.5, rel=0.03)  # of a standard normal, known in closed form
        assert all(0.043 < found[f"rank@{k}"] < 0.057 for k in range(20))
    else:
        assert found["crps"] > 1.04 / np.pi**0.5


def test_draws_that_equal_the_truth_are_no_evidence_either_way() -> None:
    ranks = Ranks(1, 4)
    ranks.add(np.zeros((4, 2, 3)), np.zeros((2, 3)), np.zeros(2, np.int64))
    found = ranks.measures(np.ones(1), (0.6,))
    np.testing.assert_allclose([found[f"rank@{k}"] for k in range(5)], 0.2)
    assert found["coverage@0.6"] == pytest.approx(0.6)


def test_samplers_are_judged_by_their_draws(corpus: Corpus) -> None:
    """Draws from the marginal distribution are calibrated, though they know nothing; draws that hardly vary are not."""
    model = shuffling(corpus, samples=True)
    table = score_recovery([trained(corpus, model)], corpus.only("test"), [WHOLE], QUICK)
    for level in (0.5, 0.8, 0.9):
        assert (of(table, f"coverage@{level}") - level).abs().max() < 0.08
    assert of(table, "rank@0").max() < 0.1
    assert (of(table, "sample_mse") > of(table, "mse", MEAN_FILL)).all()
    assert {"crps", "sharpness", "sample_mmd_p", "rank@19"} <= set(table["measure"])
    marginal, model.answer = model.answer, lambda b, t: {m: 0.2 * x for m, x in marginal(b, t).items()}
    table = score_recovery([trained(corpus, model)], corpus.only("test"), [WHOLE], QUICK)
    assert of(table, "coverage@0.9").max() < 0.5


def test_bounds_on_utterances_hold_and_subsets_are_not_drawn(corpus: Corpus) -> None:
    model, subset = shuffling(corpus, samples=True), MaskPlan(pattern("fixed", available=("text",)), 1.0)
    bounded = replace(QUICK, utterances=20, draw_utterances=10)
    table = score_recovery([trained(corpus, model)], corpus.only("test"), [WHOLE, subset], bounded)
    is_draw = table["measure"].str.startswith("sample_")
    assert table.loc[~is_draw & ~table["measure"].str.contains("@|crps|sharp"), "n"].max() <= 20
    assert table.loc[is_draw, "n"].max() <= 10
    assert set(table.loc[is_draw, "pattern"]) == {"rmm"}
    full = score_recovery([trained(corpus, model)], corpus.only("test"), [WHOLE], replace(QUICK, utterances=10_000))
    assert full["n"].max() > 20


def test_a_window_passes_draws_on(corpus: Corpus) -> None:
    inner = shuffling(corpus, samples=True)
    inner.answer = lambda b, t: {m: torch.zeros_like(x) for m, x in b.features.items()}
    model = Windowed(inner, 1)
    assert model.samples
    batch = model.inner.whole
    narrow = batch.observe({m: torch.zeros_like(p) for m, p in batch.present.items()})
    inner.recover = lambda b: b.features  # type: ignore[method-assign]
    assert {m: x.shape for m, x in model.sample(narrow, 3, 0).items()} == {m: (3, *x.shape) for m, x in batch.features.items()}


def test_nothing_missing_or_nobody_to_judge_gives_an_empty_table(corpus: Corpus) -> None:
    for table in (judged(corpus, perfect, MaskPlan("rmm", 0.0)), score_recovery([], corpus.only("test"), [WHOLE])):
        assert table.empty
        assert list(table.columns) == [*COLUMNS, "value", "low", "high", "n", "dialogues"]


def test_one_utterance_and_one_modality() -> None:
    lonely = generate(StandIn(dialogues=5, turns=1, dims=(("text", 4),), frames=3))
    table = judged(lonely, noisy, MaskPlan(pattern("outage"), 1.0))
    assert len(lonely.only("test")) == 1
    assert set(table["modality"]) == {"text"}
    own = table[table["model"] == "knowing"].set_index("measure")
    assert own.loc["mse", "value"] > 0
    assert set(own["n"]) == {1}
    assert own[["low", "high"]].isna().all(axis=None)  # one dialogue has no interval
    assert np.isnan(own.loc["mmd", "value"])
    assert np.isnan(own.loc["std_error", "value"])


def test_what_was_absent_from_the_start_is_not_judged() -> None:
    corpus = generate(StandIn(dialogues=20, turns=5, absent=0.5))
    test = corpus.only("test")
    table = judged(corpus, perfect, MaskPlan(pattern("fixed", available=("text",)), 1.0))
    had = {m: int((test.frames[m].count > 0).sum()) for m in ("audio", "vision")}
    assert table.groupby("modality")["n"].max().to_dict() == had


def test_variants_of_a_model_are_judged_side_by_side(corpus: Corpus) -> None:
    one, two = (
        replace(trained(corpus, Knowing(corpus, answer)), variant=label) for label, answer in (("a", perfect), ("b", noisy))
    )
    table = score_recovery([one, two], corpus.only("test"), [WHOLE], QUICK)
    assert set(table["model"]) == {"a", "b", MEAN_FILL}
    assert (of(table, "mse", "a") < of(table, "mse", "b")).all()


def test_mistakes_are_named(corpus: Corpus) -> None:
    test = corpus.only("test")
    with pytest.raises(ConfigError, match="'mlp' recovers nothing"):
        score_recovery([trained(corpus, build("mlp", corpus.schema()))], test, [WHOLE])
    good = trained(corpus, Knowing(corpus, perfect))
    with pytest.raises(ConfigError, match="is given twice"):
        score_recovery([good, good], test, [WHOLE])
    shifted = replace(good.statistics, mean={m: x + 1 for m, x in good.statistics.mean.items()})
    with pytest.raises(ConfigError, match="score them separately"):
        score_recovery([good, replace(good, seed=1, statistics=shifted)], test, [WHOLE])
    with pytest.raises(DataError, match="recovered value is not finite"):
        judged(corpus, lambda b, t: {m: x * torch.nan for m, x in t.items()}, WHOLE)
    for wrong in ({"samples": 1}, {"level": 1.0}, {"coverage": (0.0,)}, {"vectors": 2.5}):
        with pytest.raises(ConfigError, match="recovery:"):
            RecoveryConfig(**wrong)  # type: ignore[arg-type]
