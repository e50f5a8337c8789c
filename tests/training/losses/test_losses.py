"""What each loss computes, against its definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lacuna.corpus import Modality, Schema, Target
from lacuna.errors import ConfigError
from lacuna.metrics.scores import ccc_of
from lacuna.models import task_loss
from lacuna.models.layers.concordance import concordance_loss
from lacuna.training.losses import Focal, LabelCounts, Loss, list_losses, loss, loss_class
from lacuna.training.losses.base import loss_of
from lacuna.training.losses.physics import residual
from lacuna.training.losses.rater_shares import penalisation_matrix

CLASSES = ("a", "b", "c", "d")
TARGETS = {
    "classification": Target("emotion", "classification", CLASSES),
    "soft": Target("votes", "soft", CLASSES),
    "regression": Target("valence", "regression"),
}
SCHEMA = Schema((Modality("eda", 2), Modality("text", 3)), TARGETS["classification"])
GIVEN = [(name, task) for name in list_losses() for task in loss_class(name).tasks]


def labels_of(task: str, seed: int = 0, number: int = 12) -> Tensor:
    """Labels of which the last one is missing."""
    generator = torch.Generator().manual_seed(seed)
    if task == "classification":
        labels: Tensor = torch.randint(0, 4, (number,), generator=generator)
        labels[-1] = -1
        return labels
    if task == "regression":
        values = torch.randn(number, generator=generator)
        values[-1] = math.nan
        return values
    votes = torch.randint(0, 4, (number, 4), generator=generator).float()
    votes[:, 0] += 1  # nobody is without a vote
    votes[-1] = math.nan
    return votes / votes.sum(dim=1, keepdim=True)


def logits_of(task: str, seed: int = 1, number: int = 12) -> Tensor:
    return torch.randn(number, TARGETS[task].width, generator=torch.Generator().manual_seed(seed))


def computed(chosen: Loss, task: str, logits: Tensor, labels: Tensor) -> Tensor:
    value: Tensor = chosen.objective(LabelCounts.of(TARGETS[task], labels), SCHEMA, 5)(logits, labels)
    return value


@pytest.mark.parametrize(("name", "task"), GIVEN)
def test_every_loss_is_a_finite_scalar_and_unlabelled_utterances_have_no_influence(name: str, task: str) -> None:
    labels, logits = labels_of(task), logits_of(task).requires_grad_()
    value = computed(loss(name), task, logits, labels)
    assert value.ndim == 0
    assert float(value.detach()) > 0
    (gradient,) = torch.autograd.grad(value, logits)
    assert torch.isfinite(gradient).all()
    assert (gradient[:-1] != 0).any()
    assert (gradient[-1] == 0).all()
    other = torch.cat([logits.detach()[:-1], logits.detach()[-1:] + 7])
    assert torch.equal(computed(loss(name), task, other, labels), value.detach())


@pytest.mark.parametrize(("name", "task"), GIVEN)
def test_a_batch_without_labels_has_the_loss_zero_and_no_gradient(name: str, task: str) -> None:
    labels, logits = labels_of(task), logits_of(task).requires_grad_()
    objective = loss(name).objective(LabelCounts.of(TARGETS[task], labels), SCHEMA, 5)
    value = objective(logits[-1:], labels[-1:])
    assert float(value.detach()) == 0
    assert (torch.autograd.grad(value, logits)[0] == 0).all()


@pytest.mark.parametrize("task", ["classification", "soft"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_focal_with_gamma_0_and_equal_weights_is_cross_entropy(task: str, seed: int) -> None:
    labels, logits = labels_of(task, seed), logits_of(task, seed + 1)
    value = computed(Focal(gamma=0.0, prior=False), task, logits, labels)
    torch.testing.assert_close(value, task_loss(TARGETS[task], logits, labels))


def test_focal_is_the_formula_of_its_source() -> None:
    labels, logits = labels_of("classification", number=40), logits_of("classification", number=40)
    known, p = labels[:-1], logits[:-1].softmax(dim=1)
    weights = [len(known) / (4 * int((known == c).sum())) for c in range(4)]
    expected = [-weights[y] * (1 - float(q[y])) ** 2 * math.log(float(q[y])) for y, q in zip(known.tolist(), p, strict=True)]
    assert float(computed(Focal(), "classification", logits, labels)) == pytest.approx(sum(expected) / len(known), rel=1e-5)


def test_class_balanced_weights_are_between_equal_and_inverse_to_the_number_of_utterances() -> None:
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])
    weights = loss("class_balanced").objective(LabelCounts.of(TARGETS["classification"], labels), SCHEMA, 0).weights
    assert float(weights.sum()) == pytest.approx(4)
    assert weights[3] == 0  # never occurs
    assert 1 < weights[1] / weights[0] < 10
    equal = loss("class_balanced", beta=0.0).objective(LabelCounts.of(TARGETS["classification"], labels), SCHEMA, 0).weights
    torch.testing.assert_close(equal[:3], torch.full((3,), 4 / 3))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), penalty=st.floats(0.0, 2.0))
def test_the_penalisation_is_the_double_sum(seed: int, penalty: float) -> None:
    labels, logits = labels_of("soft", seed), logits_of("soft", seed + 1)
    shares, p = labels[:-1], logits[:-1].softmax(dim=1)
    matrix = penalisation_matrix(shares > 0.25).tolist()
    double = [
        sum(float(y[i]) * matrix[i][j] * float(q[j]) for i in range(4) for j in range(4)) for y, q in zip(shares, p, strict=True)
    ]
    expected = float(task_loss(TARGETS["soft"], logits, labels)) + penalty * sum(double) / len(double)
    assert float(computed(loss("penalisation", penalty=penalty), "soft", logits, labels)) == pytest.approx(expected, rel=1e-4)


def test_the_penalisation_matrix_says_what_never_occurs_together() -> None:
    present = torch.tensor([[True, True, False], [True, True, False], [True, False, False], [False, False, True]])
    assert penalisation_matrix(present).tolist() == [[0, pytest.approx(1 / 3), 1], [0, 0, 1], [1, 1, 0]]


def test_majority_ignores_utterances_without_agreement() -> None:
    shares = torch.tensor([[0.5, 0.5, 0, 0], [0.7, 0.3, 0, 0]])
    logits = logits_of("soft", number=2)
    hard = task_loss(TARGETS["classification"], logits[1:], torch.tensor([0]))
    torch.testing.assert_close(computed(loss("majority"), "soft", logits, shares), hard)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-100, 100), min_size=2, max_size=9, unique=True))
def test_the_ccc_loss_of_equal_values_is_zero(values: list[int]) -> None:
    x = torch.tensor(values, dtype=torch.float32)
    assert float(concordance_loss(x, x)) == pytest.approx(0, abs=1e-5)
    assert -1e-5 <= float(concordance_loss(-x, x)) <= 2 + 1e-5


def test_the_ccc_loss_is_the_metric_of_evaluation() -> None:
    y, p = (
        torch.randn(50, generator=torch.Generator().manual_seed(0)),
        torch.randn(50, generator=torch.Generator().manual_seed(1)),
    )
    p = 0.5 * p + y + 0.3
    moments = torch.stack([torch.tensor(50.0), y.sum(), p.sum(), y @ y, p @ p, y @ p]).double().numpy()
    assert float(concordance_loss(p, y)) == pytest.approx(1 - float(ccc_of(moments)), abs=1e-4)


def test_the_residual_is_zero_for_a_solution_of_the_equation() -> None:
    """E(t) = d/a + (E_0 - d/a) exp(-c a t) solves dE/dt = c (d - a E)."""
    t = torch.linspace(0, 3, 20, dtype=torch.float64).requires_grad_()
    drive, decay, rate = torch.tensor(0.7), torch.tensor(0.4), torch.tensor(1.3)
    level = drive / decay + (2 - drive / decay) * torch.exp(-rate * decay * t)
    (slope,) = torch.autograd.grad(level.sum(), t)
    assert residual(level, slope, drive, decay, rate).abs().max() < 1e-6
    assert residual(level, slope + 1, drive, decay, rate).abs().min() > 0.9


def test_the_slope_of_the_course_is_its_derivative() -> None:
    objective: Any = loss("physics").objective(LabelCounts.of(TARGETS["classification"], labels_of("classification")), SCHEMA, 5)
    hidden, time = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)), torch.rand(3, 4).requires_grad_()
    level, slope = objective._course(hidden, time)
    torch.testing.assert_close(slope, torch.autograd.grad(level.sum(), time)[0])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("focl", "unknown loss 'focl' \\(did you mean 'focal'"),
        ({"name": "focal", "gama": 1}, "loss 'focal' has no setting 'gama'"),
        ({"name": "focal", "gamma": -1}, "'gamma' must be a number from 0.0 to 10.0; found -1"),
        (3, "a loss must be a name"),
    ],
)
def test_a_wrong_loss_is_refused(value: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        loss_of(value)


@pytest.mark.parametrize("name", list_losses())
def test_plain_values_make_the_same_loss_and_a_target_of_another_kind_is_refused(name: str) -> None:
    chosen = loss(name)
    assert loss_of(chosen.to_json()) == chosen
    assert chosen.source
    for task, target in TARGETS.items():
        if task not in chosen.tasks:
            with pytest.raises(ConfigError, match=f"loss '{name}' is for targets of kind"):
                chosen.check(target)
