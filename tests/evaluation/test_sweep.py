"""The sweep and the answers behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
import torch

from lacuna.corpus import Corpus, Target
from lacuna.corpus.batch import Batch
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation import (
    EvaluationConfig,
    PatternSpec,
    Sweep,
    against_baseline,
    bootstrap,
    predict,
    score,
    summarise,
    sweep,
)
from lacuna.evaluation.predict import inference, loader_of
from lacuna.missing import Layout, MaskPlan
from lacuna.models import Prediction, build
from lacuna.training.loader import Loader
from lacuna.training.trained import Selection, TrainedRecognizer
from standin import StandIn, generate

RATES = (0.0, 0.5, 1.0)
PATTERNS = (PatternSpec("rmfm"), PatternSpec("rmm"), PatternSpec("fixed"))
CONFIG = EvaluationConfig(patterns=PATTERNS, rates=RATES, mask_seeds=(0, 1))


def plans() -> list[MaskPlan]:
    return CONFIG.plans(("text", "audio", "vision"))


def run(corpus: Corpus, name: str = "linear", batch_size: int = 1024, seed: int = 0, groups: int = 512) -> Sweep:
    recognizer = trained(corpus, name, seed)
    return sweep(
        recognizer, corpus.only("test"), plans(), training_labels=training_labels(corpus), batch_size=batch_size, groups=groups
    )


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return generate(StandIn(dialogues=30, turns=6, frames=4, absent=0.15))


def trained(corpus: Corpus, name: str = "linear", seed: int = 0, scale: float = 0.3) -> TrainedRecognizer:
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        model = build(name, schema)
    model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 16, model.needs_dialogue))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return TrainedRecognizer(name, seed, corpus.name, model.eval(), statistics, Selection("weighted_f1", 0, 0, 1, "rmm", 0, 0))


def training_labels(corpus: Corpus) -> np.ndarray:
    return corpus.only("train").utterances.labels[corpus.target().name]


@pytest.mark.parametrize("name", ["linear", "context_gru"])
def test_sweep_is_deterministic_and_does_not_depend_on_the_batch_size(corpus: Corpus, name: str) -> None:
    whole = run(corpus, name)
    again = run(corpus, name)
    np.testing.assert_array_equal(whole.counts, again.counts)
    assert (whole.conditions, whole.fingerprint) == (again.conditions, again.fingerprint)
    for size in (1, 7):  # CIDer scored .827 with batches of 1 and .762 with batches of 128
        np.testing.assert_allclose(run(corpus, name, size).counts, whole.counts, atol=1e-4)


def test_sweep_equals_predicting_under_each_mask(corpus: Corpus) -> None:
    test, recognizer = corpus.only("test"), trained(corpus, "context_gru")
    swept = sweep(recognizer, test, plans(), training_labels=training_labels(corpus))
    truth = test.utterances.labels["emotion"]
    for index, plan in enumerate(plans()):
        answers = predict(recognizer, test, plan.over(Layout.of(test)), batch_size=13).probabilities.argmax(axis=1)
        expected = sk.confusion_matrix(truth, answers, labels=range(4))
        np.testing.assert_array_equal(swept.pooled.part("confusion")[index], expected)
    assert swept.counts.shape[:2] == (len(plans()), 6)


def test_mistake_imder_rate_0_masks_something(corpus: Corpus) -> None:
    test, swept = corpus.only("test"), run(corpus)
    complete = predict(trained(corpus), test)
    rows = [i for i, c in enumerate(swept.conditions) if c.rate == 0 or c.setting == "audio+text+vision"]
    assert len(rows) == 2 * 2 + 1
    for row in rows:
        assert swept.conditions[row].measured == 0
        np.testing.assert_array_equal(swept.counts[row], swept.counts[rows[0]])
    truth = test.utterances.labels["emotion"]
    expected = sk.f1_score(truth, complete.probabilities.argmax(axis=1), average="weighted")
    assert float(score(swept.pooled)[rows[0]]) == pytest.approx(expected)


def test_mistake_openvna_rate_grows_with_the_seed(corpus: Corpus) -> None:
    config = EvaluationConfig(patterns=(PatternSpec("rmm"), PatternSpec("rmfm_iid")), rates=(0.3,), mask_seeds=(1, 2, 3, 4))
    swept = sweep(trained(corpus), corpus.only("test"), config.plans(("text",)), training_labels=training_labels(corpus))
    measured = [c.measured for c in swept.conditions]
    assert len(measured) == 8
    assert all(abs(m - 0.3) < 0.05 for m in measured)  # OpenVNA: 0.30, 0.49, 0.62, 0.70
    assert swept.scores()["measured_rate"].between(0.25, 0.35).all()


def test_equal_masks_are_answered_once_and_batches_are_read_once(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = trained(corpus)
    seen: list[int] = []
    forward = type(recognizer.model).forward

    def counted(self: torch.nn.Module, batch: Batch) -> Prediction:
        seen.append(len(batch))
        return forward(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(type(recognizer.model), "forward", counted)
    test = corpus.only("test")
    zero = [MaskPlan(p, 0.0, s) for p in ("rmm", "rmfm", "tmfm", "outage") for s in range(5)]
    gone = [MaskPlan(p, 1.0, s) for p in ("rmfm", "outage") for s in range(5)]
    sweep(recognizer, test, zero + gone, training_labels=training_labels(corpus))
    assert seen == [len(test)] * 2


def test_tables_are_tidy(corpus: Corpus) -> None:
    swept = run(corpus)
    scores, confusions = swept.scores(), swept.confusions()
    columns = ["corpus", "model", "seed", "pattern", "setting", "rate", "mask_seed", "measured_rate", "metric", "value", "n"]
    assert list(scores.columns) == columns
    assert not scores.duplicated(columns[:9]).any()
    assert set(scores["n"]) == {36}
    assert {"weighted_f1", "ece", "f1:joy"} <= set(scores["metric"])
    assert "f1:joy" not in set(swept.scores(detail=False)["metric"])
    assert list(confusions.columns) == ["corpus", "model", "seed", "pattern", "setting", "rate", "true", "predicted", "count"]
    sums = confusions.groupby(["pattern", "setting", "rate"])["count"].sum()
    assert sums["rmm", "", 0.5] == 2 * 36  # both masks
    one = confusions.query("pattern == 'fixed' and setting == 'text'")
    matrix = one.pivot_table(index="true", columns="predicted", values="count", sort=False).to_numpy()
    index = next(i for i, c in enumerate(swept.conditions) if c.setting == "text")
    np.testing.assert_array_equal(matrix, swept.pooled.part("confusion")[index])
    fixed = scores.query("pattern == 'fixed' and metric == 'accuracy'")
    assert set(fixed["setting"]) == {"text", "audio", "vision", "audio+text", "text+vision", "audio+vision", "audio+text+vision"}


def test_tables_name_a_recogniser_by_its_label(corpus: Corpus) -> None:
    variant = replace(trained(corpus), variant="linear_again")
    data = {"corpus": corpus.only("test"), "plans": plans()[:1], "training_labels": training_labels(corpus)}
    assert {*sweep(variant, **data).scores()["model"]} == {"linear_again"}
    assert sweep(variant, **data, name="mine").model == "mine"


@pytest.mark.parametrize("task", ["soft", "regression"])
def test_other_tasks(task: str) -> None:
    corpus = generate(StandIn(dialogues=10, turns=4), task)
    swept = run(corpus)
    scores = swept.scores()
    assert np.isfinite(scores["value"]).all()
    assert swept.confusions().empty == (task == "regression")
    assert float(score(swept.pooled_baseline)) == pytest.approx(0, abs=0.3)


def test_unlabelled_utterances_are_answered_but_not_scored(corpus: Corpus) -> None:
    test = corpus.only("test")
    labels = test.utterances.labels["emotion"].copy()
    labels[:7] = -1  # the first dialogue and a turn of the second
    partly = replace(test, utterances=replace(test.utterances, labels={"emotion": labels}))
    swept = sweep(trained(corpus), partly, plans(), training_labels=training_labels(corpus))
    assert set(swept.scores()["n"]) == {29}
    assert swept.counts.shape[1] == 5
    full = sweep(trained(corpus), test, plans(), training_labels=training_labels(corpus))
    np.testing.assert_array_equal(swept.counts[:, 1:], full.counts[:, 2:])  # masks are those of the whole split
    assert len(predict(trained(corpus), partly).ids) == 36
    labels[:] = -1
    with pytest.raises(DataError, match="nothing is labelled"):
        sweep(trained(corpus), partly, plans(), training_labels=training_labels(corpus))


def test_many_dialogues_are_pooled_into_groups_of_whole_dialogues(corpus: Corpus) -> None:
    fine, coarse = run(corpus), run(corpus, groups=3)
    assert coarse.counts.shape[1] == coarse.baseline.shape[0] == 3
    np.testing.assert_allclose(coarse.pooled.values, fine.pooled.values)
    assert coarse.counts[0, :, 0].tolist() == [12, 12, 12]
    assert coarse.fingerprint != fine.fingerprint


def test_model_keeps_its_mode_and_is_not_changed(corpus: Corpus) -> None:
    recognizer = trained(corpus, "context_gru")
    recognizer.model.train()
    recognizer.model.head.eval()
    before = {k: v.clone() for k, v in recognizer.model.state_dict().items()}
    modes = [m.training for m in recognizer.model.modules()]
    sweep(recognizer, corpus.only("test"), plans()[:2], training_labels=training_labels(corpus))
    assert [m.training for m in recognizer.model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in recognizer.model.state_dict().items())
    batch = next(iter(loader_of(recognizer, corpus, 64, "cpu")))
    recognizer.model(batch).logits.sum().backward()  # nothing is left in inference mode
    with inference(recognizer.model, "cpu"):
        assert not any(m.training for m in recognizer.model.modules())
    with pytest.raises(ZeroDivisionError), inference(recognizer.model, "cpu"):
        _ = 1 / 0
    assert [m.training for m in recognizer.model.modules()] == modes


def test_what_cannot_be_swept_is_refused(corpus: Corpus) -> None:
    test, labels = corpus.only("test"), training_labels(corpus)
    with pytest.raises(ConfigError, match="at least one plan"):
        sweep(trained(corpus), test, [], training_labels=labels)
    with pytest.raises(ConfigError, match="every plan once"):
        sweep(trained(corpus), test, [MaskPlan("rmm", 0.5, 1)] * 2, training_labels=labels)
    swapped = replace(corpus.targets[0], classes=("joy", "neutral", "sadness", "anger"))
    with pytest.raises(DataError, match="differs from that of training"):  # the same codes for other emotions
        sweep(trained(corpus), replace(test, targets=(swapped,)), plans(), training_labels=labels)
    other = Target("mood", "classification", ("x",))
    with pytest.raises(ConfigError, match="has no target 'emotion'"):
        sweep(trained(corpus), replace(test, targets=(other,)), plans(), training_labels=labels)
    broken = trained(corpus)
    with torch.no_grad():
        broken.model.head.bias[0] = float("nan")
    with pytest.raises(DataError, match="NaN or inf for 36 of 36"):
        sweep(broken, test, plans(), training_labels=labels)


def test_corpus_without_a_modality_of_the_model_is_scored(corpus: Corpus) -> None:
    test = corpus.only("test")
    deaf = replace(test, modalities=test.modalities[:2], frames={m: test.frames[m] for m in ("text", "audio")})
    swept = sweep(trained(corpus), deaf, [MaskPlan("rmm", 0.3)], training_labels=training_labels(corpus))
    assert float(swept.pooled.part("n")[0]) == 36
    assert not predict(trained(corpus), deaf).available[:, 2].any()


def test_predictions_as_a_table(corpus: Corpus) -> None:
    test = corpus.only("test")
    table = predict(trained(corpus), test, MaskPlan("fixed", 1.0).over(Layout.of(test)), batch_size=10).to_frame()
    assert list(table["id"]) == test.ids
    assert list(table.columns[:3]) == ["id", "predicted", "confidence"]
    p = table[[f"p_{c}" for c in corpus.targets[0].classes]]
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p.max(axis=1), table["confidence"])
    assert list(p.idxmax(axis=1)) == list("p_" + table["predicted"])
    assert not table["has_audio"].any()
    np.testing.assert_array_equal(table["has_text"], test.frames["text"].count > 0)
    values = generate(StandIn(dialogues=6, turns=3), "regression")
    assert "value" in predict(trained(values), values).to_frame()
    nobody = corpus.take(np.zeros(0, np.int64))
    assert predict(trained(corpus), nobody).to_frame().empty
    pd.testing.assert_frame_equal(predict(trained(corpus, "context_gru"), test, batch_size=5).to_frame(),
                                  predict(trained(corpus, "context_gru"), test).to_frame(), atol=1e-5)  # fmt: skip


@pytest.mark.parametrize("task", ["classification", "soft", "regression"])
def test_the_prior_model_is_the_baseline(task: str) -> None:
    corpus = generate(StandIn(dialogues=60, turns=5), task)
    recognizer = trained(corpus, "prior", scale=0)
    swept = sweep(recognizer, corpus.only("test"), [MaskPlan("rmm", 0.5)], training_labels=training_labels(corpus))
    np.testing.assert_allclose(swept.pooled.values[0], swept.pooled_baseline.values, rtol=1e-6, atol=1e-9)
    assert set(against_baseline(summarise(bootstrap([swept], 50)))["verdict"]) == {"undecided"}
