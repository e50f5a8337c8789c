"""The best recovery: equal to dense conditioning and to Monte Carlo, and better than what models usually do."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad

from lacuna.synthetic.duet import Duet, Oracle, draw_world, generate, preset, recover
from lacuna.synthetic.duet.warp import Warp

SMALL = preset(
    "tiny",
    dialogues=4,
    turns=(1, 1),
    prior=(0.5, 0.3, 0.2),
    factors=2,
    text={"tokens": (1, 2), "dim": 5},
    audio={"dim": 9, "frames": (1, 2), "code": 3},
    vision={"dim": 8, "frames": (1, 1), "code": 3, "loading": 1.5},
)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (2.5, 1.7), (-4.0, 0.6), (0.1, 4.0)])
def test_moments_of_the_map_are_exact(mean: float, deviation: float) -> None:
    warp = Warp(3.0, np.array([0.5]))
    found = warp.moments(np.ones((1, 1)), np.full((1, 1, 1), mean), np.full((1, 1), deviation))
    for power in (1, 2):

        def integrand(z: float, power: int = power) -> float:
            value = float(warp(np.array([mean + deviation * z]))[0])
            return value**power * float(np.exp(-z * z / 2) / np.sqrt(2 * np.pi))

        exact = sum(quad(integrand, a, a + 1, epsabs=0, epsrel=1e-11)[0] for a in range(-13, 13))
        value = found[0][0, 0] if power == 1 else found[1][0, 0] + found[0][0, 0] ** 2
        assert abs(value - exact) < 1e-8 * max(1, abs(exact))


def test_the_map_has_an_inverse() -> None:
    warp = Warp(2.0, np.array([0.5, -0.5]))
    x = np.random.default_rng(0).normal(size=(50, 2)) * 3
    np.testing.assert_allclose(warp.inverse(warp(x)), x, rtol=1e-12, atol=1e-13)
    assert (np.diff(warp(np.sort(x, axis=0)), axis=0) > 0).all()


def conditional(settings: Duet, row: int, target: str, mask: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a new frame of ``target``, in the linear space, by conditioning one dense Gaussian a component."""
    world, corpus = draw_world(settings), generate(settings)
    parts = []
    for name, carrier in world.carriers.items():
        f = corpus.frames[name]
        here = slice(f.start[row], f.start[row] + f.count[row])
        parts.append((name, carrier, carrier.warp.inverse(f.values[here][mask[name][here]])))
    new = world.carriers[target]
    d = new.loading.shape[0]
    loading = np.concatenate([new.loading, *[np.tile(c.loading, (len(x), 1)) for _, c, x in parts]])
    covariance = loading @ loading.T
    owner = np.concatenate([[target] * d, *[[name] * x.size for name, _, x in parts]])
    column = np.concatenate([np.arange(d), *[np.tile(np.arange(x.shape[1]), len(x)) for _, _, x in parts]])
    same = (owner[:, None] == owner) & (column[:, None] == column)
    shared = np.array([world.carriers[n].shared ** 2 for n in owner])
    noise = np.array([world.carriers[n].noise ** 2 for n in owner])
    covariance += same * shared[:, None] + np.diag(noise)
    seen = np.concatenate([x.reshape(-1) for _, _, x in parts]) if parts else np.zeros(0)  # (n, d) -> (n d,)
    text = corpus.frames["text"]
    here = slice(text.start[row], text.start[row] + text.count[row])
    assert text.tokens is not None
    tokens = text.tokens[here][mask["text"][here]]
    gain = np.linalg.solve(covariance[d:, d:], covariance[d:, :d]).T
    rest = covariance[:d, :d] - gain @ covariance[d:, :d]
    weights, means = [], []
    for e, c in product(range(len(world.prior)), range(settings.scenes)):
        centre = new.emotion[e] + new.scene[c]
        mean = np.concatenate([centre, *[np.tile(b.emotion[e] + b.scene[c], len(x)) for _, b, x in parts]])
        off = seen - mean[d:]
        log = -0.5 * off @ np.linalg.solve(covariance[d:, d:], off)
        log += np.log(world.lexicon.chance[e, c][tokens]).sum()
        weights.append(log + np.log(world.prior[e] * world.agreement(settings.rho)[e, c]))
        means.append(centre + gain @ off)
    w = np.exp(np.array(weights) - max(weights))
    w /= w.sum()
    points = np.array(means)
    centre = w @ points
    return centre, rest + ((points - centre) * w[:, None]).T @ (points - centre)


@pytest.mark.parametrize("target", ["audio", "vision"])
@pytest.mark.parametrize("lost", [(), ("vision",), ("audio", "text"), ("text", "audio", "vision")])
def test_it_equals_dense_conditioning(target: str, lost: tuple[str, ...]) -> None:
    corpus = generate(SMALL)
    mask = {m: np.full(len(f.values), m not in lost) for m, f in corpus.frames.items()}
    found = recover(corpus, mask)[target]
    rows = np.arange(len(corpus))
    covariance = found.covariance(rows)
    for row in rows:
        mean, expected = conditional(SMALL, row, target, mask)
        np.testing.assert_allclose(found.linear_mean[row], mean, atol=1e-10)
        np.testing.assert_allclose(covariance[row], expected, atol=1e-10)


