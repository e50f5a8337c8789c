"""Answers of outside systems in the sweep: the same masks, counts and intervals as for a trained recogniser."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lacuna
from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation import EvaluationConfig, PatternSpec, answered_subsets, bootstrap, predict, sweep, sweep_answers
from lacuna.metrics.protocols.prompts import modality_subsets
from lacuna.missing import Layout, MaskPlan, pattern
from lacuna.training import Recipe, TrainedRecognizer, TrainingConfig, fit
from standin import StandIn, generate

NAMES = ("text", "audio", "vision")
PLANS = EvaluationConfig(
    (PatternSpec("rmm"), PatternSpec("outage"), PatternSpec("fixed")), rates=(0.0, 0.4), mask_seeds=(0, 1)
).plans(NAMES)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(StandIn(dialogues=20, turns=5, absent=0.2))


@pytest.fixture(scope="module")
def trained(corpus: Corpus) -> TrainedRecognizer:
    return fit(Recipe.of(corpus, "linear", TrainingConfig(epochs=2, threads=1))).trained


@pytest.fixture(scope="module")
def answers(corpus: Corpus, trained: TrainedRecognizer) -> pd.DataFrame:
    """The recogniser as an outside system: its answer to each set of modalities that an utterance has."""
    test, tables = corpus.only("test"), []
    for subset in modality_subsets(NAMES):
        mask = MaskPlan(pattern("fixed", available=subset), 1.0).over(Layout.of(test))
        frame = predict(trained, test, mask).to_frame()
        shown = [[m for m in NAMES if row[f"has_{m}"]] for _, row in frame.iterrows()]
        frame["modalities"] = ["+".join(names) for names in shown]
        tables.append(frame[frame["modalities"] == "+".join(subset)])
    return pd.concat(tables, ignore_index=True).assign(model="outside")


def labels(corpus: Corpus) -> np.ndarray:  # type: ignore[type-arg]
    return corpus.only("train").utterances.labels[corpus.target().name]


def test_a_recogniser_that_answers_in_words_scores_as_in_the_sweep(
    corpus: Corpus, trained: TrainedRecognizer, answers: pd.DataFrame
) -> None:
    """Every mask of whole modalities follows from one answer for each set of modalities."""
    test = corpus.only("test")
    own = sweep(trained, test, PLANS, training_labels=labels(corpus))
    (outside,) = sweep_answers(answers, test, PLANS, training_labels=labels(corpus))
    compared = 0
    for index, plan in enumerate(PLANS):
        mask = plan.over(Layout.of(test)).present(np.arange(len(test)))
        if np.any([flags.any(axis=1) for flags in mask.values()], axis=0).all():  # the outside cannot answer to nothing
            compared += 1
            np.testing.assert_array_equal(outside.pooled.part("confusion")[index], own.pooled.part("confusion")[index])
    assert compared >= 4
    assert outside.conditions == own.conditions
    drawn = bootstrap([own, outside], 50)
    np.testing.assert_allclose(drawn.models["outside"].points[0, 0, :3], drawn.models["linear"].points[0, 0, :3], atol=0.05)


def test_an_answer_without_a_class_and_nothing_to_answer_are_errors(corpus: Corpus) -> None:
    test = corpus.only("test")
    classes = corpus.target().classes
    table = pd.DataFrame({"id": test.ids, "predicted": ""})
    fixed = [MaskPlan("rmm", 0.0)]
    (swept,) = sweep_answers(table, test, fixed, training_labels=labels(corpus))
    assert swept.model == "answers"
    assert np.trace(swept.pooled.part("confusion")[0]) == 0
    assert swept.pooled.part("log_loss")[0] == pytest.approx(len(test) * np.log(len(classes)), rel=1e-4)


def test_a_certain_wrong_answer_has_a_finite_log_loss(corpus: Corpus) -> None:
    test = corpus.only("test")
    codes, classes = test.utterances.labels[corpus.target().name], corpus.target().classes
    wrong = [classes[(code + 1) % len(classes)] for code in codes]
    (swept,) = sweep_answers(
        pd.DataFrame({"id": test.ids, "predicted": wrong}), test, [MaskPlan("rmm", 0.0)], training_labels=labels(corpus)
    )
    assert 6 < swept.pooled.part("log_loss")[0] / len(test) < 7  # -log of about .001


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[t["modalities"] != "audio"], "no answers for audio"),
        (lambda t: t.drop(index=t.index[t["modalities"] == "audio"][0]), "an answer of 'outside' is missing"),
        (lambda t: pd.concat([t, t.head(1)]), "two answers of 'outside'"),
        (lambda t: t.assign(predicted="bored"), "'bored' is no class"),
    ],
)
def test_what_is_missing_or_wrong_is_named(corpus: Corpus, answers: pd.DataFrame, change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((ConfigError, DataError), match=message):
        sweep_answers(change(answers), corpus.only("test"), PLANS, training_labels=labels(corpus))


def test_frames_and_values_cannot_be_scored(corpus: Corpus, answers: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="'rmfm' removes single frames"):
        sweep_answers(answers, corpus.only("test"), [MaskPlan("rmfm", 0.5)], training_labels=labels(corpus))
    values = generate(StandIn(dialogues=6, turns=3), "regression")
    with pytest.raises(ConfigError, match="is a value"):
        sweep_answers(answers, values, PLANS, training_labels=labels(values))


def test_the_shared_sets_of_modalities() -> None:
    table = pd.DataFrame({"model": ["a", "a", "b", "b"], "modalities": ["text", "audio+text", "text + audio", "audio"]})
    assert answered_subsets(table, NAMES) == (("text", "audio"),)
    assert answered_subsets(table.head(2), NAMES) == (("text",), ("text", "audio"))
    with pytest.raises(ConfigError, match="modality 'smell'"):
        answered_subsets(table.assign(modalities="smell"), NAMES)
    with pytest.raises(ConfigError, match="no common set"):
        answered_subsets(pd.DataFrame({"model": ["a", "b"], "modalities": ["text", "audio"]}), NAMES)


def test_an_outside_system_stands_in_the_tables_and_the_report(corpus: Corpus, answers: pd.DataFrame, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """With answers for single modalities only, ``fixed`` scores everyone on single modalities."""
    single = answers[answers["modalities"].isin(NAMES)]
    table = lacuna.evaluate(["linear"], corpus, ["fixed"], recovery_rates=(), replicates=20, epochs=1, answers=single)
    assert set(table.summary["model"]) == {"linear", "outside"}
    assert set(table.summary["setting"]) == {"text", "audio", "vision"}
    page = table.report(tmp_path / "report.html").read_text("utf-8")
    assert "outside" in page
