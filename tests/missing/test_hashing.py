"""The uniform numbers under the masks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.missing import hashing
from lacuna.missing.hashing import BLOCK, below, bits, derive_seed, stream_of, uniform

SEQUENTIAL = np.arange(4000, dtype=np.uint64)  # the least random keys there are


def frames(stream: int, keys: np.ndarray = SEQUENTIAL, length: int = 25) -> np.ndarray:
    """(K, length) -1 or +1, by the uniform number of each frame."""
    flat = below(bits(keys, stream), 0.5, np.full(len(keys), length))
    return flat.reshape(len(keys), length) * 2.0 - 1


def test_frames_of_other_seeds_modalities_and_purposes_are_uncorrelated():
    names = [(0, "a"), (1, "a"), (2, "a"), (2**63, "a"), (0, "b"), (0, "a", "audio"), (0, "a", "text")]
    drawn = [frames(stream_of(*name)) for name in names]
    for one, two in itertools.combinations(drawn, 2):
        assert abs((one * two).mean()) < 5 / np.sqrt(one.size)
        assert abs((one[1:] * two[:-1]).mean()) < 5 / np.sqrt(one.size)


def test_neighbouring_frames_and_utterances_are_uncorrelated():
    x = frames(stream_of(0, "a"))
    assert abs(x.mean()) < 5 / np.sqrt(x.size)
    for lag in range(1, 12):
        assert abs((x[:, lag:] * x[:, :-lag]).mean()) < 5 / np.sqrt(x[:, lag:].size)
        assert abs((x[lag:] * x[:-lag]).mean()) < 5 / np.sqrt(x[lag:].size)
    assert x.mean(axis=1).std() == pytest.approx(1 / 5, rel=0.08)  # utterances vary as binomial counts do, not more
    assert x.mean(axis=0).std() < 2 / np.sqrt(len(x))


@pytest.mark.parametrize("cell", range(0, 64, 8))
def test_the_bits_of_sequential_keys_are_uniform(cell):
    counts = np.bincount(
        (bits(np.arange(65_536, dtype=np.uint64), stream_of(7)) >> np.uint64(cell)).astype(np.uint8), minlength=256
    )
    assert ((counts - 256) ** 2 / 256).sum() < 255 + 5 * np.sqrt(2 * 255)


def test_uniform_numbers_are_uniform_and_below_one():
    u = np.sort(uniform(np.arange(20_000, dtype=np.uint64), stream_of(3)))
    assert u[0] >= 0
    assert u[-1] < 1
    assert np.abs(u - np.linspace(0, 1, len(u))).max() < 2 / np.sqrt(len(u))  # Kolmogorov and Smirnov


@given(count=st.lists(st.integers(0, 90), max_size=30), p=st.floats(0, 1), q=st.floats(0, 1))
def test_below_is_exact_at_the_ends_and_monotone(count, p, q):
    n = np.array(count, np.int64)
    keys = bits(np.arange(len(n), dtype=np.uint64), 5)
    assert not below(keys, 0.0, n).any()
    assert below(keys, 1.0, n).all()
    assert below(keys, np.ones(len(n)), n).all()
    assert not below(keys, np.zeros(len(n)), n).any()
    low, high = below(keys, min(p, q), n), below(keys, np.full(len(n), max(p, q)), n)
    assert not (low & ~high).any()


def test_the_highest_number_of_all_is_below_one_and_nothing_less(monkeypatch):
    monkeypatch.setattr(hashing, "_mix32", lambda x, spare: x.fill(2**32 - 1))
    keys, n = np.zeros(2, np.uint64), np.array([2, 1])
    assert below(keys, 1.0, n).all()
    assert below(keys, np.array([1.0, 1 - 1e-15]), n).tolist() == [True, True, False]


def test_blocks_do_not_show():
    count = np.array([3, 0, BLOCK - 1, 5, 2 * BLOCK, 0, 1, 7])
    keys = bits(np.arange(len(count), dtype=np.uint64), 9)
    p = np.linspace(0.1, 0.9, len(count))
    whole = np.split(below(keys, p, count), np.cumsum(count)[:-1])
    for row, piece in enumerate(whole):
        one = slice(row, row + 1)
        assert np.array_equal(piece, below(keys[one], p[one], count[one]))
    grids = below(keys, p, count, grid=count)
    assert np.array_equal(np.concatenate(whole), grids)


def test_a_probability_is_met():
    keys = bits(np.arange(1000, dtype=np.uint64), 1)
    for p in (1e-3, 0.25, 0.999):
        assert below(keys, p, np.full(1000, 200)).mean() == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / 200_000))


def test_the_bits_are_the_published_ones():
    """splitmix64 and lowbias32 by the book, in Python integers."""

    def mix64(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    def mix32(x: int) -> int:
        x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
        x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
        return x ^ (x >> 16)

    stream, keys = stream_of(4, "x"), [0, 1, 2**64 - 1]
    expected = [mix64((mix64(k ^ stream) + stream) % 2**64) for k in keys]
    hashed = bits(np.array(keys, np.uint64), stream)
    assert hashed.tolist() == expected
    found = below(hashed, 0.4, np.array([3, 4, 5]))
    wanted = [
        mix32(mix32((t * 0x9E3779B9 + k) % 2**32) ^ (k >> 32)) < round(0.4 * 2**32)
        for k, n in zip(expected, (3, 4, 5), strict=True)
        for t in range(n)
    ]
    assert found.tolist() == wanted


def test_derived_seeds_are_seeds_and_differ():
    derived = {derive_seed(s, "train", epoch) for s in (0, 1, 2**63) for epoch in range(50)}
    assert len(derived) == 150
    assert all(0 <= s < 2**63 for s in derived)
    assert derive_seed(3, "train", 1) == derive_seed(3, "train", "1")
