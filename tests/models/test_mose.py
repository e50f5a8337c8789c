"""MoSE: gates sum to one, weights of the modalities are those of available ones, and equal weights cost nothing."""

from __future__ import annotations

import math

import pytest
import torch

from lacuna.models.mose import divergence_from_equal
from small_systems import everything, small, without


@pytest.mark.parametrize("missing", [(), ("audio",), ("text", "vision"), ("text", "audio", "vision")])
def test_gates_sum_to_one_and_missing_modalities_weigh_nothing(missing: tuple[str, ...]) -> None:
    batch = without(everything(), *missing)
    fused = small("mose").fused(batch)  # type: ignore[operator]
    torch.testing.assert_close(fused.gates.sum(dim=2), torch.ones(fused.gates.shape[:2]))
    assert (fused.weights[~batch.available()] == 0).all()
    torch.testing.assert_close(fused.weights.sum(dim=1), batch.available().any(dim=1).float())


def test_the_regulariser_is_zero_at_equal_weights_of_the_available_modalities_alone() -> None:
    available = torch.tensor([[True, True, True], [True, False, True], [False, True, False], [False, False, False]])
    equal = available / available.sum(dim=1, keepdim=True).clamp_min(1)
    torch.testing.assert_close(divergence_from_equal(equal, available), torch.zeros(4))
    tilted = torch.tensor([[0.8, 0.1, 0.1], [0.8, 0.0, 0.2]])
    expected = [sum(w * math.log(w * n) for w in row if w) for row, n in (((0.8, 0.1, 0.1), 3), ((0.8, 0.2), 2))]
    torch.testing.assert_close(divergence_from_equal(tilted, available[:2]), torch.tensor(expected))


def test_the_regulariser_pulls_the_weights_towards_equal_ones() -> None:
    model, batch = small("mose", balance=1.0), everything()
    with torch.no_grad():
        model.weigh.weight.mul_(20)  # type: ignore[operator, union-attr]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    history = []
    for _ in range(40):
        loss = model.losses(batch, batch, "task")["balance"]
        history.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert history[0] > 0.1
    assert history[-1] < 0.2 * history[0]


def test_experts_of_a_modality_differ_in_their_up_projection_alone() -> None:
    model = small("mose")
    names = [name for name, _ in model.named_parameters()]
    assert [name for name in names if name.startswith("down")] == ["down.weight"]
    assert [name for name in names if name.startswith("experts")] == [
        f"experts.{m}.{part}" for m in range(3) for part in ("up", "gate.weight", "gate.bias")
    ]
