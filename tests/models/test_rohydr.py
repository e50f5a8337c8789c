"""What RoHyDR promises of its training: its stages, who learns from what, and what each of its parts is for."""

from __future__ import annotations

import copy
import pickle
import time
from typing import Any

import pytest
import torch

from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import build
from lacuna.training import Recipe, TrainingConfig, fit
from lacuna.training.state import RunState
from lacuna.training.steps import stage_steps, update
from small_rohydr import DIMS, SMALL, corpus_of, gradients, made, moved, state, step, without


@pytest.mark.parametrize("tokens", [1, 4])
def test_where_nothing_is_missing_the_input_comes_back_and_only_the_task_and_the_judge_learn(
    tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, complete = made(corpus_of(), tokens=tokens)
    moved(model)
    recovered = model(complete).recovered
    for m, present in complete.present.items():
        assert torch.equal(recovered[m][present], complete.features[m][present])
    assert not model.tokens(complete).incomplete.any()
    monkeypatch.setattr(model, "denoise", lambda *_: pytest.fail("a denoiser was asked although nothing is missing"))
    model(complete)
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


@pytest.mark.parametrize("dims", [DIMS[:1], DIMS[:2], (*DIMS, ("pulse", 1))])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tokens": 4, "sampled": True, "solver": "dpm++"},
        {"tokens": 4, "sampled": True, "through": True, "draw_steps": 3},
        {"staged": False},
    ],
)
def test_gradients_are_finite_for_any_number_of_modalities(dims: tuple[tuple[str, int], ...], settings: dict[str, Any]) -> None:
    model, complete = made(corpus_of(absent=0.0, dims=dims), **settings)
    for gone in (["text"], [m for m, _ in dims[1:]], [m for m, _ in dims]):
        for stage in model.stages:
            found = gradients(model, complete, without(complete, *gone), stage.name)
            assert all(torch.isfinite(g).all() for g in found.values())
        assert torch.isfinite(model(without(complete, *gone)).logits).all()


def test_a_denoiser_is_called_once_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    model, complete = made(corpus_of())
    calls: list[int] = []
    denoise, unimodal, drafts = model.denoise, model.unimodal.forward, []
    monkeypatch.setattr(model, "denoise", lambda m, *rest: (calls.append(m), denoise(m, *rest))[1])
    monkeypatch.setattr(model.unimodal, "forward", lambda seen, draft: (drafts.append(draft), unimodal(seen, draft))[1])
    pairs = [(complete, without(complete, *gone)) for gone in (["text", "audio"], ["vision"])]  # gradients are accumulated
    for _ in range(2):
        calls.clear()
        drafts.clear()
        with torch.random.fork_rng():
            steps = stage_steps(model, TrainingConfig())
            update(model, steps, pairs, rate=0.01, clip_norm=0.0, cast=torch.enable_grad(), where="here")
        assert calls == [0, 1, 2]
        assert len(drafts) == len(model.stages) * len(pairs)
        for number, draft in enumerate(drafts):  # each stage gets that of its own batch
            for x, y in zip(draft, drafts[number % len(pairs)], strict=True):
                torch.testing.assert_close(x, y, rtol=0, atol=0)
        assert len(model._drafts) == 0
    for stage in model.stages[1:]:  # a stage of an epoch of its own
        calls.clear()
        gradients(model, complete, without(complete, "text"), stage.name)
        assert calls == [0]


def test_a_model_in_the_middle_of_an_update_can_be_sent_away() -> None:
    model, complete = made(corpus_of())
    gradients(model, complete, observed := without(complete, "text"), "unimodal")
    assert len(model._drafts) == 1
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert len(other._drafts) == 0
        assert torch.equal(other(observed).logits, model(observed).logits)


@pytest.mark.parametrize("settings", [{"through": True}, {"sampled": True, "generator": "mean"}])
def test_switches_that_would_do_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="'through' needs 'sampled'; found generator"):
        made(corpus_of(), **settings)


@pytest.mark.parametrize("stage", ["unimodal", "fusion", "task"])
def test_gradients_flow_through_the_solver_if_asked(stage: str) -> None:
    complete = made(corpus_of())[1]
    observed, found = without(complete, "text"), []
    for through in (False, True):
        model, _ = made(corpus_of(), sampled=True, through=through, draw_steps=3)
        found.append(gradients(moved(model), complete, observed, stage))
    still, flowing = found
    denoisers = [name for name in flowing if name.startswith("denoisers.0.")]
    assert denoisers
    assert all(name in still for name in denoisers) == (stage == "unimodal")
    assert any(name not in still or not torch.allclose(still[name], flowing[name]) for name in denoisers)
    assert flowing.keys() - still.keys() <= {name for name in flowing if name.startswith(("denoisers.", "condition."))}


@pytest.mark.parametrize(
    ("settings", "stages"),
    [
        ({"generator": "mean"}, ["unimodal", "discriminator", "fusion", "task"]),
        ({"generator": "regression"}, ["unimodal", "discriminator", "fusion", "task"]),
        ({"generator": "ridge"}, ["unimodal", "discriminator", "fusion", "task"]),
        ({"generator": "ridge", "unimodal": False, "staged": False}, ["task"]),
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
    fitted = fit(Recipe("rohydr", corpus.schema(), *parts, config, SMALL | settings))
    assert [s.name for s in fitted.trained.model.stages] == stages
    known = {n.split("/")[0] for n in fitted.history[0] if n.endswith("/grad_norm")}
    assert known == set(stages[:1] if "warmup" in settings else stages)


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
    history = fit(Recipe("rohydr", corpus.schema(), *parts, config, {**SMALL, "schedule": "sequential", "phase": 1})).history
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
    begun = time.process_time()  # of this process: others may keep the machine busy
    model, complete = made(corpus_of(frames=1), hidden=16, width=16)
    model.train()
    for _ in range(5):
        step(model, complete, without(complete, "text"), *(s.name for s in model.stages))
    assert torch.isfinite(model.eval()(without(complete, "text")).logits).all()
    assert time.process_time() - begun < 5


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
