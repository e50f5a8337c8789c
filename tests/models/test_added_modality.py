"""The gain of a modality is the fall of the loss of the same utterances; only a sure gain names a modality."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lacuna.models.layers.added_modality import LEAST, MOST, AddedModality, clustered_error

NOTHING, FIRST, SECOND, BOTH = (False, False), (True, False), (False, True), (True, True)


def fitted(dialogues: int = 40, turns: int = 5) -> AddedModality:
    """The first modality lowers the loss by 1, the second by 0.3; with the first, the second changes nothing but noise."""
    g = torch.Generator().manual_seed(0)
    hard = 5 * torch.rand(dialogues * turns, generator=g)
    noise = 0.1 * torch.randn(dialogues * turns, 4, generator=g)
    losses = hard[:, None] + noise + torch.tensor([1.0, 0.0, 0.7, 0.0])  # nothing, first, second, both
    added = AddedModality(2)
    added.fit(losses, torch.ones(len(hard), 2, dtype=torch.bool), torch.arange(dialogues).repeat_interleave(turns))
    return added


def test_gains_are_paired_and_only_sure_ones_name_a_modality() -> None:
    added = fitted()
    expected = [[1.0, 0.3], [0.0, 0.0], [0.7, 0.0], [0.0, 0.0]]  # nothing, first, second, both
    assert added.gain.numpy() == pytest.approx(np.array(expected), abs=0.05)
    assert added.error[torch.isfinite(added.error)].max() < 0.03  # how hard an utterance is, cancels
    assert torch.isinf(added.error).tolist() == [[False, False], [True, False], [False, True], [True, True]]
    assert added.best(torch.tensor([NOTHING, FIRST, SECOND, BOTH])).tolist() == [0, -1, 0, -1]


def test_too_few_dialogues_or_too_many_modalities_name_none() -> None:
    assert fitted(LEAST - 1).best(torch.tensor([NOTHING])).tolist() == [-1]
    assert AddedModality(2).best(torch.tensor([NOTHING, BOTH])).tolist() == [-1, -1]
    assert AddedModality(MOST + 1).best(torch.zeros(2, MOST + 1, dtype=torch.bool)).tolist() == [-1, -1]


def test_an_utterance_that_lacks_the_modality_is_not_counted() -> None:
    had = torch.tensor([BOTH] * 30 + [FIRST] * 30)
    losses = torch.zeros(60, 4)
    losses[30:, :2] = 9.0  # where the second modality is not there, nothing can be said about it
    added = AddedModality(2)
    added.fit(losses, had, torch.arange(60))
    assert added.gain[1, 1] == 0
    assert added.gain[0, 0] == 0


def test_equal_utterances_of_a_dialogue_are_one_observation() -> None:
    values = torch.randn(20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    alone = clustered_error(values, torch.arange(20))
    assert torch.allclose(alone, values.std() / 20**0.5)
    assert torch.allclose(clustered_error(values.repeat_interleave(7), torch.arange(20).repeat_interleave(7)), alone)
