"""What RoHyDR promises beyond the contract: its stages, its sampler, and what each of its parts is for."""

from __future__ import annotations

import time
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
from lacuna.missing import Layout, MaskPlan, pattern
from lacuna.models import build
from lacuna.models.layers.crossmodal import CrossModalFusion
from lacuna.models.layers.diffusion import ANY_SOLVERS, Noising, sample
from lacuna.models.layers.tokens import Tokens
from lacuna.models.rohydr import RoHyDR
from lacuna.training import Loader, TrainingConfig, fit
from lacuna.training.state import RunState
from lacuna.training.steps import stage_steps, update
from standin import StandIn, generate

DIMS = (("text", 6), ("audio", 5), ("vision", 4))
SMALL: dict[str, Any] = {"hidden": 16, "blocks": 1, "heads": 2, "channels": 8, "channel_blocks": 1, "width": 8, "steps": 5}


@cache
def corpus_of(frames: int = 3, absent: float = 0.0, dims: tuple[tuple[str, int], ...] = DIMS) -> Corpus:
    return generate(StandIn(dialogues=8, turns=5, dims=dims, frames=frames, absent=absent, signal=(0.9, 0.6, 0.4, 0.4)))


def made(corpus: Corpus, **changes: Any) -> tuple[RoHyDR, Batch]:
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build("rohydr", schema, **SMALL | changes)
    assert isinstance(model, RoHyDR)
    model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 64))
    return model.eval(), collate(corpus, np.arange(len(corpus)), schema, statistics)


