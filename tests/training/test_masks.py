from __future__ import annotations

import numpy as np
import torch

from lacuna.corpus import Corpus
from lacuna.missing import Layout
from lacuna.training.masks import TrainingMasks, selection_masks

RATES = (0.0, 0.3, 0.6)


def test_masks_are_a_function_of_seed_and_epoch_and_not_of_the_rows_order(corpus: Corpus) -> None:
    layout = Layout.of(corpus.only("train"))
    rows = np.array([5, 1, 30, 7])

    def read(seed: int, epoch: int, rows: np.ndarray) -> torch.Tensor:
        masks = TrainingMasks(layout, "rmm", (0.5,), seed, epoch)
        return torch.cat(list(masks.present(0, rows).values()), dim=1)

    assert torch.equal(read(0, 0, rows), read(0, 0, rows))
    assert torch.equal(read(0, 0, rows), read(0, 0, rows[::-1].copy()).flip(0))
    everything = np.arange(len(layout))
    assert not torch.equal(read(0, 0, everything), read(0, 1, everything))
    assert not torch.equal(read(0, 0, everything), read(1, 0, everything))


def test_batches_draw_all_rates(corpus: Corpus) -> None:
    masks = TrainingMasks(Layout.of(corpus.only("train")), "rmm", RATES, 0, 0)
    drawn = [masks.rate(batch) for batch in range(300)]
    assert drawn == [masks.rate(batch) for batch in range(300)]
    assert all(70 < drawn.count(rate) < 130 for rate in RATES)
    assert drawn != [TrainingMasks(masks.layout, "rmm", RATES, 0, 1).rate(batch) for batch in range(300)]


def test_selection_uses_every_rate_with_every_seed(corpus: Corpus) -> None:
    masks = selection_masks(Layout.of(corpus.only("valid")), "rmm", RATES, (0, 1))
    assert [m.plan.rate for m in masks] == [0.0, 0.0, 0.3, 0.3, 0.6, 0.6]
    assert masks[2].plan.seed != masks[3].plan.seed
