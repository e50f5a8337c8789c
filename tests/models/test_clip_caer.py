"""CLIP-CAER: classes are prompts that are compared with the fused visual vector by cosine."""

from __future__ import annotations

import pytest
import torch

from lacuna.models.layers.class_prompts import ClassPrompts
from small_systems import SCHEMA, everything, prepared, small, without


@pytest.fixture
def prompts() -> ClassPrompts:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return ClassPrompts(SCHEMA, 8, temperature=0.1)


def visual() -> torch.Tensor:
    return torch.randn(6, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("factor", [1e-3, 0.5, 70.0])
def test_the_length_of_a_visual_vector_or_of_a_prompt_does_not_matter(prompts: ClassPrompts, factor: float) -> None:
    before = prompts(visual())
    torch.testing.assert_close(prompts(factor * visual()), before)
    with torch.no_grad():
        prompts.prompts *= factor
    torch.testing.assert_close(prompts(visual()), before)
    assert (prompts(-visual()) + before).abs().max() < 1e-5, "an opposite vector has opposite logits"


def test_a_vector_equal_to_a_prompt_has_the_largest_possible_logit_for_its_class(prompts: ClassPrompts) -> None:
    logits = prompts(prompts.prompts)
    torch.testing.assert_close(logits.diagonal(), torch.full((len(logits),), 10.0))
    assert (logits <= 10.0 + 1e-4).all()


def test_the_answer_of_the_model_is_that_of_its_prompts_for_any_length_of_the_vector() -> None:
    model, batch = small("clip_caer"), everything()
    for observed in (batch, without(batch, "text"), without(batch, *batch.features)):
        torch.testing.assert_close(model.prompts(5 * model.encode(observed)), model(observed).logits)


def test_each_stream_reads_its_own_frames_only() -> None:
    model, batch = small("clip_caer"), everything()
    with torch.no_grad():
        model.fuse.weight[:, 16:32] = 0  # nothing of the second stream passes
        model.fuse.weight[:, 48 + 1] = 0
    torch.testing.assert_close(model.encode(without(batch, "audio")), model.encode(batch))
    assert (model.encode(without(batch, "text")) - model.encode(batch)).abs().max() > 1e-3


def test_values_of_a_regression_are_symmetric_about_the_mean_label_and_bounded() -> None:
    model, batch = prepared("clip_caer", "regression")
    label, vector = batch.label[:20], model.encode(batch)
    above = model.prompts(vector) - model.prompts.centre
    torch.testing.assert_close(model.prompts(-vector) - model.prompts.centre, -above)
    assert above.abs().max() <= 2 * model.prompts.scale
    assert label.min() < model.prompts.centre < label.max()
