"""MMoLRE: private experts belong to one task, and one task is enough."""

from __future__ import annotations

from dataclasses import replace

import torch

from lacuna.corpus import Target
from lacuna.models import Prediction, Recognizer, build, model_class, task_loss
from lacuna.models.layers.low_rank_experts import LowRankExpert, SharedAndPrivateExperts
from small_systems import SCHEMA, everything, without

VALENCE = Target("valence", "regression")


def two_tasks() -> Recognizer:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return build("mmolre", replace(SCHEMA, auxiliary=(VALENCE,)), **model_class("mmolre").tiny).eval()


def gradients(model: Recognizer, loss: torch.Tensor) -> dict[str, float]:
    names = [name for name, _ in model.named_parameters()]
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, retain_graph=True)
    return {name: 0.0 if g is None else float(g.abs().sum()) for name, g in zip(names, found, strict=True)}


def test_a_private_expert_gets_no_gradient_from_the_loss_of_the_other_task() -> None:
    model, batch = two_tasks(), everything()
    prediction: Prediction = model(batch)
    main = task_loss(SCHEMA.target, prediction.logits, batch.label)
    other = task_loss(VALENCE, model.auxiliary_logits(prediction)[0], batch.turn.float())
    for task, (own, foreign) in enumerate([(main, other), (other, main)]):
        mine, theirs = gradients(model, own), gradients(model, foreign)
        private = [name for name in mine if any(f"{part}.{task}." in name for part in ("private", "routers", "weigh", "norms"))]
        assert private
        for name in private:
            assert theirs[name] == 0, name
            assert mine[name] > 0 or ("weigh" in name and "bias" in name), name
        shared = [name for name in mine if ".shared." in name]
        assert all(mine[name] > 0 and theirs[name] > 0 for name in shared)


def test_one_task_has_one_private_expert_and_no_other_answer() -> None:
    model = build("mmolre", SCHEMA, **model_class("mmolre").tiny).eval()
    blocks = [module for module in model.modules() if isinstance(module, SharedAndPrivateExperts)]
    assert all(len(block.private) == 1 for block in blocks)
    assert model.auxiliary_logits(model(everything())) == []


def test_an_expert_has_fewer_parameters_than_a_full_convolution() -> None:
    count = sum(p.numel() for p in LowRankExpert(48, 8).parameters())
    assert count < 48 * 48 * 3 / 2


def test_the_gates_of_a_block_sum_to_one_so_equal_experts_are_one() -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        block = SharedAndPrivateExperts(8, 2, shared=2, tasks=1).eval()
    for expert in (*block.shared, *block.private):
        expert.load_state_dict(block.shared[0].state_dict())
    x, present = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1)), torch.ones(3, 5, dtype=torch.bool)
    expected = block.norms[0](x + block.shared[0](x, present.unsqueeze(2)))
    torch.testing.assert_close(block([x], present)[0], expected)


def test_a_missing_modality_has_no_weight() -> None:
    model, batch = two_tasks(), without(everything(), "audio")
    before = model(batch).logits
    with torch.no_grad():
        for parameter in model.project["audio"].parameters():
            parameter.add_(1.0)
    assert torch.equal(model(batch).logits, before)
