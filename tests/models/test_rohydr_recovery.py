"""What RoHyDR promises of its recoveries: solvers that come back, noise that is a function, and closeness to the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lacuna.corpus.batch import collate
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.statistics import fit_statistics
from lacuna.missing import Layout, MaskPlan, pattern
from lacuna.models.layers.diffusion import ANY_SOLVERS, Noising, sample
from lacuna.synthetic import duet
from lacuna.training import TrainingConfig
from lacuna.training.steps import stage_steps, update
from small_rohydr import corpus_of, made, moved, without


@pytest.mark.parametrize("solver", ANY_SOLVERS)
@pytest.mark.parametrize("steps", [1, 5, 10])
def test_a_perfect_oracle_of_the_noise_brings_every_solver_back(solver: Any, steps: int) -> None:
    generator = torch.Generator().manual_seed(0)
    clean = 3 * torch.randn(4, 2, 5, generator=generator)  # beyond one: nothing is clipped
    noising = Noising().double()

    def denoise(noisy: Tensor, level: int) -> Tensor:
        signal, spread = noising.signal[level], noising.noise[level]
        noise = (noisy.double() - signal * clean) / spread  # what a perfect network of the noise would say
        return ((noisy.double() - spread * noise) / signal).to(noisy) if signal > 1e-3 else clean

    noise = torch.randn(4, 2, 5, generator=generator)
    found = sample(denoise, noise, steps=steps, solver=solver, fresh=lambda _: torch.randn(4, 2, 5, generator=generator))
    torch.testing.assert_close(found, clean, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("solver", ANY_SOLVERS)
def test_recoveries_are_a_function_of_seed_and_utterance(solver: str) -> None:
    model, complete = made(corpus_of(), solver=solver)
    moved(model)
    observed = without(complete, "text", "vision")
    rows = torch.tensor([11, 3])
    whole, part = model(observed).recovered, model(observed.take(rows)).recovered
    other, _ = made(corpus_of(), solver=solver, noise_seed=1)
    other.load_state_dict(model.state_dict())
    again = other(observed).recovered
    for m in ("text", "vision"):
        torch.testing.assert_close(whole[m][rows], part[m], rtol=1e-4, atol=1e-5)
        assert torch.equal(whole[m], model(observed).recovered[m])
        assert not torch.allclose(whole[m], again[m], atol=1e-3)


def test_draws_differ_and_keep_what_was_observed() -> None:
    model, complete = made(corpus_of(), tokens=2)
    moved(model)
    observed = without(complete, "audio")
    draws = model.sample(observed, 3, seed=5)
    alone = model.sample(observed.take(torch.tensor([7])), 3, seed=5)
    for m, x in draws.items():
        assert x.shape == (3, *observed.features[m].shape)
        assert all(torch.equal(d[observed.present[m]], observed.features[m][observed.present[m]]) for d in x)
        torch.testing.assert_close(x[:, [7]], alone[m], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(draws["audio"][0], draws["audio"][1])


def test_what_is_recovered_may_be_the_mean_of_draws() -> None:
    one, complete = made(corpus_of(), unimodal=False, steps=10)
    many, _ = made(corpus_of(), unimodal=False, draws=3, steps=10)
    observed = without(complete, "audio")
    moved(one)
    many.load_state_dict(one.state_dict())
    mean = many.sample(observed, 3, many.config.noise_seed)["audio"].mean(dim=0)
    torch.testing.assert_close(many(observed).recovered["audio"], mean)
    torch.testing.assert_close(one(observed).recovered["audio"], many.sample(observed, 1, 0)["audio"][0])


def test_training_masks_are_a_function_of_their_seed_and_leave_something_everywhere() -> None:
    corpus = corpus_of().only("train")
    rows = np.arange(len(corpus))
    one, two, other = (MaskPlan(pattern("rmm"), 0.6, seed).over(Layout.of(corpus)).present(rows) for seed in (0, 0, 1))
    assert all((one[m] == two[m]).all() for m in one)
    assert not all((one[m] == other[m]).all() for m in one)
    batch = collate(corpus, rows, corpus.schema(), fit_statistics(corpus_of())).observe(
        {m: torch.from_numpy(p) for m, p in one.items()}
    )
    assert batch.available().any(dim=1).all()


def test_the_mean_is_recovered_by_the_mean() -> None:
    model, complete = made(corpus_of(frames=1), generator="mean", unimodal=False)
    recovered = model(without(complete, "text")).recovered["text"]
    train = complete.features["text"][: len(corpus_of().only("train"))]
    torch.testing.assert_close(recovered, train.mean(dim=0, keepdim=True).expand_as(recovered), rtol=1e-4, atol=1e-4)


def test_ridge_recovers_by_least_squares() -> None:
    model, complete = made(corpus_of(), generator="ridge", unimodal=False, penalty=1e-4)
    train = complete.take(torch.arange(len(corpus_of().only("train"))))
    text, audio, vision = (x[:, 0].double() for x in model.tokens(train).coded)  # (U, 1, w) -> (U, w)
    given = torch.cat([torch.ones_like(text[:, :1]), text, audio], dim=1)
    fitted = given @ torch.linalg.lstsq(given, vision).solution
    found = model.recovered(model.tokens(without(train, "vision")))[2][:, 0]
    torch.testing.assert_close(found, fitted.float(), rtol=1e-3, atol=1e-3)


def test_ridge_reads_what_is_there_of_the_same_token() -> None:
    model, complete = made(corpus_of(), generator="ridge", unimodal=False, tokens=3)
    truth, seen = model.tokens(complete), model.tokens(without(complete, "vision"))
    known = truth.observed[:, 2] & truth.observed[:, :2].any(dim=1)  # (U, L)
    error = (model.recovered(seen)[2] - truth.coded[2])[known].square().mean()
    assert float(error) < 0.95 * float(truth.coded[2][known].square().mean())
    other = replace(seen, coded=[x.index_fill(1, torch.tensor(2), 7.0) for x in seen.coded])
    assert torch.equal(model.recovered(other)[2][:, :2], model.recovered(seen)[2][:, :2])


def test_what_is_recovered_on_duet_is_closer_to_the_truth_than_the_mean() -> None:
    corpus = duet.generate(duet.preset("tiny", dialogues=60))
    model, complete = made(corpus, hidden=32)
    split = {name: torch.from_numpy(np.flatnonzero(corpus.utterances.split == code)) for code, name in enumerate(SPLITS)}
    train, test = (complete.take(split[name]) for name in ("train", "test"))
    steps = [s for s in stage_steps(model.train(), TrainingConfig()) if s.stage.name == "unimodal"]
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        for _ in range(150):
            update(
                model, steps, [(train, without(train, "vision"))], rate=3e-3, clip_norm=1.0, cast=torch.enable_grad(), where=""
            )
    there = test.present["vision"]  # words of duet are drawn one by one: not even its oracle can tell them
    with torch.no_grad():
        found = model.eval()(without(test, "vision")).recovered["vision"][there]
    true, mean = test.features["vision"][there], train.features["vision"][train.present["vision"]].mean(dim=0)
    cosine, fill = (torch.nn.functional.cosine_similarity(x.expand_as(true), true, dim=1).mean() for x in (found, mean))
    assert float(cosine) > float(fill) + 0.1
