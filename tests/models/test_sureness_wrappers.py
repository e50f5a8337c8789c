"""Calibration keeps the classes and lowers the log loss; an ensemble is the mean of members that learn apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import Recognizer, build, configure
from lacuna.models.base import CONTRIBUTION, VARIANCE
from lacuna.models.config import Maci
from lacuna.models.wrappers.calibration import Calibrated
from lacuna.models.wrappers.causal import Causal
from lacuna.models.wrappers.ensemble import Ensemble
from lacuna.models.wrappers.window import Windowed
from lacuna.models.wrappers.wrapped import Wrapped
from lacuna.training import Recipe
from lacuna.training.identity import run_key
from standin import StandIn, generate

STANDIN = StandIn(dialogues=10, turns=6, dims=(("text", 6), ("audio", 5)))


def made(name: str, task: str = "classification") -> tuple[Recognizer, Batch]:
    corpus = generate(STANDIN, task)
    batch = collate(corpus, np.arange(len(corpus)), corpus.schema(), fit_statistics(corpus))
    return build(name, corpus.schema()).eval(), batch


@pytest.mark.parametrize("name", ["mlp", "context_gru"])
def test_calibration_keeps_the_classes_and_lowers_the_log_loss(name: str) -> None:
    inner, batch = made(name)
    with torch.no_grad():
        for parameter in inner.parameters():
            parameter.mul_(4)  # overconfident
    model = Calibrated(inner).eval()
    seen = [batch, batch.observe({"text": torch.zeros_like(batch.present["text"])})]
    with torch.no_grad():
        before = [model(b).logits for b in seen]
        model.settle(lambda: seen, lambda logits: 0.0)
        after = [model(b).logits for b in seen]
    for b, x, y in zip(seen, before, after, strict=True):
        assert torch.equal(x.argmax(dim=1), y.argmax(dim=1))
        assert torch.nn.functional.cross_entropy(y, b.label) < torch.nn.functional.cross_entropy(x, b.label)


def test_a_score_has_no_temperature() -> None:
    inner, _ = made("mlp", "regression")
    with pytest.raises(ConfigError, match="setting 'calibrate' needs classes"):
        Calibrated(inner)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_an_ensemble_averages_members_that_learn_apart(task: str) -> None:
    inner, batch = made("mlp", task)
    model = Ensemble(inner, 3).eval()
    answers = [member(batch).logits for member in model.members]
    assert not torch.equal(answers[0], answers[1])
    ours = model(batch).logits
    if task == "classification":
        answers = [a.log_softmax(dim=1) for a in answers]
        mean = torch.stack(answers).mean(dim=0).log_softmax(dim=1)
        torch.testing.assert_close(ours.log_softmax(dim=1), mean)
    else:
        torch.testing.assert_close(ours, torch.stack(answers).mean(dim=0))
    sum(model.losses(batch, batch, "task").values()).backward()
    alone, _ = made("mlp", task)
    alone.load_state_dict(model.members[1].state_dict())
    sum(alone.losses(batch, batch, "task").values()).backward()
    for mine, theirs in zip(model.members[1].parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_the_variance_of_an_ensemble_is_that_of_the_mixture() -> None:
    inner, batch = made("evidence", "regression")
    model = Ensemble(inner, 3).eval()
    for number, member in enumerate(model.members):
        member.moments.copy_(torch.tensor([float(number), 1.0 + number]))
    answers = [member(batch) for member in model.members]
    second = torch.stack([a.auxiliary[VARIANCE] + a.logits.square() for a in answers]).mean(dim=0)  # E[y^2]
    ours = model(batch)
    torch.testing.assert_close(ours.spread, (second - ours.logits.square()).sqrt().squeeze(1))
    assert (ours.spread > torch.stack([a.spread for a in answers]).mean(dim=0)).all()


def test_a_difference_of_values_has_no_spread_of_its_own() -> None:
    inner, batch = made("evidence", "regression")
    inner.moments.copy_(torch.tensor([0.0, 2.0]))
    model = Causal(inner, Maci(backdoor=False)).eval()
    assert torch.equal(model(batch).spread, inner(batch).spread)
    model.tau.fill_(0.5)
    assert (model(batch).spread == 1).all()
    assert (inner(batch).spread != 1).all()


def test_settings_switch_the_wrappers_on_from_the_inside_out() -> None:
    corpus = generate(STANDIN)
    model = build("mlp", corpus.schema(), ensemble=2, window=1, maci={}, calibrate=True)
    order = []
    while isinstance(model, Wrapped):
        order.append(type(model))
        model = model.inner
    assert order == [Calibrated, Causal, Windowed, Ensemble]
    assert build("mlp", corpus.schema(), ensemble=1, calibrate=False).info.name == "mlp"
    assert not isinstance(build("mlp", corpus.schema()), Wrapped)


def test_a_wrapped_model_is_no_member() -> None:
    inner, _ = made("mlp")
    with pytest.raises(ConfigError, match="wrapped already"):
        Ensemble(Calibrated(inner), 2)


@pytest.mark.parametrize("changes", [{"ensemble": 0}, {"ensemble": 65}, {"ensemble": 1.5}, {"calibrate": 1}])
def test_settings_out_of_bounds_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"setting '{next(iter(changes))}' must be"):
        configure("mlp", **changes)


def test_contributions_of_a_calibrated_model_sum_to_its_logits() -> None:
    inner, batch = made("evidence")
    model = Calibrated(inner)
    model.temperature.log_temperature.fill_(0.7)
    prediction = model(batch)
    parts = [x for name, x in prediction.auxiliary.items() if name.startswith(CONTRIBUTION)]
    torch.testing.assert_close(torch.stack(parts).sum(dim=0), prediction.logits)
    torch.testing.assert_close(prediction.logits, inner(batch).logits / model.temperature(batch.available()))


def test_the_settings_make_other_runs_and_only_used_wrappers_are_in_the_key() -> None:
    corpus = generate(STANDIN)
    runs = [Recipe.of(corpus, "mlp", settings=s) for s in ({}, {"calibrate": True}, {"ensemble": 2}, {"calibrate": False})]
    keys = [run_key(recipe) for recipe in runs]
    assert len(set(keys[:3])) == 3
    assert keys[3] == keys[0]
    codes = [recipe.identity()["made.code"] for recipe in runs]
    assert len(set(codes[:3])) == 3
