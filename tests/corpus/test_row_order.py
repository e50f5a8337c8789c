"""The order of the rows of a source decides batches: it is another corpus to training, and the doctor says so."""

from __future__ import annotations

import numpy as np

from lacuna.corpus.advice import summary_of
from lacuna.training import Recipe, run_folder
from standin import StandIn, generate


def test_another_order_of_rows_is_another_run_and_is_named(tmp_path) -> None:
    corpus = generate(StandIn(dialogues=12, turns=3))
    dialogues = np.unique(corpus.utterances.dialogue)
    shuffled = corpus.take(np.concatenate([np.flatnonzero(corpus.utterances.dialogue == d) for d in dialogues[::-1]]))
    assert "order" not in summary_of(corpus)
    assert "another order of rows gives other batches" in summary_of(shuffled)["order"]
    assert run_folder(tmp_path, Recipe.of(corpus, "mlp")) != run_folder(tmp_path, Recipe.of(shuffled, "mlp"))
