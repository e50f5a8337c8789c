"""Recovered frames for any recogniser: observed frames are unchanged, and nothing depends on other dialogues or on padding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import build, configure, list_models, model_class
from lacuna.models.wrappers.recovered import Recovered
from lacuna.training import Recipe, TrainingConfig, fit, load_recognizer, save_recognizer
from lacuna.training.loader import Loader
from standin import StandIn, generate

THREE = (("text", 6), ("audio", 5), ("vision", 4))
CORPORA = {frames: generate(StandIn(dialogues=6, turns=5, dims=THREE, frames=frames, absent=0.2)) for frames in (1, 5)}
RECOVERING = [name for name in list_models() if model_class(name).recovers]
QUICK = TrainingConfig(epochs=1, batch_size=16, threads=1)


def prepared(frames: int, recoverer: str) -> tuple[Recovered, Batch]:
    """An untrained `evidence` on the features that a prepared model recovers, and all utterances under a mask."""
    corpus = CORPORA[frames]
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    with torch.random.fork_rng(), torch.no_grad():
        torch.random.default_generator.manual_seed(0)
        model = build("evidence", schema, recovered_by={"model": recoverer, "settings": dict(model_class(recoverer).tiny)})
        assert isinstance(model, Recovered)
        model.recoverer.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 7, True))
        model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 7, True))
        for part in model.inner.parameters():
            part.add_(torch.randn_like(part) * 0.1)  # `evidence` starts from zero weights, which any input would pass
    return model.eval(), masked(collate(corpus, np.arange(len(corpus)), schema, statistics))


def masked(batch: Batch) -> Batch:
    """The batch without some whole modalities and without some single frames."""
    generator = torch.Generator().manual_seed(0)
    whole = {m: torch.rand(len(batch), 1, generator=generator) >= 0.4 for m in batch.present}
    return batch.observe({m: whole[m] & (torch.rand(p.shape, generator=generator) >= 0.2) for m, p in batch.present.items()})


@pytest.mark.parametrize("frames", CORPORA)
@pytest.mark.parametrize("recoverer", RECOVERING)
def test_observed_frames_reach_the_recogniser_unchanged_and_missing_modalities_are_filled(recoverer: str, frames: int) -> None:
    model, observed = prepared(frames, recoverer)
    filled = model.filled(observed)
    assert filled.available().all()
    for column, m in enumerate(observed.features):
        length, was = observed.present[m].shape[1], observed.present[m]
        assert torch.equal(filled.features[m][:, :length][was], observed.features[m][was])
        assert (filled.present[m][:, :length] >= was).all()
        assert (filled.features[m][~filled.present[m]] == 0).all()
        missing = ~was.any(dim=1)
        assert (filled.present[m][missing].sum(dim=1) == model.counts[column]).all()


@pytest.mark.parametrize("recoverer", ["ridge", "cider", "gsdnet", "rohydr"])
def test_answers_do_not_depend_on_other_dialogues_or_on_padding(recoverer: str) -> None:
    model, observed = prepared(5, recoverer)
    prediction = model(observed)
    alone = torch.nonzero(observed.dialogue == observed.dialogue[7]).squeeze(1)
    torch.testing.assert_close(model(observed.take(alone)).logits, prediction.logits[alone], rtol=1e-4, atol=1e-5)
    longer = replace(
        observed,
        features={m: torch.nn.functional.pad(x, (0, 0, 0, 9)) for m, x in observed.features.items()},
        present={m: torch.nn.functional.pad(p, (0, 9)) for m, p in observed.present.items()},
    )
    torch.testing.assert_close(model(longer).logits, prediction.logits, rtol=1e-4, atol=1e-5)
    for m, frames in prediction.recovered.items():
        assert frames.shape == observed.features[m].shape


@pytest.mark.parametrize("frames", CORPORA)
def test_where_nothing_is_missing_the_answer_is_that_of_the_recogniser_alone(frames: int) -> None:
    model, observed = prepared(frames, "cider")
    complete = replace(
        observed,
        features={m: torch.ones_like(x) for m, x in observed.features.items()},
        present={m: torch.ones_like(p) for m, p in observed.present.items()},
    )
    assert torch.equal(model(complete).logits, model.inner(complete).logits)
    assert not torch.allclose(model(observed).logits, model.inner(observed).logits)


def test_the_recovering_model_is_trained_as_if_alone_and_then_fixed(tmp_path: Path) -> None:
    corpus = CORPORA[1]
    recipe = Recipe.of(corpus, "mlp", QUICK, {"recovered_by": {"model": "cider", "settings": {"width": 16}}})
    trained = fit(recipe, tmp_path / "run").trained
    assert isinstance(trained.model, Recovered)
    cider, mlp = (fit(Recipe.of(corpus, *how)).trained for how in (("cider", QUICK, {"width": 16}), ("mlp", QUICK)))
    alone = cider.model.state_dict()
    weights = trained.model.recoverer.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in alone.items())
    assert trained.selection.parameters == mlp.selection.parameters + cider.selection.parameters
    again = load_recognizer(save_recognizer(trained, tmp_path / "saved"))
    batch = masked(collate(corpus, np.arange(20), corpus.schema(), trained.statistics))
    assert torch.equal(again.model(batch).logits, trained.model(batch).logits)


def test_identity_holds_the_settings_of_the_recovering_model() -> None:
    corpus = CORPORA[1]
    by: list[Any] = [None, "ridge", {"model": "ridge"}, {"model": "ridge", "settings": {"penalty": 0.5}}]
    by.append({"model": "ridge", "training": {"learning_rate": 0.1}})
    identities = [Recipe.of(corpus, "mlp", QUICK, {"recovered_by": value}).identity() for value in by]
    assert identities[1] == identities[2]
    assert identities[1]["model.recovered_by.settings.penalty"] == 0.3
    assert identities[0]["made.code"] != identities[1]["made.code"]
    assert identities[3] != identities[1]
    assert identities[4] != identities[1]
    (recovery,) = Recipe.of(corpus, "mlp", QUICK, {"recovered_by": by[4]}).members()
    assert recovery.config == replace(QUICK, learning_rate=0.1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("mlp", "'mlp', which does not recover\n  do: use one of ae"),
        ("ridgee", "unknown model 'ridgee'"),
        (3, "must be the name of a model"),
        ({"settings": {}}, "must be the name of a model"),
        ({"model": "ridge", "settings": {"penalti": 1}}, "penalty"),
        ({"model": "ridge", "settings": {"recovered_by": "knn"}}, "recovered_by of its own"),
        ({"model": "ridge", "modalities": ["text"]}, "leave out 'modalities'"),
    ],
)
def test_a_wrong_recovering_model_is_refused(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure("evidence", recovered_by=value)
