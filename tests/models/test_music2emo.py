"""Music2Emo: targets of different kinds on one body, each head with a loss only where it has labels; a frozen teacher."""

from __future__ import annotations

import torch
from torch import nn

from lacuna.corpus import Target
from lacuna.models import task_loss
from lacuna.models.layers.mixed_targets import distillation_loss, mixed_loss
from small_systems import everything, small, without

MOOD, VALENCE = Target("mood", "classification", ("calm", "sad", "tense")), Target("valence", "regression")


def heads() -> tuple[nn.Linear, nn.Linear, torch.Tensor]:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return nn.Linear(4, 3), nn.Linear(4, 1), torch.randn(6, 4)


def test_a_head_without_labels_gets_no_gradient_from_them() -> None:
    mood, valence, h = heads()
    unlabelled, scores = torch.full((6,), -1), torch.linspace(-1, 1, 6)
    mixed_loss([MOOD, VALENCE], [mood(h), valence(h)], [unlabelled, scores])["task"].backward()
    assert (mood.weight.grad == 0).all()
    assert (valence.weight.grad != 0).any()


def test_the_loss_is_the_share_of_each_target_and_of_the_teacher() -> None:
    mood, valence, h = heads()
    labels = [torch.tensor([0, 1, 2, -1, 0, 1]), torch.linspace(-1, 1, 6)]
    outputs, teacher = [mood(h), valence(h)], [torch.randn(6, 3), torch.randn(6, 1)]
    losses = mixed_loss([MOOD, VALENCE], outputs, labels, teacher, share=0.8)
    hard = task_loss(MOOD, outputs[0], labels[0]) + task_loss(VALENCE, outputs[1], labels[1])
    p, q = teacher[0].softmax(dim=1), outputs[0].softmax(dim=1)
    soft = (p * (p / q).log()).sum(dim=1).mean() + (outputs[1] - teacher[1]).square().mean()
    torch.testing.assert_close(losses["task"], 0.2 * hard)
    torch.testing.assert_close(losses["distillation"], 0.8 * soft)
    assert distillation_loss(MOOD, teacher[0], teacher[0]) == distillation_loss(VALENCE, teacher[1], teacher[1]) == 0


def test_the_teacher_reads_the_complete_batch_and_is_frozen_when_the_student_learns() -> None:
    model, complete = small("music2emo", teaching=2, distillation=1.0).train(), everything()
    observed = without(complete, "text")
    model.losses(complete, observed, "task")["distillation"].backward()
    assert all(p.grad is None for name, p in model.named_parameters() if name.startswith("teacher"))
    student = [p.grad for name, p in model.named_parameters() if name.startswith("student")]
    assert any((g != 0).any() for g in student if g is not None)
    assert torch.equal(
        model.eval().losses(complete, observed, "teacher")["task"], model.losses(complete, complete, "teacher")["task"]
    )
    first, second = model.stages
    assert (first.end, second.first) == (2, 2)
    assert model.teacher is not None
    assert small("music2emo", distillation=0.0).teacher is small("music2emo", teaching=0).teacher is None
