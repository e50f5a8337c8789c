"""The oracle against brute force: every hidden path, every scene, dense covariances."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, DataError
from lacuna.synthetic.duet import Oracle, World, generate, posterior, preset
from lacuna.synthetic.duet.oracle import Belief
from standin import StandIn
from standin import generate as stand_in

Mask = dict[str, np.ndarray]
THREE = preset("tiny", dialogues=8, turns=(3, 3), alternate=0.6)


def random_mask(corpus: Corpus, rate: float, seed: int) -> Mask:
    """Each frame is lost with chance ``rate``, and each modality of an utterance altogether with chance 0.3."""
    r = np.random.default_rng(seed)
    mask = {}
    for name, frames in corpus.frames.items():
        whole = np.repeat(r.random(len(corpus)) >= 0.3, frames.count)
        mask[name] = whole & (r.random(int(frames.count.sum())) >= rate)
    return mask


def dense(world: World, corpus: Corpus, mask: Mask, row: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Log P(observed of a turn | emotion, scene) from dense covariances, (K, G), and the frames observed of it."""
    k, g = len(world.prior), world.settings.scenes
    told = np.zeros((k, g))
    text = corpus.frames["text"]
    here = slice(text.start[row], text.start[row] + text.count[row])
    assert text.tokens is not None
    for token in text.tokens[here][mask["text"][here]]:
        told += np.log(world.lexicon.chance[:, :, token])
    observed, blocks = {}, []
    for name, carrier in world.carriers.items():
        frames = corpus.frames[name]
        here = slice(frames.start[row], frames.start[row] + frames.count[row])
        y = frames.values[here][mask[name][here]].astype(np.float64)
        observed[name] = np.sinh((np.arcsinh(y) - carrier.warp.tilt) / carrier.warp.bend)  # (n, d)
        blocks.append((carrier, len(y)))
    many = sum(n * c.loading.shape[0] for c, n in blocks)
    if many:
        loading = np.concatenate([np.tile(c.loading, (n, 1)) for c, n in blocks])  # (sum n d, q)
        covariance = loading @ loading.T
        low = 0
        for c, n in blocks:
            d = c.loading.shape[0]
            inner = c.shared**2 * np.kron(np.ones((n, n)), np.eye(d)) + c.noise**2 * np.eye(n * d)
            covariance[low : low + n * d, low : low + n * d] += inner
            low += n * d
        x = np.concatenate([v.reshape(-1) for v in observed.values()])  # (n, d) -> (n d,) each
        for e, c in product(range(k), range(g)):
            mean = np.concatenate([np.tile(b.emotion[e] + b.scene[c], n) for b, n in blocks])
            told[e, c] += multivariate_normal.logpdf(x, mean, covariance)
    return told, observed


def brute_force(world: World, corpus: Corpus, mask: Mask, rows: list[int], rho: float) -> np.ndarray:
    """P(emotion | everything observed) of three turns by summing over every path: (3, K)."""
    k = len(world.prior)
    agreement = world.agreement(rho)
    likelihood = []
    for row in rows:
        told, _ = dense(world, corpus, mask, row)
        likelihood.append((np.exp(told - told.max()) * agreement).sum(axis=1))
    speaker = corpus.utterances.speaker[rows]
    side = [0 if s == speaker[0] else 1 for s in speaker]
    total = np.zeros((len(rows), k))
    for start in product(range(k), repeat=2):
        for path in product(range(k), repeat=len(rows)):
            state, chance = list(start), world.prior[start[0]] * world.prior[start[1]]
            for t, new in enumerate(path):
                chance *= world.kernel[state[side[t]], state[1 - side[t]], new] * likelihood[t][new]
                state[side[t]] = new
            for t, new in enumerate(path):
                total[t, new] += chance
    return total / total.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("belief", "ood", "rho"), [("own", False, 0.9), ("own", True, 0.1), ("train", True, 0.9), ("invariant", True, 1 / 3)]
)
def test_it_equals_the_sum_over_every_path(belief: Belief, ood: bool, rho: float) -> None:
    settings = preset("tiny", dialogues=3, turns=(3, 3), alternate=0.6, ood=ood)
    corpus, oracle = generate(settings), Oracle(settings)
    for seed, rate in enumerate((0.0, 0.5)):
        mask = random_mask(corpus, rate, seed)
        answer = oracle.posterior(corpus, mask, belief=belief)
        alone = oracle.posterior(corpus, mask, context=False, belief=belief)
        for first in range(0, len(corpus), 3):
            rows = list(range(first, first + 3))
            np.testing.assert_allclose(answer[rows], brute_force(oracle.world, corpus, mask, rows, rho), atol=1e-10)
        for row in range(len(corpus)):
            told, _ = dense(oracle.world, corpus, mask, row)
            joint = oracle.world.prior * (np.exp(told - told.max()) * oracle.world.agreement(rho)).sum(axis=1)
            np.testing.assert_allclose(alone[row], joint / joint.sum(), atol=1e-10)


def test_both_sides_speak_in_the_dialogues_of_these_tests() -> None:
    speakers = generate(THREE).utterances.speaker.reshape(-1, 3)  # (D * 3,) -> (D, 3)
    patterns = {tuple(row == row[0]) for row in speakers}
    assert len(patterns) >= 3  # the floor passes, stays, and comes back


