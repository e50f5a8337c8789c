"""Learned weights of layers that lie side by side in the frames of a modality."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import build, list_models, model_class
from lacuna.models.combined import Combined
from lacuna.models.wrappers.layer_weights import LayerWeighted, n_layers, one_layer
from lacuna.training import Recipe, fit
from lacuna.training.config import TrainingConfig
from lacuna.training.trained import load_recognizer, save_recognizer
from standin import StandIn, generate

EXTRACTOR = 'hub-audio/1 model="a\\u0020net" revision="main" layers=[3,6,-1] rate=10.0 weights:0123'


def layered(corpus: Corpus) -> Corpus:
    """Return a corpus whose modality audio has the frames of three layers; the second one holds the features, others noise."""
    audio, rng = corpus.frames["audio"], np.random.default_rng(0)
    noise = [rng.normal(size=audio.values.shape).astype(np.float32) for _ in range(2)]
    frames = replace(audio, values=np.concatenate([noise[0], audio.values, noise[1]], axis=1))
    modalities = tuple(replace(m, dim=3 * m.dim, extractor=EXTRACTOR) if m.name == "audio" else m for m in corpus.modalities)
    return replace(corpus, modalities=modalities, frames={**corpus.frames, "audio": frames})


CORPUS = layered(generate(StandIn(dialogues=40, turns=5, dims=(("text", 6), ("audio", 5)), signal=(0.2, 0.95), frames=3)))
SCHEMA, STATISTICS = CORPUS.schema(), fit_statistics(CORPUS)


COMBINED = [name for name in list_models() if issubclass(model_class(name), Combined)]


@pytest.fixture
def batch() -> Batch:
    return collate(CORPUS, np.arange(20), SCHEMA, STATISTICS)


def test_the_description_of_the_encoder_says_how_many_layers() -> None:
    assert [n_layers(m) for m in SCHEMA.modalities] == [1, 3]
    assert one_layer(SCHEMA).dims == {"text": 6, "audio": 5}
    for extractor in ("unknown", 'hub-audio/1 layers="mean"', "hub-audio/1 layers=[1,2]"):  # 15 numbers are not two layers
        assert n_layers(replace(SCHEMA.modalities[1], extractor=extractor)) == 1


def test_the_inner_model_reads_the_mean_at_first_and_then_what_the_weights_choose(batch: Batch) -> None:
    model = build("mlp", SCHEMA, layer_weights=True)
    assert isinstance(model, LayerWeighted)
    layers = batch.features["audio"].unflatten(-1, (3, 5))  # (U, T, 15) -> (U, T, 3, 5)
    seen = model.weighted(batch)
    torch.testing.assert_close(seen.features["audio"], layers.mean(dim=-2))
    assert seen.features["text"] is batch.features["text"]
    with torch.no_grad():
        model.layer_scores["audio"][1] = 50.0
    torch.testing.assert_close(model.weighted(batch).features["audio"], layers[..., 1, :])


@pytest.mark.parametrize("name", [name for name in list_models() if not model_class(name).recovers and name not in COMBINED])
@pytest.mark.parametrize("settings", [{}, {"window": 1, "ensemble": 2}])
def test_every_model_that_does_not_recover_can_learn_them(name: str, settings: dict[str, int], batch: Batch) -> None:
    model = build(name, SCHEMA, layer_weights=True, **settings)
    model.prepare(lambda: [batch])
    assert model(batch).logits.shape[0] == len(batch)
    reaches = {stage.parameters for stage in model.stages}
    assert all(not names or any("layer_scores".startswith(n) or n.endswith("layer_scores") for n in names) for names in reaches)


def test_training_prefers_the_layer_with_the_signal(tmp_path: Path) -> None:
    recipe = Recipe.of(CORPUS, "mlp", TrainingConfig(epochs=10, learning_rate=0.02, pattern="rmm"), {"layer_weights": True})
    model = load_recognizer(save_recognizer(fit(recipe).trained, tmp_path)).model
    assert isinstance(model, LayerWeighted)
    weights = model.layer_weights["audio"]
    assert weights.sum().item() == pytest.approx(1)
    assert weights[1] > 0.4


@pytest.mark.parametrize(
    ("name", "schema", "reason"),
    [("ae", SCHEMA, "it recovers"), ("mlp", replace(SCHEMA, modalities=SCHEMA.modalities[:1]), "no modality")],
)
def test_models_and_corpora_that_it_does_not_fit(name: str, schema: Schema, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"layer_weights cannot be used, because {reason}"):
        build(name, schema, layer_weights=True)


@pytest.mark.parametrize("name", COMBINED)
def test_combined_models_leave_it_to_their_members(name: str, batch: Batch) -> None:
    with pytest.raises(ConfigError, match="give it to the members"):
        build(name, SCHEMA, layer_weights=True)
    member = {"model": "mlp", "settings": {"layer_weights": True}}
    assert build("combined", SCHEMA, members=[member, member])(batch).logits.shape[0] == len(batch)
