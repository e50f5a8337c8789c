"""The sums over dialogues equal the protocol, on all dialogues and on resampled ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lacuna.metrics.protocols import score_tables
from lacuna.metrics.protocols.dynamics_counts import METRICS, DynamicsCounts


@pytest.mark.parametrize("seed", range(4))
def test_the_sums_equal_the_protocol_on_a_resample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 7, 12)
    names = np.array(["joy", "fear", "calm", ""], dtype=object)
    truth = [list(names[rng.integers(0, 3, n)]) for n in lengths]
    predicted = [list(names[rng.integers(0, 4, n)]) for n in lengths]
    weights = rng.multinomial(12, np.full(12, 1 / 12)).astype(np.float64)
    rows = [
        (f"{d}.{copy}.{t}", f"{d}.{copy}", t, a, b)
        for d, (own, answer) in enumerate(zip(truth, predicted, strict=True))
        for copy in range(int(weights[d]))
        for t, (a, b) in enumerate(zip(own, answer, strict=True))
    ]
    table = pd.DataFrame(rows, columns=["id", "dialogue", "turn", "label", "predicted"])
    scores = score_tables("dynamics", table[["id", "predicted"]], table.drop(columns="predicted")).set_index("metric")["value"]
    got = DynamicsCounts.of(truth, predicted).measures(weights[None])[0]
    np.testing.assert_allclose(got, scores[list(METRICS)].to_numpy(), atol=1e-12)


def test_nothing_changes() -> None:
    values = DynamicsCounts.of([["joy", "joy"], ["fear"]], [["joy", "joy"], ["joy"]]).measures(np.ones((1, 2)))[0]
    np.testing.assert_allclose(values, [np.nan, 2 / 3, 0.5, np.nan])
