from dataclasses import replace

import numpy as np
import pytest

from lacuna.corpus import Channel
from lacuna.corpus.statistics import Statistics, fit_statistics
from lacuna.errors import DataError


def test_train_only_and_observed_only(make):
    r = np.random.default_rng(0)
    frames = r.normal(1e4, 2, size=(8, 3, 2)).astype(np.float32)
    observed = r.random((8, 3)) < 0.7
    corpus = make.corpus(channels={"text": Channel(frames, observed=list(observed))})
    for block in (1, 3, 100):
        statistics = fit_statistics(corpus, block)
        seen = frames[:4][observed[:4]].astype(np.float64)
        np.testing.assert_allclose(statistics.mean["text"], seen.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(statistics.scale["text"], seen.std(axis=0), rtol=1e-3)
    frames[4:] = 7  # other splits do not matter
    again = fit_statistics(make.corpus(channels={"text": Channel(frames, observed=list(observed))}))
    np.testing.assert_array_equal(again.mean["text"], statistics.mean["text"])


def test_constant_columns_have_scale_one(make):
    frames = np.full((8, 2), 1e6, np.float32)
    frames[:, 1] = np.arange(8)
    statistics = fit_statistics(make.corpus(channels={"text": Channel(frames)}))
    assert statistics.scale["text"][0] == 1
    assert statistics.scale["text"][1] == pytest.approx(np.arange(4).std())


def test_survives_its_tensors(corpus):
    statistics = fit_statistics(corpus)
    again = Statistics.from_tensors(statistics.to_tensors())
    assert {m: v.tolist() for m, v in again.scale.items()} == {m: v.tolist() for m, v in statistics.scale.items()}


def test_what_cannot_be_fitted(make, corpus):
    with pytest.raises(DataError, match="no training split"):
        fit_statistics(corpus.only("test"))
    never = make.corpus(channels={"text": Channel([None] * 4 + [np.ones(2)] * 4)})
    with pytest.raises(DataError, match="never observed in training"):
        fit_statistics(never)
    assert replace(never, name="x").name == "x"
