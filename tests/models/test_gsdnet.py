"""GSDNet and what it is made of: noise that is a function of keys, solvers, the code, states of graphs, and every switch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import Recognizer, build, configure
from lacuna.models.layers import graph
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.diffusion import HIGHEST, SOLVERS, Noising, Solver, sample
from lacuna.models.layers.noise import normals
from lacuna.models.layers.pooling import pooled
from lacuna.models.layers.semantic import AdjacencyState, EigenvalueState, SemanticGraph, Structure, survival
from lacuna.models.layers.spectrum import Decomposition, adjacency, closeness
from lacuna.models.layers.whitening import Whitening
from lacuna.training.loader import Loader
from standin import StandIn, generate

CORPUS = generate(StandIn(dialogues=8, turns=6, dims=(("text", 6), ("audio", 5), ("vision", 4)), absent=0.2))
SCHEMA, STATISTICS = CORPUS.schema(), fit_statistics(CORPUS)
SWITCHES: list[dict[str, Any]] = [
    {"noise": "adjacency"},
    {"graph": False},
    {"spectral": False},
    {"generator": "regression"},
    {"generator": "regression", "noise": "adjacency"},
    {"generator": "regression", "graph": False},
    {"solver": "ddim", "steps": 3},
    {"samples": 3, "steps": 2, "width": 3},
    {"past": 0, "future": 0},
]


def batches() -> Loader:
    return Loader(CORPUS.only("train"), SCHEMA, STATISTICS, 16, True)


def made(**settings: Any) -> Recognizer:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build("gsdnet", SCHEMA, **settings)
    model.prepare(batches)
    return model.eval()


@pytest.fixture(scope="module")
def complete() -> Batch:
    return collate(CORPUS, np.arange(len(CORPUS)), SCHEMA, STATISTICS)


def masked(batch: Batch, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return batch.observe({m: torch.rand(p.shape, generator=generator) >= 0.5 for m, p in batch.present.items()})


@pytest.mark.parametrize("settings", SWITCHES, ids=str)
def test_every_switch_keeps_the_contract(settings: dict[str, Any], complete: Batch) -> None:
    model, observed = made(**settings), masked(complete)
    one = model(observed)
    assert torch.equal(one.logits, model(observed).logits)
    for m, frames in one.recovered.items():
        assert torch.isfinite(frames).all()
        here = observed.present[m]
        assert torch.equal(frames[here], observed.features[m][here])
    order = torch.randperm(len(complete), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(observed.take(order)).logits, one.logits[order], rtol=1e-4, atol=1e-5)
    alone = torch.nonzero(observed.dialogue == observed.dialogue[7]).squeeze(1)
    torch.testing.assert_close(model(observed.take(alone)).logits, one.logits[alone], rtol=1e-4, atol=1e-5)
    other = {m: torch.where(observed.present[m][..., None], x, 1e3) for m, x in complete.features.items()}
    assert torch.equal(one.logits, model(masked(replace(complete, features=other))).logits)
    assert torch.isfinite(model(complete.observe({m: torch.zeros_like(p) for m, p in complete.present.items()})).logits).all()


@pytest.mark.parametrize("settings", [{}, *SWITCHES], ids=str)
def test_every_parameter_of_every_switch_gets_a_gradient(settings: dict[str, Any], complete: Batch) -> None:
    model = made(**settings).train()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        for seed in range(3):
            sum(model.losses(complete, masked(complete, seed), "task").values(), torch.zeros(())).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not (p.grad != 0).any()] == []


@pytest.mark.parametrize("settings", [{}, {"noise": "adjacency"}, {"generator": "regression"}], ids=str)
def test_the_denoisers_are_called_once_a_batch_in_training(settings: dict[str, Any], complete: Batch) -> None:
    model: Any = made(**settings)
    calls = []
    model.denoiser.register_forward_hook(lambda *_: calls.append(1))
    model.losses(complete, masked(complete), "task")
    assert len(calls) == 1
    model(masked(complete))
    assert len(calls) - 1 == (1 if settings.get("generator") else model.config.steps)


def test_another_noise_seed_is_another_sample(complete: Batch) -> None:
    one, two = made(), made(noise_seed=1)
    assert not torch.equal(one(masked(complete)).logits, two(masked(complete)).logits)
    assert torch.allclose(one(complete.take(whole(complete))).logits, two(complete.take(whole(complete))).logits)


def whole(batch: Batch) -> Tensor:
    """A turn that has everything: nothing is recovered, so nothing is drawn."""
    return torch.nonzero(batch.available().all(dim=1))[0]


@pytest.mark.parametrize(("field", "value"), [("noise", "edges"), ("solver", "euler"), ("generator", "flow"), ("noise", 1)])
def test_an_unknown_choice_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"model 'gsdnet': setting '{field}' must be .* or "):
        configure("gsdnet", **{field: value})


def test_noise_is_normal_and_a_function_of_its_key() -> None:
    keys = torch.randint(-(2**63), 2**63 - 1, (500,), generator=torch.Generator().manual_seed(0))
    drawn = normals(keys, 200, 0, "a")
    assert abs(float(drawn.mean())) < 0.01
    assert abs(float(drawn.std()) - 1) < 0.01
    assert abs(float(drawn.pow(4).mean()) - 3) < 0.1
    for lagged in (drawn[:, 1:] * drawn[:, :-1], drawn[1:] * drawn[:-1]):
        assert abs(float(lagged.mean())) < 0.015
    assert torch.equal(normals(keys.flip(0)[:7], 5, 0, "a"), drawn.flip(0)[:7, :5])
    for other in (normals(keys, 200, 1, "a"), normals(keys, 200, 0, "b")):
        assert abs(float((other * drawn).mean())) < 0.015


def test_nothing_of_the_signal_is_left_at_the_highest_level_and_variance_is_kept() -> None:
    noising = Noising()
    torch.testing.assert_close(noising.signal.square() + noising.noise.square(), torch.ones(HIGHEST + 1))
    assert noising.signal[HIGHEST] < 1e-3
    assert noising.signal[0] > 0.999
    clean, noise = torch.ones(2, 3), torch.full((2, 3), 2.0)
    found = noising(clean, noise, torch.tensor([0, HIGHEST]))
    torch.testing.assert_close(found[1], noise[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_find_the_distribution_that_the_denoiser_knows(solver: Solver) -> None:
    """For normal data the best denoiser is known: E[x | x_t]. Far from one, so a solver that clips would be caught."""
    noising, mean, spread = Noising(), 5.0, 0.5

    def denoise(noisy: Tensor, level: int) -> Tensor:
        s, n = noising.signal[level], noising.noise[level]
        return mean + s * spread**2 / (s**2 * spread**2 + n**2) * (noisy - s * mean)

    start = torch.randn(20000, generator=torch.Generator().manual_seed(0))
    found = sample(denoise, start, steps=20, solver=solver)
    assert abs(float(found.mean()) - mean) < 0.05
    assert abs(float(found.std()) - spread) < 0.1
    observed = torch.arange(20000) < 10
    kept = sample(denoise, start, steps=5, solver=solver, observed=observed, clean=torch.full_like(start, 7))
    assert (kept[:10] == 7).all()
    torch.testing.assert_close(sample(denoise, start, steps=1, solver=solver), denoise(start, HIGHEST))


def test_the_code_has_unit_variance_and_can_be_undone() -> None:
    code = Whitening(SCHEMA, 64)
    code.fit(batches)
    batch = next(iter(Loader(CORPUS.only("train"), SCHEMA, STATISTICS, 10**6, True)))
    coded, available = code(batch), batch.available()
    columns = code.columns(available)
    assert (coded[~columns] == 0).all()
    for m in range(3):
        own = coded[available[:, m]][:, code.owner == m].double()
        torch.testing.assert_close(own.T @ own / len(own), torch.eye(own.shape[1]).double(), rtol=0, atol=1e-3)
    owner = torch.repeat_interleave(torch.arange(3), torch.tensor(list(SCHEMA.dims.values())))
    torch.testing.assert_close(code.back(coded)[available[:, owner]], pooled(batch)[available[:, owner]], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(code.share.sum(), torch.tensor(3.0))


def structure(lengths: list[int]) -> tuple[Structure, Tensor]:
    """Windows of two turns on either side, two speakers."""
    sizes = torch.tensor(lengths)
    row, column = torch.arange(len(lengths)).repeat_interleave(sizes), torch.cat([torch.arange(n) for n in lengths])
    dialogues = Dialogues(row, column, sizes)
    near = graph.temporal(dialogues, 2, 2)
    speaker = torch.randint(2, (len(row),), generator=torch.Generator().manual_seed(0))
    weight = closeness(near, dialogues) * torch.where(speaker[near.source] == speaker[near.target], 1.0, 0.5)
    dense = adjacency(near, dialogues, weight)
    return Structure(dense, Decomposition()(dense, sizes), sizes), speaker


@pytest.mark.parametrize("kind", [EigenvalueState, AdjacencyState])
def test_states_are_of_size_one_and_know_their_own_graph(kind: type[SemanticGraph]) -> None:
    found, _ = structure([9, 4, 6])
    inside = found.within(9)
    generator = torch.Generator().manual_seed(0)
    signals = [torch.randn(3, 9, w, generator=generator) * inside[:, :, None] for w in (5, 3)]
    here = inside[:, :, None].expand(-1, -1, 2)
    semantic = kind(2)
    semantic.fit([(found, signals, here)])
    state = semantic.state(found, signals, here)
    real = semantic.real(found)[:, None].expand_as(state)
    assert (state[~real] == 0).all()
    torch.testing.assert_close(state[real].square().mean(), torch.tensor(1.0))
    assert (semantic.state(found, signals, torch.zeros_like(here)) == 0).all()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        trained = semantic.randn(found)
    for drawn in (semantic.draw(found, torch.tensor([1, 2, 3]), 0, "x"), trained):
        operator = semantic.operator(found, drawn)
        torch.testing.assert_close(operator, operator.mT)
        assert (operator[~(inside[:, None, :, None] & inside[:, None, None, :]).expand_as(operator)] == 0).all()
        energy = drawn.square().sum(dim=2) / semantic.real(found).sum(dim=1)[:, None]
        assert torch.allclose(energy.mean(), torch.ones(()), atol=0.6)
    alone, _ = structure([9])
    short = semantic.draw(alone, torch.tensor([1]), 0, "x")
    operator = semantic.operator(found, semantic.draw(found, torch.tensor([1, 2, 3]), 0, "x"))
    torch.testing.assert_close(semantic.operator(alone, short)[0] - alone.dense[0], operator[0] - found.dense[0])


def test_eigenvectors_survive_noise_on_eigenvalues_and_not_noise_on_the_adjacency() -> None:
    """As much noise on both. What is new outside the graph's edges is about as much in both: only eigenvectors are kept."""
    found, _ = structure([30])
    kept: dict[type[SemanticGraph], list[float]] = {}
    for kind in (EigenvalueState, AdjacencyState):
        semantic = kind(1)
        noise = [0.3 * semantic.draw(found, torch.tensor([key]), 0, "x") for key in range(20)]
        results = [survival(found.dense[0], semantic.operator(found, x)[0, 0], 8) for x in noise]
        kept[kind] = [float(np.mean([r.overlap for r in results])), float(np.mean([r.outside for r in results]))]
    assert kept[EigenvalueState][0] > 0.999
    assert kept[AdjacencyState][0] < 0.9
    assert kept[EigenvalueState][1] < kept[AdjacencyState][1]