def moved(model: RoHyDR) -> RoHyDR:
    """Away from the start, where last layers are 0."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.random.default_generator.manual_seed(1)
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def without(batch: Batch, *names: str) -> Batch:
    return batch.observe({m: torch.zeros_like(batch.present[m]) for m in names})


def gradients(model: RoHyDR, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
    model.zero_grad()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        total = sum(model.losses(complete, observed, stage).values(), torch.zeros(()))
    if total.requires_grad:
        total.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}


def step(model: RoHyDR, complete: Batch, observed: Batch, *stages: str) -> None:
    steps = [s for s in stage_steps(model, TrainingConfig(weight_decay=0.1)) if s.stage.name in stages]
    assert [s.stage.name for s in steps] == list(stages)
    with torch.random.fork_rng():
        update(model, steps, [(complete, observed)], rate=0.01, clip_norm=0.0, cast=torch.enable_grad(), where="here")


def state(model: RoHyDR, prefix: str) -> dict[str, Tensor]:
    return {n: x.clone() for n, x in model.state_dict().items() if n.startswith(prefix)}


@pytest.mark.parametrize("tokens", [1, 4])
def test_where_nothing_is_missing_the_input_comes_back_and_only_the_task_and_the_judge_learn(tokens: int) -> None:
    model, complete = made(corpus_of(), tokens=tokens)
    moved(model)
    recovered = model(complete).recovered
    for m, present in complete.present.items():
        assert torch.equal(recovered[m][present], complete.features[m][present])
    assert not model.tokens(complete).missing.any()
    for stage in ("unimodal", "fusion"):
        assert gradients(model, complete, complete, stage) == {}
        assert all(float(x.detach()) == 0 for x in model.losses(complete, complete, stage).values())
    assert all(n.startswith("discriminator.") for n in gradients(model, complete, complete, "discriminator"))
    assert gradients(model, complete, complete, "discriminator")
    assert {n.split(".")[0] for n in gradients(model, complete, complete, "task")} == {"fusion", "residual", "head"}


def test_an_answer_without_holes_does_not_ask_the_recovery() -> None:
    model, complete = made(corpus_of())
    before = model(complete).logits
    for name in ("denoisers", "condition", "unimodal", "multimodal", "discriminator"):
        with torch.no_grad():
            for p in getattr(model, name).parameters():
                p.add_(1.0)
    assert torch.equal(model(complete).logits, before)


@pytest.mark.parametrize("settings", [{}, {"tokens": 4}])
def test_every_stage_leaves_the_parts_of_the_others_bit_identical(settings: dict[str, Any]) -> None:
    model, complete = made(corpus_of(), **settings)
    observed = without(moved(model).train() and complete, "text")
    steps: dict[str, tuple[str, ...]] = {
        "unimodal": ("denoisers", "condition", "unimodal"),
        "discriminator": ("discriminator",),
        "fusion": ("unimodal", "fusion", "multimodal"),
        "task": ("unimodal", "fusion", "multimodal", "residual", "head"),
    }
    assert [s.name for s in model.stages] == list(steps)
    parts = {n.split(".")[0] for n, _ in model.named_parameters()}
    for stage, own in steps.items():
        before = {part: state(model, part) for part in parts}
        step(model, complete, observed, stage)
        for part in parts:
            same = all(torch.equal(x, before[part][n]) for n, x in state(model, part).items())
            assert same == (part not in own), (stage, part)


def test_the_discriminator_gets_no_gradient_from_those_that_it_judges_nor_they_from_its_own() -> None:
    model, complete = made(corpus_of())
    observed = without(complete, "audio")
    moved(model)
    assert not any(n.startswith("discriminator.") for n in gradients(model, complete, observed, "fusion"))
    assert all(n.startswith("discriminator.") for n in gradients(model, complete, observed, "discriminator"))
    single, _ = made(corpus_of(), staged=False)
    moved(single)
    whole = gradients(single, complete, observed, "task")
    assert {n.split(".")[0] for n in whole} == {n.split(".")[0] for n, _ in single.named_parameters()}
    alone = gradients(model, complete, observed, "discriminator")
    for name, g in alone.items():  # summed with the others, its gradient is still its own
        torch.testing.assert_close(whole[name], g, rtol=1e-4, atol=1e-6)


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
    one, complete = made(corpus_of(), unimodal=False)
    many, _ = made(corpus_of(), unimodal=False, draws=3)
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


@pytest.mark.parametrize("dims", [DIMS[:1], DIMS[:2], (*DIMS, ("pulse", 1))])
@pytest.mark.parametrize("settings", [{}, {"tokens": 4, "sampled": True, "solver": "dpm++"}, {"staged": False}])
def test_gradients_are_finite_for_any_number_of_modalities(dims: tuple[tuple[str, int], ...], settings: dict[str, Any]) -> None:
    model, complete = made(corpus_of(absent=0.0, dims=dims), **settings)
    for gone in (["text"], [m for m, _ in dims[1:]], [m for m, _ in dims]):
        for stage in model.stages:
            found = gradients(model, complete, without(complete, *gone), stage.name)
            assert all(torch.isfinite(g).all() for g in found.values())
        assert torch.isfinite(model(without(complete, *gone)).logits).all()


@pytest.mark.parametrize(
    ("settings", "stages"),
    [
        ({"generator": "mean"}, ["unimodal", "discriminator", "fusion", "task"]),
        ({"generator": "regression"}, ["unimodal", "discriminator", "fusion", "task"]),
        ({"generator": "mean", "unimodal": False}, ["discriminator", "fusion", "task"]),
        ({"unimodal": False}, ["unimodal", "discriminator", "fusion", "task"]),
        ({"adversary": False}, ["unimodal", "fusion", "task"]),
        ({"multimodal": False}, ["unimodal", "task"]),
        ({"staged": False}, ["task"]),
        ({"warmup": 2}, ["complete", "unimodal", "discriminator", "fusion", "task"]),
        ({"maci": {"counterfactual": False}}, ["unimodal", "discriminator", "fusion", "task"]),
    ],
)
def test_parts_can_be_left_out(settings: dict[str, Any], stages: list[str]) -> None:
    corpus = corpus_of(absent=0.2)
    config = TrainingConfig(epochs=1, batch_size=16, patience=0, pattern="rmm", device="cpu", valid_rates=(0.5,))
    parts = corpus.only("train"), corpus.only("valid"), fit_statistics(corpus)
    fitted = fit("rohydr", corpus.schema(), *parts, config, settings=SMALL | settings)
    assert [s.name for s in fitted.trained.model.stages] == stages
    known = {n.split("/")[0] for n in fitted.history[0] if n.endswith("/grad_norm")}
    assert known == set(stages[:1] if "warmup" in settings else stages)


def test_the_mean_is_recovered_by_the_mean() -> None:
    model, complete = made(corpus_of(frames=1), generator="mean", unimodal=False)
    recovered = model(without(complete, "text")).recovered["text"]
    train = complete.features["text"][: len(corpus_of().only("train"))]
    torch.testing.assert_close(recovered, train.mean(dim=0, keepdim=True).expand_as(recovered), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("interleaved", ["w", "w", "ujft", "ujft", "ujft", "ujft", "ujft", "ujft"]),
        ("alternating", ["w", "w", "u", "jf", "t", "u", "jf", "t"]),
        ("sequential", ["w", "w", "u", "u", "jf", "jf", "t", "t"]),
    ],
)
def test_schedules_say_which_stage_runs_when(schedule: str, expected: list[str]) -> None:
    model, _ = made(corpus_of(), schedule=schedule, phase=2, warmup=2)
    short = {"complete": "w", "unimodal": "u", "discriminator": "j", "fusion": "f", "task": "t"}
    assert ["".join(short[s.name] for s in model.stages if s.runs(epoch)) for epoch in range(8)] == expected


def test_a_run_steps_the_stages_of_its_epoch_and_waits_for_the_last_of_them() -> None:
    corpus = corpus_of()
    config = TrainingConfig(epochs=4, batch_size=64, patience=1, pattern="rmm", device="cpu", learning_rate=1e-5)
    parts = corpus.only("train"), corpus.only("valid"), fit_statistics(corpus)
    history = fit("rohydr", corpus.schema(), *parts, config, settings={**SMALL, "schedule": "sequential", "phase": 1}).history
    stages = [{n.split("/")[0] for n in row if n.endswith("/grad_norm")} for row in history[:3]]
    assert stages == [{"unimodal"}, {"discriminator", "fusion"}, {"task"}]


def test_a_stage_that_was_never_stepped_survives_a_checkpoint() -> None:
    model, complete = made(corpus_of(), schedule="sequential")
    step(model, complete, without(complete, "text"), "unimodal")
    states = [RunState(m, stage_steps(m, TrainingConfig()), torch.device("cpu")) for m in (model, made(corpus_of())[0])]
    update(
        *(model, states[0].steps[:1], [(complete, without(complete, "text"))]),
        **{"rate": 0.01, "clip_norm": 0.0, "cast": torch.enable_grad(), "where": ""},
    )
    states[1].restore(states[0].tensors(), states[0].progress_json())
    assert [len(s.optimizer.state) > 0 for s in states[1].steps] == [True, False, False, False]
    assert all(torch.equal(x, states[1].model.state_dict()[n]) for n, x in model.state_dict().items())


def test_five_steps_of_one_vector_take_no_time() -> None:
    begun = time.perf_counter()
    model, complete = made(corpus_of(frames=1), hidden=16, width=16)
    model.train()
    for _ in range(5):
        step(model, complete, without(complete, "text"), *(s.name for s in model.stages))
    assert torch.isfinite(model.eval()(without(complete, "text")).logits).all()
    assert time.perf_counter() - begun < 5


def test_what_is_recovered_is_closer_to_the_truth_than_the_mean() -> None:
    corpus = generate(StandIn(dialogues=40, turns=8, dims=DIMS, signal=(2.0, 2.0, 2.0)))
    model, complete = made(corpus, hidden=32)
    train = complete.take(torch.arange(192))
    test = complete.take(torch.arange(192, 320))
    steps = [s for s in stage_steps(model.train(), TrainingConfig()) if s.stage.name == "unimodal"]
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        for _ in range(150):
            update(model, steps, [(train, without(train, "text"))], rate=3e-3, clip_norm=1.0, cast=torch.enable_grad(), where="")
    found = model.eval()(without(test, "text")).recovered["text"].flatten(1)
    true = test.features["text"].flatten(1)
    mean = train.features["text"].mean(dim=0).expand(len(true), 1, -1).flatten(1)
    cosine, fill = (torch.nn.functional.cosine_similarity(x, true, dim=1).mean() for x in (found, mean))
    assert float(cosine.detach()) > float(fill) + 0.3


def test_tokens_stand_on_one_grid_and_gaps_are_asked_for() -> None:
    corpus = corpus_of(frames=7)
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    tokens = Tokens(schema, 8, 3)
    tokens.fit(lambda: Loader(corpus.only("train"), schema, statistics, 64))
    batch = collate(corpus, np.arange(len(corpus)), schema, statistics)
    assert int(tokens.number) == 3
    assert tokens.stride.tolist() == [3, 3, 3]
    seen = tokens(batch)
    for m, (name, x) in enumerate(batch.features.items()):
        first = batch.present[name][:, :3]
        mean = (x[:, :3] * first[..., None]).sum(1) / first.sum(1, keepdim=True)
        torch.testing.assert_close(seen.raw[m][:, 0], mean)
    row = int((batch.present["text"].sum(1) == 7).nonzero()[0])
    holes = {m: p.clone() for m, p in batch.present.items()}
    holes["text"][row, :3] = False
    assert tokens(replace(batch, present=holes)).asked[row].tolist()[0] == [True, False, False]
    alone = tokens(without(batch, "audio", "vision"))
    reach = alone.here[:, 0].sum(1)
    assert torch.equal(alone.asked[:, 1].sum(1), reach)  # as far as the text goes
    assert tokens(without(batch, *batch.features)).asked.all()
    back = tokens.decode(seen, seen.coded)
    assert all(torch.equal(a, b) for a, b in zip(back, seen.raw, strict=True))


def test_fusion_reads_no_token_that_does_not_exist() -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        fusion = CrossModalFusion([4, 3], 8, 2, 1, 1, 0.0).eval()
        raw = [torch.randn(5, 3, 4), torch.randn(5, 3, 3)]
        keys = torch.rand(5, 2, 3) > 0.4
    loud = [torch.where(keys[:, m, :, None], x, 1e3) for m, x in enumerate(raw)]
    torch.testing.assert_close(fusion(raw, keys), fusion(loud, keys))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hidden": 30, "heads": 4}, "'hidden' must be a multiple of heads"),
        ({"width": 30, "heads": 4}, "'width' must be a multiple of heads"),
        ({"solver": "euler"}, "ddim or dpm"),
        ({"schedule": "random"}, "interleaved or"),
        ({"generator": "gan"}, "diffusion or"),
        ({"staged": 1}, "true or false"),
    ],
)
def test_settings_that_make_no_model_are_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        build("rohydr", corpus_of().schema(), **changes)