def test_invariant_is_not_looking_at_topic_and_camera_code() -> None:
    corpus, oracle = generate(THREE), Oracle(THREE)
    evidence, _ = oracle.read(corpus).evidence(oracle.world, None)
    blind = np.exp(evidence.emotion - evidence.emotion.max(axis=1, keepdims=True)) * oracle.world.prior
    np.testing.assert_allclose(
        oracle.posterior(corpus, context=False, belief="invariant"), blind / blind.sum(axis=1, keepdims=True), atol=1e-12
    )


def test_without_anything_observed_the_answer_is_the_prior() -> None:
    corpus, oracle = generate(preset("demo", dialogues=20)), Oracle(preset("demo", dialogues=20))
    nothing = {m: np.zeros(len(f.values), bool) for m, f in corpus.frames.items()}
    for context in (True, False):
        answer = oracle.posterior(corpus, nothing, context=context)
        np.testing.assert_allclose(answer, np.tile(oracle.world.prior, (len(corpus), 1)), atol=1e-12)


def test_views_arrays_readings_and_lists_answer_alike() -> None:
    settings = preset("tiny", dialogues=40)
    corpus, oracle = generate(settings), Oracle(settings)
    mask = random_mask(corpus, 0.4, 7)
    whole = oracle.posterior(corpus, mask)
    assert np.array_equal(whole, posterior(corpus, mask))
    assert np.array_equal(whole, oracle.posterior(oracle.read(corpus), mask))
    split = {m: np.split(flags, np.cumsum(corpus.frames[m].count)[:-1]) for m, flags in mask.items()}
    assert np.array_equal(whole, oracle.posterior(corpus, split))
    rows = np.flatnonzero(corpus.utterances.split == 2)
    part = {m: np.concatenate([flags[r] for r in rows]) for m, flags in split.items()}
    np.testing.assert_allclose(oracle.posterior(corpus.only("test"), part), whole[rows], atol=1e-13)
    padded, frames, tokens = {}, {}, np.zeros(0, np.int64)
    for name, f in corpus.frames.items():
        real = np.arange(f.count.max()) < f.count[:, None]  # (N, T)
        padded[name] = np.zeros(real.shape, bool)
        padded[name][real] = mask[name]
        if name == "text":
            assert f.tokens is not None
            tokens = np.zeros(real.shape, np.int64)
            tokens[real] = f.tokens
        else:
            frames[name] = np.zeros((*real.shape, f.values.shape[1]), np.float32)
            frames[name][real] = f.values
    u = corpus.utterances
    for context in (True, False):
        there = oracle.posterior_arrays(u.dialogue, u.turn, u.speaker, frames, tokens, padded, context=context)
        np.testing.assert_allclose(there, oracle.posterior(corpus, mask, context=context), atol=1e-13)
    silent = oracle.posterior_arrays(u.dialogue, u.turn, u.speaker, {"audio": frames["audio"]}, None, padded)
    lost = {m: mask[m] if m == "audio" else np.zeros_like(mask[m]) for m in mask}
    np.testing.assert_allclose(silent, oracle.posterior(corpus, lost), atol=1e-13)


def test_a_longer_block_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = preset("tiny", dialogues=70)
    corpus, oracle = generate(settings), Oracle(settings)
    whole = oracle.posterior(corpus)
    monkeypatch.setattr("lacuna.synthetic.duet.chain._BLOCK", 3)
    monkeypatch.setattr("lacuna.synthetic.duet.reading._BLOCK", 50)
    np.testing.assert_allclose(oracle.posterior(corpus), whole, atol=1e-13)


def test_what_cannot_be_answered_is_refused() -> None:
    corpus, oracle = generate(THREE), Oracle(THREE)
    with pytest.raises(DataError, match="whole dialogues"):
        oracle.posterior(corpus.take(np.arange(1, len(corpus))))
    assert oracle.posterior(corpus.take(np.arange(1, len(corpus))), context=False).shape == (len(corpus) - 1, 6)
    with pytest.raises(DataError, match="does not fit"):
        oracle.posterior(corpus, {"text": np.ones(3, bool)})
    with pytest.raises(DataError, match="does not fit"):
        oracle.posterior(corpus, {"text": np.ones(len(corpus.frames["text"].values))})
    with pytest.raises(ConfigError, match="belief"):
        oracle.posterior(corpus, belief="hope")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="only the generated corpus"):
        Oracle.of(stand_in(StandIn(dialogues=5)))
    with pytest.raises(DataError, match="do not fit the settings"):
        oracle.posterior(stand_in(StandIn(dialogues=5)))
    u = corpus.utterances
    frames: dict[str, np.ndarray] = {}
    with pytest.raises(DataError, match="two speakers"):
        oracle.posterior_arrays(u.dialogue[:3], u.turn[:3], np.array([0, 1, 2]), frames, None, {})
    with pytest.raises(DataError, match="next to each other"):
        oracle.posterior_arrays(np.array([0, 1, 0]), np.array([0, 0, 0]), np.array([0, 1, 0]), frames, None, {})
