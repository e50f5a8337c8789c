"""The dialogue-window view: neighbours as further frames, taken after the mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import build
from lacuna.models.wrappers.window import neighbours, windowed
from standin import StandIn, generate

CORPUS = generate(StandIn(dialogues=6, turns=5, dims=(("text", 6), ("audio", 5)), signal=(0.9, 0.6), frames=3, absent=0.2))
SCHEMA, STATISTICS = CORPUS.schema(), fit_statistics(CORPUS)


@pytest.fixture
def batch() -> Batch:
    return collate(CORPUS, np.arange(len(CORPUS)), SCHEMA, STATISTICS)


def test_neighbours_are_the_turns_around_in_whatever_order_the_batch_is(batch: Batch) -> None:
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))
    mixed = batch.take(order)
    rows, there = neighbours(mixed, 2)
    offsets = torch.tensor([-2, -1, 1, 2])
    for u in range(len(mixed)):
        for slot, offset in enumerate(offsets.tolist()):
            turn = int(mixed.turn[u]) + offset
            assert bool(there[u, slot]) == (0 <= turn < 5)
            if there[u, slot]:
                other = rows[u, slot]
                assert mixed.turn[other] == turn
                assert mixed.dialogue[other] == mixed.dialogue[u]


def test_neighbours_come_first_as_means_of_what_was_observed(batch: Batch) -> None:
    generator = torch.Generator().manual_seed(0)
    seen = batch.observe({m: torch.rand(p.shape, generator=generator) > 0.5 for m, p in batch.present.items()})
    wide = windowed(seen, 1)
    for m, own in seen.features.items():
        assert torch.equal(wide.features[m][:, 2:], own)
        assert torch.equal(wide.present[m][:, 2:], seen.present[m])
        mean = own[0].sum(0) / seen.present[m][0].sum().clamp_min(1)
        torch.testing.assert_close(wide.features[m][1, 0], mean)  # the turn before the second
        assert not wide.present[m][0, 0]  # nothing before the first
        assert (wide.features[m][~wide.present[m]] == 0).all()


def test_a_turn_that_is_missing_is_missing_in_every_window(batch: Batch) -> None:
    """Masks come first: the neighbours do not know more of a turn than the turn itself."""
    gone = {m: p.clone() for m, p in batch.present.items()}
    for p in gone.values():
        p[2] = False
    wide = windowed(batch.observe(gone), 2)
    for present in wide.present.values():
        assert not present[1, 2]  # the turn after turn 1
        assert not present[3, 1]  # the turn before turn 3


def test_a_model_of_single_utterances_sees_context_through_a_window(batch: Batch) -> None:
    model = build("mlp", SCHEMA, window=1).eval()
    assert model.needs_dialogue
    other = batch.observe({m: torch.arange(len(batch)).unsqueeze(1) != 1 for m in batch.present})
    before, after = model(batch).logits, model(other).logits
    assert not torch.allclose(before[2], after[2])  # a neighbour of the turn that went
    assert torch.allclose(before[4], after[4])  # two turns away


def test_recovered_frames_are_those_of_the_utterance_itself(batch: Batch) -> None:
    recovered = build("ae", SCHEMA, window=2).eval()(batch).recovered
    for m, own in batch.features.items():
        assert torch.equal(recovered[m][batch.present[m]], own[batch.present[m]])
        assert recovered[m].shape == own.shape
