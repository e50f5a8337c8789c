"""The oracle is calibrated, near the targets of the design, and out of reach of simple models."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from lacuna.corpus import Corpus
from lacuna.synthetic.duet import Oracle, Reading, generate, preset

MODALITIES = ("text", "audio", "vision")
Drawn = tuple[Corpus, Oracle, Reading, np.ndarray]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    settings = preset("bench", dialogues=2_700)
    corpus, oracle = generate(settings), Oracle(settings)
    return corpus, oracle, oracle.read(corpus), corpus.utterances.labels["emotion"]


@pytest.fixture(scope="module")
def shifted() -> Drawn:
    settings = preset("bench", dialogues=600, ood=True)
    corpus, oracle = generate(settings), Oracle(settings)
    return corpus, oracle, oracle.read(corpus), corpus.utterances.labels["emotion"]


def keep(reading: Reading, *names: str) -> dict[str, np.ndarray]:
    return {m: np.full(len(reading.observed[m]), m in names) for m in MODALITIES}


def f1(label: np.ndarray, answer: np.ndarray) -> float:
    return float(f1_score(label, answer.argmax(axis=1), average="weighted"))


def ece(label: np.ndarray, answer: np.ndarray, bins: int = 10) -> float:
    sure, right = answer.max(axis=1), answer.argmax(axis=1) == label
    place = np.minimum((sure * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(place, sure - right, minlength=bins)).sum() / len(label))


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("rate", [0.0, 0.7])
def test_its_probabilities_come_true(drawn: Drawn, rate: float, context: bool) -> None:
    corpus, oracle, reading, label = drawn
    assert len(corpus) > 50_000
    r = np.random.default_rng(0)
    mask = {m: r.random(len(reading.observed[m])) >= rate for m in MODALITIES}
    answer = oracle.posterior(reading, mask, context=context)
    assert ece(label, answer) <= 0.01
    assert np.abs(answer.mean(axis=0) - np.bincount(label) / len(label)).max() < 0.006
    # the log-loss that came about is the one that was expected, the entropy, within its sampling error by dialogues
    entropy = -(answer * np.log(np.maximum(answer, 1e-300))).sum(axis=1)
    surplus = -np.log(answer[np.arange(len(label)), label]) - entropy
    by_dialogue = np.bincount(corpus.utterances.dialogue, surplus)
    assert abs(surplus.sum()) < 4 * np.sqrt((by_dialogue**2).sum())


def test_a_wrong_belief_is_not_calibrated(shifted: Drawn) -> None:
    """The calibration test can fail."""
    _, oracle, reading, label = shifted
    assert ece(label, oracle.posterior(reading)) < 0.02
    assert ece(label, oracle.posterior(reading, belief="train")) > 0.04


def test_the_ceilings_are_near_their_targets(drawn: Drawn) -> None:
    _, oracle, reading, label = drawn
    targets = {MODALITIES: 0.85, ("text",): 0.70, ("audio",): 0.55, ("vision",): 0.45}
    for names, target in targets.items():
        mask = keep(reading, *names)
        with_context = f1(label, oracle.posterior(reading, mask))
        assert abs(with_context - target) < 0.025, names
        assert with_context > f1(label, oracle.posterior(reading, mask, context=False)) + 0.04


def test_losing_more_costs_more(drawn: Drawn) -> None:
    _, oracle, reading, label = drawn
    uniform = np.random.default_rng(1)
    draw = {m: uniform.random(len(reading.observed[m])) for m in MODALITIES}
    losses = []
    for rate in (0.0, 0.5, 0.9, 1.0):
        answer = oracle.posterior(reading, {m: draw[m] >= rate for m in MODALITIES})
        losses.append(-np.log(answer[np.arange(len(label)), label]).mean())
    assert (np.diff(losses) > 0.1).all()


def test_the_shift_has_a_price(shifted: Drawn) -> None:
    _, oracle, reading, label = shifted
    loss = {}
    for belief in ("own", "invariant", "train"):
        answer = oracle.posterior(reading, belief=belief)  # type: ignore[arg-type]
        loss[belief] = -np.log(answer[np.arange(len(label)), label]).mean()
    assert loss["own"] + 0.005 < loss["invariant"]
    assert loss["invariant"] + 0.1 < loss["train"]


def test_simple_models_leave_room(drawn: Drawn) -> None:
    corpus, oracle, _, label = drawn
    small = corpus.take(np.flatnonzero(corpus.utterances.dialogue < 600))
    vectors = [
        np.add.reduceat(f.values[: int(f.count.sum())].astype(np.float64), f.start) / f.count[:, None]
        for f in small.frames.values()
    ]
    x, split = np.concatenate(vectors, axis=1), small.utterances.split
    train, test = split == 0, split == 2
    scale = StandardScaler().fit(x[train])
    model = LogisticRegression(max_iter=200, C=0.1, tol=1e-3).fit(scale.transform(x[train]), label[: len(small)][train])
    linear = f1(label[: len(small)][test], model.predict_proba(scale.transform(x[test])))
    one_turn = f1(label[: len(small)][test], oracle.posterior(small.only("test"), context=False))
    whole = f1(label[: len(small)][test], oracle.posterior(small.only("test")))
    assert 0.5 < linear < one_turn - 0.1
    assert one_turn < whole - 0.03
