"""RePaint, IMDer and DiCMoR: oracles come back, flows can be undone, and what is recovered beats the mean."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import Recognizer, build
from lacuna.models.dicmor import Coupling, Flow
from lacuna.models.imder import SIGMA, flow_back, spread_at
from lacuna.models.layers.diffusion import Noising
from lacuna.models.repaint import noised, raised, repaint
from lacuna.training import Loader, TrainingConfig
from lacuna.training.steps import stage_steps, update
from standin import StandIn, generate


@cache
def corpus_of(dialogues: int = 40) -> Corpus:
    dims = (("text", 6), ("audio", 5), ("vision", 4))
    return generate(StandIn(dialogues=dialogues, turns=8, dims=dims, signal=(2.0, 2.0, 2.0), frames=3))


def made(name: str, **settings: Any) -> tuple[Recognizer, Batch, Batch]:
    """The model, the training batch and the rest."""
    corpus = corpus_of()
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, schema, **settings)
    model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 64))
    number = len(corpus.only("train"))
    whole = collate(corpus, np.arange(len(corpus)), schema, statistics)
    return model.eval(), whole.take(torch.arange(number)), whole.take(torch.arange(number, len(corpus)))


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"), [("repaint", {"hidden": 64}), ("imder", {"hidden": 32, "blocks": 1}), ("dicmor", {"couplings": 3})]
)
def test_what_is_recovered_is_closer_to_the_truth_than_the_mean(name: str, settings: dict[str, Any]) -> None:
    model, train, test = made(name, **settings)
    seen = train.observe({"text": torch.zeros_like(train.present["text"])})
    steps = [s for s in stage_steps(model.train(), TrainingConfig()) if s.stage.name == "diffusion" or len(model.stages) == 1]
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        for _ in range(80):
            update(model, steps, [(train, seen)], rate=3e-3, clip_norm=1.0, cast=torch.enable_grad(), where="")
    with torch.no_grad():
        found = model.eval()(test.observe({"text": torch.zeros_like(test.present["text"])})).recovered["text"]
    there = test.present["text"]
    true, mean = test.features["text"][there], train.features["text"][train.present["text"]].mean(dim=0)
    cosine = torch.nn.functional.cosine_similarity(found[there], true, dim=1).mean()
    fill = torch.nn.functional.cosine_similarity(mean.expand_as(true), true, dim=1).mean()
    assert float(cosine) > float(fill) + 0.2


@pytest.mark.parametrize("name", ["repaint", "imder", "rohydr"])
def test_draws_are_a_function_of_seed_and_utterance(name: str) -> None:
    model, _, test = made(name)
    with torch.random.fork_rng(), torch.no_grad():
        torch.random.default_generator.manual_seed(1)
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
        observed = test.observe({m: torch.zeros_like(test.present[m]) for m in list(test.present)[1:]})
        draws: dict[str, Tensor] = model.sample(observed, 2, 3)
        alone: dict[str, Tensor] = model.sample(observed.take(torch.tensor([4])), 2, 3)
    for m, x in draws.items():
        torch.testing.assert_close(x[:, [4], : alone[m].shape[2]], alone[m], rtol=1e-4, atol=1e-5)
        assert torch.equal(x[0][observed.present[m]], observed.features[m][observed.present[m]])
    last = list(draws)[-1]
    assert not torch.allclose(draws[last][0], draws[last][1])


@pytest.mark.parametrize(("steps", "jump", "rounds"), [(10, 5, 2), (4, 2, 3), (1, 1, 1), (20, 50, 2)])
def test_repaint_with_a_perfect_denoiser_fills_every_hole_and_keeps_the_rest(steps: int, jump: int, rounds: int) -> None:
    clean, observed, noising = 3 * drawn(0, 6, 5), drawn(1, 6, 5) > 0, Noising()
    asked: list[int] = []
    before = torch.random.get_rng_state()
    found = repaint(
        lambda state, level: asked.append(level) or clean,  # type: ignore[func-returns-value]
        torch.where(observed, clean, 9.0),
        observed,
        lambda number: drawn(10 + number, 6, 5),
        noising=noising,
        steps=steps,
        jump=jump,
        rounds=rounds,
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(found[observed], clean[observed])
    torch.testing.assert_close(found, clean, rtol=1e-3, atol=1e-3)
    assert asked[0] == 1000 // steps * steps - 1
    assert len(asked) == steps + (rounds - 1) * jump * len(range(0, steps - jump, jump))


def test_the_way_up_has_the_noise_of_its_level() -> None:
    noising, clean = Noising(), torch.zeros(20000, 1) + 2
    low = noised(noising, clean, drawn(0, 20000, 1), 399)
    high = raised(noising, low, drawn(1, 20000, 1), 399, 499)
    assert float(high.mean()) == pytest.approx(2 * float(noising.signal[499]), abs=0.02)
    assert float(high.std()) == pytest.approx(float(noising.noise[499]), abs=0.02)
    from_clean = raised(noising, clean, drawn(1, 20000, 1), -1, 99)
    assert float(from_clean.std()) == pytest.approx(float(noising.noise[99]), abs=0.02)


def test_noise_of_the_score_model_grows_as_published() -> None:
    time = torch.tensor([0.001, 0.5, 1.0], dtype=torch.float64)
    expected = ((SIGMA ** (2 * time) - 1) / (2 * np.log(SIGMA))) ** 0.5
    torch.testing.assert_close(spread_at(time), expected)
    assert float(expected[-1]) == pytest.approx(9.85, abs=0.01)


@pytest.mark.parametrize("steps", [1, 10])
def test_the_probability_flow_with_a_perfect_score_comes_back(steps: int) -> None:
    clean = 3 * drawn(0, 4, 2, 5)
    torch.testing.assert_close(flow_back(lambda state, spread: clean, drawn(1, 4, 2, 5), steps), clean)
    # Of a standard normal target the score is known, and so is where its flow leads: to a standard normal again.
    found = flow_back(lambda state, spread: state / (1 + spread**2), drawn(2, 4000, 1, 1), 200)
    assert float(found.std()) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("width", [2, 3, 8])
def test_flows_can_be_undone_and_know_how_much_they_stretch(width: int) -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        flow = Flow(width, 8, 5)
        with torch.no_grad():
            for p in flow.parameters():
                p.add_(0.3 * torch.randn_like(p))
    flow = flow.double()
    x = drawn(0, 4, width).double()
    z, stretched = flow(x)
    torch.testing.assert_close(flow.inverse(z), x, rtol=1e-5, atol=1e-5)
    for row in range(4):
        jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0], x[row])
        torch.testing.assert_close(stretched[row], torch.linalg.slogdet(jacobian)[1], rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [2, 5, 8])
def test_two_couplings_are_told_about_every_channel(width: int) -> None:
    """Published DiCMoR never permutes: half of a modality is a copy of half of another."""
    moved = torch.zeros(width, dtype=torch.bool)
    place = torch.arange(width)
    for seed in range(3):
        coupling = Coupling(width, 4, seed)
        assert torch.equal(coupling.order[coupling.back], torch.arange(width))
        place = place[coupling.order]
        moved[place[coupling.kept :]] = True
    assert moved.all()


def test_dicmor_asks_for_labels_in_training_only() -> None:
    model, train, test = made("dicmor")
    hidden = test.observe({m: torch.zeros_like(test.present[m]) for m in list(test.present)[:1]})
    nothing = replace(hidden, label=torch.full_like(hidden.label, -1))
    assert torch.equal(model(hidden).logits, model(nothing).logits)
    none = replace(train, label=torch.full_like(train.label, -1))
    assert float(model.losses(none, none, "task")["likelihood"].detach()) == 0


@pytest.mark.parametrize("name", ["imder", "dicmor"])
@pytest.mark.parametrize("tokens", [1, 3])
def test_sequences_and_sampled_training_have_finite_gradients(name: str, tokens: int) -> None:
    settings: dict[str, Any] = {"sampled": True, "draw_steps": 3} if name == "imder" else {}
    model, train, _ = made(name, tokens=tokens, **settings)
    observed = train.observe({m: drawn(0, *p.shape) > 0 for m, p in train.present.items()})
    with torch.random.fork_rng():
        torch.stack(list(model.train().losses(train, observed, "task").values())).sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(("name", "field"), [("imder", "hidden"), ("imder", "width"), ("dicmor", "width")])
def test_widths_that_heads_do_not_divide_are_refused(name: str, field: str) -> None:
    with pytest.raises(ConfigError, match=f"'{field}' must be a multiple of heads"):
        build(name, corpus_of().schema(), **{field: 30})


@pytest.mark.parametrize("name", ["rohydr", "repaint", "imder", "dicmor"])
@pytest.mark.parametrize("tokens", [1, 3])
def test_half_precision_is_enough(name: str, tokens: int) -> None:
    model, train, test = made(name, **({} if name == "repaint" else {"tokens": tokens}))
    hide = {"text": torch.zeros_like(train.present["text"])}
    with torch.random.fork_rng(), torch.autocast("cpu", torch.bfloat16):
        for stage in model.stages:
            total = sum(
                (x.float() for x in model.train().losses(train, train.observe(hide), stage.name).values()), torch.zeros(())
            )
            assert torch.isfinite(total)
            total.backward()
        found = model.eval()(test.observe({"text": torch.zeros_like(test.present["text"])}))
    assert torch.isfinite(found.logits).all()
    assert all(torch.isfinite(x).all() for x in found.recovered.values())
