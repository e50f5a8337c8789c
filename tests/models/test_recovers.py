"""What the published code of models that recover breaks: every one of ours is held to it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import Prediction, Recognizer, build, list_models, model_class
from lacuna.training.loader import Loader
from standin import StandIn, generate

NAMES = [name for name in list_models() if model_class(name).recovers]
DIMS = (("text", 6), ("audio", 5), ("vision", 4))
Made = tuple[Recognizer, Batch]


@cache
def made(name: str, dialogues: int = 6, turns: int = 5, frames: int = 3) -> Made:
    corpus = generate(StandIn(dialogues=dialogues, turns=turns, dims=DIMS, frames=frames, absent=0.2))
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, schema, **model_class(name).tiny)
    model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 64, model.needs_dialogue))
    return model.eval(), collate(corpus, np.arange(len(corpus)), schema, statistics)


def masked(batch: Batch, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return batch.observe({m: torch.rand(p.shape, generator=generator) >= 0.5 for m, p in batch.present.items()})


def same(one: Prediction, other: Prediction) -> None:
    torch.testing.assert_close(one.logits, other.logits, rtol=1e-4, atol=1e-5)
    for m, frames in one.recovered.items():
        torch.testing.assert_close(frames, other.recovered[m], rtol=1e-4, atol=1e-5)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_values_that_are_not_observed_influence_nothing(name: str) -> None:
    model, complete = made(name)
    observed = masked(complete)
    other = {m: torch.where(observed.present[m][..., None], x, 1e3) for m, x in complete.features.items()}
    one, two = model(observed), model(masked(replace(complete, features=other)))
    assert torch.equal(one.logits, two.logits)
    for m in one.recovered:
        assert torch.equal(one.recovered[m], two.recovered[m])


def test_other_dialogues_influence_nothing(name: str) -> None:
    model, complete = made(name)
    observed = masked(complete)
    chosen = observed.dialogue == observed.dialogue[7]
    quiet = {m: chosen[:, None, None] | ~p[..., None] for m, p in observed.present.items()}
    loud = {m: torch.where(quiet[m], x, x + 50) for m, x in observed.features.items()}
    rows = torch.nonzero(chosen).squeeze(1)
    one, two = model(observed), model(replace(observed, features=loud))
    parts = [replace(p, logits=p.logits[rows], recovered={m: x[rows] for m, x in p.recovered.items()}) for p in (one, two)]
    same(*parts)
    same(parts[0], model(observed.take(rows)))


def test_padding_of_frames_influences_nothing(name: str) -> None:
    model, complete = made(name)
    observed = masked(complete)
    longer = replace(
        observed,
        features={m: torch.nn.functional.pad(x, (0, 0, 0, 4)) for m, x in observed.features.items()},
        present={m: torch.nn.functional.pad(p, (0, 4)) for m, p in observed.present.items()},
    )
    found = model(longer)
    short = {m: x[:, : observed.features[m].shape[1]] for m, x in found.recovered.items()}
    same(model(observed), replace(found, recovered=short))


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_observed_comes_back_bit_for_bit(name: str, seed: int, frames: int) -> None:
    model, complete = made(name, frames=frames)
    observed = masked(complete, seed)
    recovered = model(observed).recovered
    assert list(recovered) == list(observed.features)
    for m, x in recovered.items():
        here = observed.present[m]
        assert x.shape == observed.features[m].shape
        assert torch.equal(x[here], observed.features[m][here])


@pytest.mark.parametrize("name", [name for name in NAMES if model_class(name).learns])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    """SDR-GNN's speaker branch and hundreds of DGSDNet's tensors never got one."""
    model, complete = made(name)
    model.train()
    model.zero_grad()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        with torch.no_grad():  # away from the start, where a last layer may be zero and hide the layers before it
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        for seed in range(3):
            for stage in model.stages:
                sum(model.losses(complete, masked(complete, seed), stage.name).values(), torch.zeros(())).backward()
    model.eval()
    assert [n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not (p.grad != 0).any())] == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_what_was_absent_already_is_no_target(name: str) -> None:
    """Nothing is learned from the zeros that stand where the corpus itself has nothing."""
    model, complete = made(name, frames=1)
    observed = masked(complete)
    strange = {m: torch.where(p[..., None], complete.features[m], 1e3) for m, p in complete.present.items()}
    for stage in model.stages:
        losses = []
        for target in (complete, replace(complete, features=strange)):
            with torch.random.fork_rng():
                torch.random.default_generator.manual_seed(0)
                losses.append(model.losses(target, observed, stage.name))
        assert {n: float(x.detach()) for n, x in losses[0].items()} == {n: float(x.detach()) for n, x in losses[1].items()}


@pytest.mark.parametrize(("dialogues", "turns"), [(40, 1), (5, 200)])
def test_dialogues_of_one_turn_and_of_200(name: str, dialogues: int, turns: int) -> None:
    model, complete = made(name, dialogues, turns, 1)
    prediction = model(masked(complete))
    assert torch.isfinite(prediction.logits).all()
    assert all(torch.isfinite(x).all() for x in prediction.recovered.values())
