"""The concordance loss, and the head of one modality that is trained with it."""

from __future__ import annotations

import pytest
import torch

from lacuna.metrics.protocols.attributes import concordance
from lacuna.models.layers.concordance import concordance_loss
from small_systems import everything, prepared, small, without

X = torch.randn(40, generator=torch.Generator().manual_seed(0))
Y = X + torch.randn(40, generator=torch.Generator().manual_seed(1))


def test_the_loss_is_zero_for_equal_values_and_two_for_mirrored_ones() -> None:
    assert float(concordance_loss(Y, Y)) == pytest.approx(0, abs=1e-6)
    assert float(concordance_loss(2 * Y.mean() - Y, Y)) == pytest.approx(2, abs=1e-6)


def test_the_loss_is_one_minus_the_metric() -> None:
    assert float(concordance_loss(X, Y)) == pytest.approx(1 - concordance(Y.double().numpy(), X.double().numpy()), abs=1e-6)


@pytest.mark.parametrize(("factor", "shift"), [(3.0, 0.0), (-2.0, 0.0), (1.0, 10.0), (0.1, -4.0)])
def test_the_loss_is_invariant_when_both_sides_are_mapped_and_not_when_one_is(factor: float, shift: float) -> None:
    both = concordance_loss(factor * X + shift, factor * Y + shift)
    torch.testing.assert_close(both, concordance_loss(X, Y), rtol=1e-3, atol=1e-4)
    assert concordance_loss(factor * Y + shift, Y) > 0.2


def test_unlabelled_utterances_do_not_count_and_alone_have_no_gradient() -> None:
    label = torch.cat([Y, torch.full((5,), torch.nan)])
    torch.testing.assert_close(concordance_loss(torch.cat([X, torch.full((5,), 9.0)]), label), concordance_loss(X, Y))
    values = torch.randn(5, requires_grad=True)
    loss = concordance_loss(values, torch.full((5,), torch.nan))
    loss.backward()
    assert loss == 0
    assert values.grad is not None
    assert (values.grad == 0).all()


def test_predictions_or_labels_that_do_not_vary_give_a_finite_gradient() -> None:
    for label, start in ((torch.ones(4), torch.ones(4)), (torch.arange(4.0), torch.ones(4)), (torch.ones(1), torch.zeros(1))):
        values = start.clone().requires_grad_()
        concordance_loss(values, label).backward()
        assert values.grad is not None
        assert torch.isfinite(values.grad).all()


def test_the_other_modalities_do_not_matter() -> None:
    model, batch = small("w2v2_dim", modality="audio"), everything()
    assert torch.equal(model(batch).logits, model(without(batch, "text", "vision")).logits)
    assert (model(batch).logits - model(without(batch, "audio")).logits).abs().max() > 1e-3


@pytest.mark.parametrize("task", ["classification", "soft", "regression"])
def test_without_its_modality_the_answer_is_that_of_the_training_labels_and_a_bias(task: str) -> None:
    model, batch = prepared("w2v2_dim", task)
    prior, _ = prepared("prior", task)
    torch.testing.assert_close(model(without(batch, "text")).logits, prior(batch).logits + model.scale * model.head.bias)
    assert (model(batch).logits - prior(batch).logits).abs().max() > 0.3


def test_the_loss_of_a_regression_is_that_of_the_concordance() -> None:
    model, batch = prepared("w2v2_dim", "regression")
    torch.testing.assert_close(
        model.losses(batch, batch, "task")["task"], concordance_loss(model(batch).logits.squeeze(1), batch.label)
    )
