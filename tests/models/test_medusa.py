"""MEDUSA: the fusion reads the states of every depth, and nothing of a missing modality."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lacuna.corpus import Target
from lacuna.models import build
from small_systems import SCHEMA, everything, small, without


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_fusion_reads_the_states_of_every_modality_at_every_depth(depth: int) -> None:
    model = small("medusa")
    depths = model.hidden(everything())  # type: ignore[operator]
    assert [len(states) for states in depths] == [3, 3, 3]
    before = model.fuse(depths)  # type: ignore[operator]
    for place in range(len(SCHEMA.dims)):
        changed = [list(states) for states in depths]
        x, present = changed[depth][place]
        changed[depth][place] = (x + 1.0 * torch.arange(x.shape[-1]), present)
        assert ((model.fuse(changed) - before).abs().amax(dim=1) > 0).all()  # type: ignore[operator]


def test_the_states_of_a_missing_modality_are_read_at_no_depth() -> None:
    model, batch = small("medusa"), without(everything(), "audio")
    depths = model.hidden(batch)  # type: ignore[operator]
    changed = [[(x + 5.0 if place == 1 else x, keys) for place, (x, keys) in enumerate(states)] for states in depths]
    torch.testing.assert_close(model.fuse(changed), model.fuse(depths), rtol=1e-5, atol=1e-6)  # type: ignore[operator]


def test_its_heads_of_attributes_read_the_pooled_vectors_and_train_them() -> None:
    attributes = tuple(Target(name, "regression") for name in ("valence", "arousal", "dominance"))
    model = build("medusa", replace(SCHEMA, auxiliary=attributes), width=16, heads=2)
    prediction = model(everything())
    answers = model.auxiliary_logits(prediction)
    assert [answer.shape for answer in answers] == [(len(everything().label), 1)] * 3
    torch.cat(answers).sum().backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    assert {"encoders", "pools", "fusion", "auxiliary_heads"} <= reached
    assert "head" not in reached
