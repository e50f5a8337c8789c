"""Movies: steps alone ignore the order of a dialogue, the LSTM reads it up to the step."""

from __future__ import annotations

from dataclasses import replace

import torch

from lacuna.corpus.batch import Batch
from small_systems import everything, small, without


def backwards(batch: Batch) -> Batch:
    """The batch with the turns of each dialogue in the other order."""
    return replace(batch, turn=batch.turn.max() - batch.turn)


def test_steps_alone_ignore_the_order_and_the_lstm_does_not() -> None:
    batch = everything()
    alone, lstm = small("movie_affect", steps="alone"), small("movie_affect", steps="lstm")
    torch.testing.assert_close(alone(backwards(batch)).logits, alone(batch).logits)
    assert (lstm(backwards(batch)).logits - lstm(batch).logits).abs().max() > 1e-3


def test_the_lstm_reads_no_later_step() -> None:
    model, batch = small("movie_affect", steps="lstm"), everything()
    changed = replace(
        batch, features={m: torch.where((batch.turn == 2)[:, None, None], x + 1, x) for m, x in batch.features.items()}
    )
    difference = (model(changed.observe(batch.present)).logits - model(batch).logits).abs().amax(dim=1)
    assert (difference[batch.turn < 2] == 0).all()
    assert (difference[batch.turn >= 2] > 0).all()


def test_a_step_without_any_modality_has_one_answer_alone_and_another_after_each_past() -> None:
    batch = everything()
    nothing = without(batch, *batch.features)
    alone = small("movie_affect", steps="alone")(nothing).logits
    torch.testing.assert_close(alone, alone[:1].expand_as(alone))
    last = batch.turn == batch.turn.max()
    cut = batch.observe({m: p & ~last[:, None] for m, p in batch.present.items()})
    answers = small("movie_affect", steps="lstm")(cut).logits[last]
    assert (answers - answers[:1]).abs().max() > 1e-3