@pytest.mark.parametrize("target", ["audio", "vision"])
def test_it_equals_the_monte_carlo_conditional_mean(target: str) -> None:
    """Importance sampling from the generative story alone, in the space as observed."""
    corpus, oracle, r = generate(SMALL), Oracle(SMALL), np.random.default_rng(1)
    world, many = oracle.world, 400_000
    mask = {m: np.full(len(f.values), m != target) for m, f in corpus.frames.items()}
    found = oracle.recover(corpus, mask)[target]
    emotion = r.choice(len(world.prior), size=many, p=world.prior)
    scene = (r.random(many)[:, None] >= np.cumsum(world.agreement(SMALL.rho), axis=1)[emotion]).sum(axis=1)
    z = r.normal(size=(many, SMALL.factors))

    def centre(name: str) -> np.ndarray:
        c = world.carriers[name]
        return c.emotion[emotion] + c.scene[scene] + z @ c.loading.T + c.shared * r.normal(size=(many, len(c.loading)))

    latent = {name: centre(name) for name in world.carriers}
    carrier = world.carriers[target]
    drawn = carrier.warp(latent[target] + carrier.noise * r.normal(size=latent[target].shape))
    text = corpus.frames["text"]
    assert text.tokens is not None
    for row in range(2):
        log = np.log(world.lexicon.chance[emotion, scene][:, text.tokens[text.start[row] : text.start[row] + text.count[row]]])
        weight = log.sum(axis=1)
        for name, c in world.carriers.items():
            if name != target:
                for frame in c.warp.inverse(corpus.frames[name].of(row)):
                    weight -= 0.5 * (((frame - latent[name]) / c.noise) ** 2).sum(axis=1)
        w = np.exp(weight - weight.max())
        w /= w.sum()
        assert 1 / (w**2).sum() > 300  # enough effective samples to mean anything
        mean = w @ drawn
        error = np.sqrt((w**2) @ (drawn - mean) ** 2)
        assert (np.abs(mean - found.mean[row]) < 5 * error).all()
        spread = w @ (drawn - found.mean[row]) ** 2
        doubt = np.sqrt((w**2) @ ((drawn - mean) ** 2 - spread) ** 2)
        assert (np.abs(spread - found.variance[row]) < 5 * doubt + 0.02 * spread).all()


def test_words_are_recovered_from_their_distribution() -> None:
    corpus, oracle = generate(SMALL), Oracle(SMALL)
    found, lexicon = oracle.recover(corpus)["text"], oracle.world.lexicon
    weight = oracle.posterior(corpus)
    nothing = oracle.recover(corpus, {m: np.zeros(len(f.values), bool) for m, f in corpus.frames.items()})["text"]
    prior = np.einsum("k,kg,kgv->v", oracle.world.prior, oracle.world.agreement(SMALL.rho), lexicon.chance)
    np.testing.assert_allclose(nothing.mean, np.tile(prior @ lexicon.table.astype(np.float64), (len(corpus), 1)), atol=1e-10)
    np.testing.assert_allclose(nothing.linear_mean[0], prior @ lexicon.linear, atol=1e-10)
    off = lexicon.linear - prior @ lexicon.linear
    np.testing.assert_allclose(nothing.covariance(np.array([1]))[0], (off * prior[:, None]).T @ off, atol=1e-10)
    assert weight.shape == (len(corpus), 3)
    assert (found.variance > 0).all()


def test_it_beats_mean_fill_and_ridge_and_keeps_its_word() -> None:
    settings = preset("bench", dialogues=250)
    corpus, oracle = generate(settings), Oracle(settings)
    means = {m: np.add.reduceat(f.values.astype(np.float64), f.start) / f.count[:, None] for m, f in corpus.frames.items()}
    train, test = corpus.utterances.split == 0, corpus.utterances.split == 2
    for target in ("text", "audio", "vision"):
        f = corpus.frames[target]
        view = corpus.only("test")
        mask = {m: np.full(int(g.count.sum()), m != target) for m, g in view.frames.items()}
        found = oracle.recover(view, mask)[target]
        owner = np.repeat(np.arange(len(corpus)), f.count)
        truth = f.values.astype(np.float64)
        scale = truth[train[owner]].std(axis=0)
        x = np.concatenate([means[m] for m in means if m != target], axis=1)
        x = np.concatenate([(x - x[train].mean(axis=0)) / x[train].std(axis=0), np.ones((len(x), 1))], axis=1)
        ridge = np.linalg.solve(x[train].T @ x[train] + 10 * np.eye(x.shape[1]), x[train].T @ means[target][train])
        inside = test[owner]
        place = np.cumsum(test) - 1
        guesses = {
            "oracle": found.mean[place[owner[inside]]],
            "mean": np.tile(truth[train[owner]].mean(axis=0), (inside.sum(), 1)),
            "ridge": (x @ ridge)[owner[inside]],
        }
        error = {name: float((((truth[inside] - guess) / scale) ** 2).mean()) for name, guess in guesses.items()}
        margin = 0.0 if target == "text" else 0.05  # words are drawn one by one: little can be known of one that is lost
        assert error["oracle"] < min(error["mean"], error["ridge"]) - margin, (target, error)
        linear = oracle.world.carriers[target].warp.inverse(f.values[inside]) if target != "text" else None
        if linear is not None:  # light tails: what it promised is what came about
            promised = np.trace(found.covariance(np.arange(200)), axis1=1, axis2=2)
            some = owner[inside]
            first = place[some] < 200
            came = ((linear - found.linear_mean[place[some]]) ** 2).sum(axis=1)[first]
            assert abs(came.mean() / promised[place[some][first]].mean() - 1) < 0.06
