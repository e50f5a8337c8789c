"""Calibration keeps the classes and lowers the log loss; an ensemble is the mean of members that learn apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import Recognizer, build
from lacuna.models.wrappers.calibration import Calibrated
from lacuna.models.wrappers.ensemble import Ensemble
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
    if task == "classification":
        answers = [a.log_softmax(dim=1) for a in answers]
    torch.testing.assert_close(model(batch).logits, torch.stack(answers).mean(dim=0))
    sum(model.losses(batch, batch, "task").values()).backward()
    alone, _ = made("mlp", task)
    alone.load_state_dict(model.members[1].state_dict())
    sum(alone.losses(batch, batch, "task").values()).backward()
    for ours, theirs in zip(model.members[1].parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_model_that_recovers_frames_is_no_member() -> None:
    inner, _ = made("ae")
    with pytest.raises(ConfigError, match="cannot be a member"):
        Ensemble(inner, 2)
