"""Emotion dynamics of trained recognisers and outside systems, and the section of the report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lacuna.corpus import Corpus
from lacuna.evaluation import EvaluationConfig, PatternSpec, dynamics_table, predict
from lacuna.evaluation.dynamics import DYNAMICS_COLUMNS
from lacuna.metrics.protocols import score_tables
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe, TrainingConfig, fit
from standin import StandIn
from standin import generate as stand_in

CONFIG = EvaluationConfig((PatternSpec("rmm"),), rates=(0.0,), mask_seeds=(0,), replicates=50)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(preset("tiny", dialogues=80))


def test_the_table_equals_the_protocol(corpus: Corpus) -> None:
    trained = [fit(Recipe.of(corpus, "linear", TrainingConfig(epochs=2, threads=1), seed=seed)).trained for seed in (0, 1)]
    test, u = corpus.only("test"), corpus.only("test").utterances
    truth = pd.DataFrame({"id": test.ids, "dialogue": u.dialogue, "turn": u.turn})
    truth["label"] = [test.target().classes[code] for code in u.labels["emotion"]]
    answers = truth[["id"]].assign(predicted=truth["label"], model="all-knowing", modalities="vision+text+audio")
    table = dynamics_table(trained, test, CONFIG, answers=answers).set_index(["model", "metric"])
    frames = [predict(one, test).to_frame()[["id", "predicted"]].assign(seed=one.seed) for one in trained]
    expected = score_tables("dynamics", pd.concat(frames), truth).groupby("metric")["value"].mean()
    for metric in table.loc["linear"].index:
        assert table.loc[("linear", metric), "mean"] == pytest.approx(expected[metric])
    assert (table.loc["all-knowing", "mean"] == 1).all()
    assert (table["low"] <= table["high"]).all()
    assert table.loc[("oracle", "state_accuracy"), "mean"] > table.loc[("linear", "state_accuracy"), "mean"]
    states = truth["label"].to_numpy()
    same = truth["dialogue"].to_numpy()[1:] == truth["dialogue"].to_numpy()[:-1]
    assert table["changed"].iloc[0] == pytest.approx(np.mean(states[1:][same] != states[:-1][same]))


def test_values_and_single_turns_have_no_dynamics() -> None:
    for corpus in (stand_in(StandIn(dialogues=6), "regression"), stand_in(StandIn(dialogues=10, turns=1))):
        trained = fit(Recipe.of(corpus, "prior", TrainingConfig(epochs=1, threads=1))).trained
        table = dynamics_table([trained], corpus.only("test"), CONFIG)
        assert table.empty
        assert list(table.columns) == DYNAMICS_COLUMNS
