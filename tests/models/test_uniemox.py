"""UniEmoX: a sum of the present streams, and a distillation from frozen features."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lacuna.models.uniemox import distances
from small_systems import everything, small, without

KNOWN = torch.tensor([True, True, True, True, False])


def vectors(seed: int) -> torch.Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))


def test_a_student_equal_to_its_teacher_in_direction_has_no_loss() -> None:
    for part in distances(3 * vectors(0), vectors(0), KNOWN):
        assert float(part) == pytest.approx(0, abs=1e-6)
    assert all(part > 0.1 for part in distances(vectors(1), vectors(0), KNOWN))


def test_the_relation_is_that_of_the_rows_of_both_similarities() -> None:
    student, teacher = (torch.nn.functional.normalize(vectors(seed)[:4], dim=1) for seed in (1, 0))
    rows = [1 - torch.cosine_similarity(student[i] @ teacher.T, teacher[i] @ teacher.T, dim=0) for i in range(4)]
    torch.testing.assert_close(distances(vectors(1), vectors(0), KNOWN)[1], torch.stack(rows).mean())


def test_utterances_without_the_teacher_are_in_neither_loss() -> None:
    other = vectors(0)
    other[4] = 9.0
    for before, after in zip(distances(vectors(1), vectors(0), KNOWN), distances(vectors(1), other, KNOWN), strict=True):
        torch.testing.assert_close(before, after)
    assert all(part == 0 for part in distances(vectors(1), vectors(0), torch.zeros(5, dtype=torch.bool)))


def test_the_student_learns_from_frames_of_the_teacher_that_are_hidden_from_it() -> None:
    model, complete = small("uniemox"), everything()
    observed = without(complete, "vision")
    losses = model.losses(complete, observed, "task")
    changed = replace(complete, features={**complete.features, "vision": complete.features["vision"].flip(0)})
    assert (model.losses(changed, observed, "task")["similarity"] - losses["similarity"]).abs() > 1e-4
    assert all(model.losses(observed, observed, "task")[part] == 0 for part in ("similarity", "relation"))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        model.losses(complete, observed, "task")["similarity"].backward()
        optimizer.step()
    assert model.losses(complete, observed, "task")["similarity"] < 0.5 * losses["similarity"]


def test_the_teacher_has_no_part_in_the_answer() -> None:
    model, batch = small("uniemox"), everything()
    before = model(batch).logits
    with torch.no_grad():
        model.student.weight += 1
    assert torch.equal(model(batch).logits, before)
