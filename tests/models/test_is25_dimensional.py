"""IS25: frames of speech, frozen vectors of the others, and values between the bounds of the target."""

from __future__ import annotations

from dataclasses import replace

import torch

from lacuna.corpus.batch import Batch
from lacuna.models import build
from lacuna.models.layers.concordance import concordance_loss
from small_systems import everything, prepared, small


def swapped(batch: Batch, name: str) -> Batch:
    """The batch with the first two frames of a modality in the other order, where both are present."""
    frames, both = batch.features[name], batch.present[name][:, :2].all(dim=1)
    assert both.any()
    other = frames.clone()
    other[both, 0], other[both, 1] = frames[both, 1], frames[both, 0]
    return replace(batch, features={**batch.features, name: other})


def test_the_frames_of_speech_are_averaged_after_the_network_and_those_of_the_others_before_it() -> None:
    model, batch = small("is25_dimensional"), everything()
    for name, depends_on_frames in (("audio", True), ("text", False)):
        assert torch.allclose(model(batch).logits, model(swapped(batch, name)).logits, atol=1e-5), "the order does not matter"
        present = batch.present[name]
        mean = batch.features[name].sum(dim=1, keepdim=True) / present.sum(dim=1)[:, None, None]
        flat = replace(batch, features={**batch.features, name: mean * present.unsqueeze(2)})
        difference = (model(flat).logits - model(batch).logits).abs().max()
        assert (difference > 1e-3) == depends_on_frames


def test_values_stay_between_the_bounds_of_the_target() -> None:
    model, batch = prepared("is25_dimensional", "regression")
    large = replace(batch, features={m: 1e3 * x for m, x in batch.features.items()})
    values = model(large).logits
    assert model.schema.target.low is not None
    assert model.schema.target.high is not None
    assert (values >= model.schema.target.low).all()
    assert (values <= model.schema.target.high).all()
    assert values.max() - values.min() > 1


def test_without_bounds_values_are_relative_to_the_training_labels() -> None:
    model, batch = prepared("is25_dimensional", "regression")
    schema = replace(model.schema, target=replace(model.schema.target, low=None, high=None))
    free = build("is25_dimensional", schema, width=16)
    free.prepare(lambda: [replace(batch, label=batch.label + 100)])
    values = free.eval()(batch).logits
    assert (values - 100 - batch.label.mean()).abs().max() < 3 * batch.label.std()


def test_the_loss_of_a_regression_is_that_of_the_concordance() -> None:
    model, batch = prepared("is25_dimensional", "regression")
    torch.testing.assert_close(
        model.losses(batch, batch, "task")["task"], concordance_loss(model(batch).logits.squeeze(1), batch.label)
    )
