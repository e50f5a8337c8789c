"""The front door: what ``import lacuna`` offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lacuna
from lacuna.corpus import Corpus, save_corpus
from lacuna.errors import ConfigError, DataError
from lacuna.reporting import ModelFacts
from standin import StandIn, generate


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return lacuna.load_corpus("duet", preset="tiny", options={"dialogues": 16})


@pytest.fixture(scope="module")
def ridge(corpus: Corpus) -> lacuna.Model:
    return lacuna.create_model("ridge").fit(corpus, epochs=2)


def test_importing_lacuna_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'pandas', 'plotly', 'optuna', 'kedro', 'diffusers', 'torch_geometric'}"
    code = f"import lacuna, sys; sys.exit(bool({heavy} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_api_needs_neither_kedro_nor_optuna() -> None:
    code = "import lacuna.api, sys; sys.exit(bool({'kedro', 'optuna', 'diffusers', 'torch_geometric'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_name_is_there() -> None:
    assert {name for name in lacuna.__all__ if not hasattr(lacuna, name)} == set()
    assert set(lacuna.__all__) <= set(dir(lacuna))
    with pytest.raises(AttributeError, match="fitt"):
        lacuna.fitt  # noqa: B018


def test_a_whole_comparison_reads_like_the_example(corpus: Corpus, ridge: lacuna.Model, tmp_path: Path) -> None:
    table = lacuna.evaluate([ridge, "linear"], corpus, patterns=["rmm", "outage"], rates=[0.0, 0.4], epochs=1)
    assert {"ridge", "linear"} <= set(table.scores["model"])
    assert list(table.table().columns) == [0.0, 0.4]
    assert "baseline" in repr(table)
    assert "<table" in table._repr_html_()
    page = table.report(tmp_path / "report.html")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert table.report(tmp_path / "folder") == tmp_path / "folder" / "report.html"
    assert (tmp_path / "folder" / "results.md").is_file()
    assert len(table.plot().data) > 0


def test_a_score_is_a_number_with_its_interval_and_baseline(corpus: Corpus, ridge: lacuna.Model) -> None:
    score = ridge.score(corpus, pattern="outage", rate=0.3)
    assert float(score) == score.value == score.metrics["weighted_f1"]
    assert 0 <= score.value <= 1
    assert f"n = {score.n}" in str(score)
    assert "baseline" in str(score)


def test_the_test_split_never_reaches_training(corpus: Corpus) -> None:
    """Other test labels, same weights."""
    codes = corpus.utterances.labels["emotion"].copy()
    codes[corpus.utterances.split == 2] = 0
    from dataclasses import replace

    other = replace(corpus, utterances=replace(corpus.utterances, labels={**corpus.utterances.labels, "emotion": codes}))
    first, second = (lacuna.create_model("linear").fit(one, epochs=1).trained for one in (corpus, other))
    for name, value in first.model.state_dict().items():
        assert (value == second.model.state_dict()[name]).all()


def test_a_large_corpus_gets_the_defaults_of_a_model_for_it(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    from lacuna.models.base import Large, model_class

    n_train = len(corpus.only("train"))
    for utterances, expected in ((n_train, 7), (n_train + 1, model_class("mlp").Config().hidden)):
        monkeypatch.setattr(model_class("mlp"), "large", Large(utterances, {"hidden": 7}, {"learning_rate": 0.5}))
        trained = lacuna.create_model("mlp").fit(corpus, epochs=1).trained
        assert trained.model.config.hidden == expected
        assert (trained.selection.training["learning_rate"] == 0.5) == (expected == 7)
    assert lacuna.create_model("mlp", hidden=9).fit(corpus, epochs=1).trained.model.config.hidden == 9


def test_the_pipelines_give_a_large_corpus_the_same_defaults(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lacuna.corpus.statistics import fit_statistics
    from lacuna.models.base import Large, model_class
    from lacuna.pipelines.parameters import Models, Train
    from lacuna.pipelines.train.nodes import train_recognizers
    from lacuna.pipelines.tune.parameters import Tune, study_config

    n_train = len(corpus.only("train"))
    monkeypatch.setattr(model_class("mlp"), "large", Large(n_train, {"hidden": 17}, {"ema": 0.5}))
    train = Train(models=["mlp"], seeds=[0], checkpoints=tmp_path, workers=1, training={"epochs": 1, "device": "cpu"})
    statistics = fit_statistics(corpus.only("train")).to_tensors()
    (trained,), _ = train_recognizers(corpus.only("train", "valid"), statistics, train, Models())
    assert (trained.model.config.hidden, trained.selection.training["ema"]) == (17, 0.5)
    for utterances, hidden in ((n_train, 17), (n_train - 1, model_class("mlp").Config().hidden)):
        study = study_config(Tune(variant="mlp", rates=[0.0, 0.5], folder=tmp_path), train, Models(), utterances)
        assert study.start["hidden"] == hidden
        assert study.training.get("ema", 0.0) == (0.5 if hidden == 17 else 0.0)


def test_recovered_values_keep_what_was_observed(corpus: Corpus, ridge: lacuna.Model) -> None:
    test = corpus.only("test")
    done = ridge.recover(corpus, pattern="rmm", rate=0.5)
    assert done.ids == test.ids
    assert "ridge" in done.provenance.notes[-1]
    for name, frames in done.frames.items():
        assert (frames.count == test.frames[name].count).all()
        same = [np.allclose(frames.of(row), test.frames[name].of(row), atol=1e-4) for row in range(len(test))]
        assert any(same)  # observed
        assert name == "text" or not all(same)  # removed and filled in
    with pytest.raises(ConfigError, match="does not recover"):
        lacuna.create_model("mlp").fit(corpus, epochs=1).recover(corpus)


def test_a_saved_model_predicts_the_same(corpus: Corpus, ridge: lacuna.Model, tmp_path: Path) -> None:
    again = lacuna.load_model(ridge.save(tmp_path / "model"))
    expected, found = ridge.predict(corpus), again.predict(corpus)
    assert expected.equals(found)
    assert set(expected.columns) >= {"id", "predicted", "confidence", "absent"}
    folder = save_corpus(corpus, tmp_path / "corpus")
    assert again.predict(folder)["id"].tolist() != []


def test_what_has_no_modality_gets_no_class(corpus: Corpus, ridge: lacuna.Model) -> None:
    from dataclasses import replace

    empty = {name: replace(frames, count=np.zeros_like(frames.count)) for name, frames in corpus.frames.items()}
    nothing = replace(corpus, frames=empty, digest=None)
    table = ridge.predict(nothing)
    assert set(table["predicted"]) == {""}
    assert table["nothing_observed"].all()
    assert set(table["recovered"]) == {""}
    assert set(ridge.predict(nothing, anyway=True)["predicted"]) <= set(corpus.targets[0].classes)
    assert set(table["absent"]) == {"+".join(m.name for m in corpus.modalities)}


def test_predictions_tell_what_was_recovered(corpus: Corpus, ridge: lacuna.Model) -> None:
    from dataclasses import replace

    audio = corpus.frames["audio"]
    frames = {**corpus.frames, "audio": replace(audio, count=np.zeros_like(audio.count))}
    voiceless = replace(corpus, frames=frames, digest=None)
    table = ridge.predict(voiceless)
    assert set(table["absent"]) == {"audio"}
    assert set(table["recovered"]) == {"audio"}  # ridge fills in
    assert not table["calibrated"].any()
    assert not table["nothing_observed"].any()
    assert set(lacuna.create_model("mlp").fit(corpus, epochs=1).predict(voiceless)["recovered"]) == {""}


def test_predictions_have_sets_and_say_which_are_not_sure_enough() -> None:
    corpus = generate(StandIn(dialogues=100, turns=4, signal=(0.3, 0.2, 0.2)))
    model = lacuna.create_model("logreg", calibrate=True).fit(corpus)
    table, wide = model.predict(corpus, error=0.3), model.predict(corpus, error=0.1)
    assert table["calibrated"].all()
    assert set(table["sureness"]) <= {"sure enough", "not sure enough"}
    sets = table["prediction_set"].str.split("+")
    assert (sets.str[0] == table["predicted"]).all()
    assert (sets.str.len() <= wide["prediction_set"].str.split("+").str.len()).all()
    sure = table["sureness"] == "sure enough"
    assert table["confidence"][sure].min() > table["confidence"][~sure].max()
    with pytest.raises(ConfigError, match=r"accepted share of errors must be from 0\.01"):
        model.predict(corpus, error=0)


def test_the_absent_modality_that_would_help_most_is_named() -> None:
    corpus = generate(StandIn(dialogues=100, turns=4, signal=(2.0, 0.8, 0.0)))
    model = lacuna.create_model("logreg").fit(corpus)
    text, audio, vision = model.trained.schema.dims
    assert set(model.predict(corpus, drop=[text, audio])["would_help"]) == {text}
    assert set(model.predict(corpus, drop=[audio])["would_help"]) <= {audio, ""}
    assert set(model.predict(corpus)["would_help"]) == {""}
    gains = ModelFacts.of([model.trained]).gains
    assert list(gains["nothing"]) == [text, audio, vision]
    assert list(gains[f"{text}+{audio}"]) == [vision]
    assert gains["nothing"][text][0] > gains["nothing"][audio][0] > gains["nothing"][vision][0]


def test_values_have_intervals_around_them() -> None:
    corpus = generate(StandIn(dialogues=60, turns=4), "regression")
    table = lacuna.create_model("ridge").fit(corpus, epochs=1).predict(corpus.only("test"))
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()
    assert "prediction_set" not in table


def test_epochs_are_counted_from_1(corpus: Corpus) -> None:
    model = lacuna.create_model("linear").fit(corpus, epochs=2)
    assert model.history["epoch"].tolist() == [1, 2]
    assert "at epoch 0" not in repr(model)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: lacuna.create_model("lineer"), "unknown model 'lineer'"),
        (lambda c: lacuna.create_model("mlp", hiden=3), "hiden"),
        (lambda c: lacuna.create_model("linear").fit(c, epoch=3), "epoch"),
        (lambda c: lacuna.create_model("linear").fit(c, pattern="rmmm"), "rmmm"),
        (lambda c: lacuna.create_model("linear").score(c), "not trained"),
        (lambda c: lacuna.load_corpus("nowhere"), "nowhere"),
        (lambda c: lacuna.load_corpus("duet", preset="huge"), "huge"),
        (lambda c: lacuna.evaluate([], c), "at least one model"),
        (lambda c: lacuna.create_model("linear").fit("folder"), r"found str 'folder'\n  do: corpus = lacuna.load_corpus"),
        (lambda c: lacuna.create_model("linear").score("folder"), "expected a corpus"),
        (lambda c: lacuna.create_model("ridge").recover("folder"), "expected a corpus"),
        (lambda c: lacuna.evaluate("linear", Path("folder")), "expected a corpus"),
        (lambda c: lacuna.load_model("nowhere"), "there is no folder nowhere"),
    ],
)
def test_mistakes_are_refused_with_a_message(corpus: Corpus, call, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        call(corpus)


def test_a_corpus_without_splits_gets_some(corpus: Corpus, tmp_path: Path) -> None:
    from dataclasses import replace

    none = replace(corpus, utterances=replace(corpus.utterances, split=np.full(len(corpus), -1)), digest=None)
    folder = save_corpus(none, tmp_path / "unsplit")
    loaded = lacuna.load_corpus(folder)
    assert {len(loaded.only(split)) > 0 for split in ("train", "valid", "test")} == {True}
    assert "splits made" in loaded.provenance.notes[-1]
