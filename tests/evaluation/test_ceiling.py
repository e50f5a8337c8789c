"""The best possible answers of a generated corpus, scored beside the models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lacuna.corpus import Corpus
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.evaluation import (
    CEILINGS,
    Bootstrap,
    EvaluationConfig,
    PatternSpec,
    Sweep,
    above_ceiling,
    areas,
    bootstrap,
    has_ceiling,
    sweep,
    sweep_ceilings,
)
from lacuna.missing import MaskPlan
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe, TrainingConfig, fit
from standin import StandIn
from standin import generate as other

CONFIG = EvaluationConfig(
    (PatternSpec("rmm"), PatternSpec("outage"), PatternSpec("fixed")), rates=(0.0, 0.5, 1.0), mask_seeds=(0,)
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(preset("tiny", dialogues=200))


@pytest.fixture(scope="module")
def plans(corpus: Corpus) -> list[MaskPlan]:
    return CONFIG.plans([m.name for m in corpus.modalities])


def labels(corpus: Corpus) -> np.ndarray:  # type: ignore[type-arg]
    return corpus.only("train").utterances.labels["emotion"]


@pytest.fixture(scope="module")
def ceilings(corpus: Corpus, plans: list[MaskPlan]) -> list[Sweep]:
    return sweep_ceilings(corpus.only("test"), plans, training_labels=labels(corpus))


def trained_on(corpus: Corpus, split: str, plans: list[MaskPlan], name: str, epochs: int) -> Sweep:
    statistics = fit_statistics(corpus)
    config = TrainingConfig(epochs=epochs, batch_size=64, learning_rate=5e-3, patience=0)
    learn = corpus.only(split)
    if split == "test":  # what no pipeline can do: the labels that are scored, under another name
        learn = replace(learn, utterances=replace(learn.utterances, split=np.zeros(len(learn), np.int64)))
    settings = {"hidden": 256, "dropout": 0.0, "modality_dropout": 0.0} if split == "test" else {}
    fitted = fit(Recipe(name, corpus.schema(), learn, corpus.only("valid"), statistics, config, settings))
    forgetful = replace(fitted.trained, dialogues=np.zeros(0, np.uint64))  # else the sweep refuses what was trained on
    return sweep(forgetful, corpus.only("test"), plans, training_labels=labels(corpus))


@pytest.fixture(scope="module")
def drawn(corpus: Corpus, plans: list[MaskPlan], ceilings: list[Sweep]) -> Bootstrap:
    models = [trained_on(corpus, "train", plans, name, 20) for name in ("linear", "mlp", "context_gru")]
    return bootstrap([*ceilings, *models], 300)


def test_no_trained_model_beats_the_ceiling(drawn: Bootstrap) -> None:
    assert above_ceiling(drawn).empty


def test_a_model_that_saw_the_test_labels_is_caught(corpus: Corpus, plans: list[MaskPlan], ceilings: list[Sweep]) -> None:
    cheat = trained_on(corpus, "test", plans, "mlp", 120)
    found = above_ceiling(bootstrap([*ceilings, cheat], 300))
    assert "mlp" in set(found["model_a"])


def test_context_is_worth_something_and_shares_are_of_the_ceiling(drawn: Bootstrap) -> None:
    table = areas(drawn)
    own = table[(table["metric"] == "weighted_f1") & (table["measure"] == "share_of_ceiling")]
    shares = own[own["pattern"] == "rmm"].set_index("model")["mean"]
    best, one_turn = CEILINGS
    assert shares[best] == pytest.approx(1)
    assert 0 < shares["linear"] < shares[best]
    assert shares[one_turn] < shares[best]
    assert set(own["pattern"]) == {"rmm", "outage", "fixed"}


def test_everything_missing_leaves_the_baseline(ceilings: list[Sweep]) -> None:
    gone = [i for i, c in enumerate(ceilings[0].conditions) if c.pattern == "outage" and c.rate == 1]
    for one in ceilings:
        np.testing.assert_allclose(one.counts[gone[0], :, 0], one.baseline[:, 0])
        assert (one.pooled.predicted[gone[0]] > 0).sum() == 1  # a single class is answered


def test_other_corpora_have_no_oracle() -> None:
    corpus = other(StandIn(dialogues=10))
    assert not has_ceiling(corpus, "emotion")
    with pytest.raises(ConfigError, match="ceiling of corpus 'standin' is not known"):
        sweep_ceilings(corpus, [MaskPlan("rmm", 0.0)], training_labels=labels(corpus))
