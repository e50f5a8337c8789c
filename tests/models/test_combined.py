"""Combinations: missing members, ties, weights that are redistributed, and soups."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError
from lacuna.models import build, configure
from lacuna.models.combined import Combined, can_answer
from lacuna.models.layers.combining import WAYS, FusionHeads, MajorityVote, Way
from small_systems import SCHEMA, everything, small, without

CLASSES = Target("emotion", "classification", ("a", "b", "c"))
VALUE = Target("score", "regression")
RULES = sorted(set(WAYS) - {"soup"})


def members(number: int = 4, utterances: int = 60, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-probabilities, which members answer, labels and dialogues; the first member is right most often, the last one never."""
    draw = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (utterances,), generator=draw)
    logits = torch.randn(utterances, number, 3, generator=draw)
    strength = torch.linspace(3.0, -1.0, number)[:, None]
    logits += strength * torch.nn.functional.one_hot(label, 3).unsqueeze(1)
    answered = torch.rand(utterances, number, generator=draw) < 0.7
    answered[:, 0] |= ~answered.any(dim=1)
    return logits.log_softmax(dim=2), answered, label, torch.arange(utterances) // 4


def fitted(how: str, number: int = 4, target: Target = CLASSES) -> Way:
    way = WAYS[how](target, number, 3)
    answers, answered, label, dialogue = members(number)
    if target.task == "regression":
        answers, label = answers[:, :, :1], label.float()
    way.fit(answers, answered, label, dialogue)
    return way


@pytest.mark.parametrize("how", RULES)
@pytest.mark.parametrize("target", [CLASSES, VALUE], ids=["classes", "value"])
def test_what_a_missing_member_would_have_said_has_no_influence(how: str, target: Target) -> None:
    way, (answers, answered, _, _) = fitted(how, target=target), members(seed=1)
    answers = answers if target is CLASSES else answers[:, :, :1]
    other = torch.where(answered.unsqueeze(2), answers, -3.0)
    torch.testing.assert_close(way(other, answered), way(answers, answered))


@pytest.mark.parametrize("how", RULES)
def test_one_member_that_answers_is_the_answer(how: str) -> None:
    way = WAYS[how](CLASSES, 3, 3)
    answers, _, _, _ = members(3)
    alone = torch.zeros(60, 3, dtype=torch.bool)
    alone[:, 1] = True
    combined = way(answers, alone)
    if how == "vote":  # the probabilities are shares of votes
        assert torch.equal(combined.argmax(dim=1), answers[:, 1].argmax(dim=1))
    else:
        torch.testing.assert_close(combined.softmax(dim=1), answers[:, 1].exp())


@pytest.mark.parametrize("how", ["mean", "log_mean"])
def test_the_mean_is_over_the_members_that_answer(how: str) -> None:
    answers, answered, _, _ = members()
    combined = WAYS[how](CLASSES, 4)(answers, answered)
    for row in range(len(answers)):
        kept = answers[row, answered[row]]
        expected = kept.exp().mean(dim=0).log() if how == "mean" else kept.mean(dim=0)
        torch.testing.assert_close(combined[row], expected)


def test_in_mhpf_the_weight_of_a_missing_member_goes_to_the_others() -> None:
    """The fusion without a member equals the fusion of the others alone, with the same weights."""
    way, (answers, _, _, _) = fitted("mhpf"), members(seed=1)
    answered = torch.ones(60, 4, dtype=torch.bool)
    answered[:, 2] = False
    others = FusionHeads(CLASSES, 3, 3)
    others.load_state_dict({"weights": way.weights[:, [0, 1, 3]], "mix": way.mix})  # type: ignore[index]
    torch.testing.assert_close(way(answers, answered), others(answers[:, [0, 1, 3]], answered[:, [0, 1, 3]]))
    assert not torch.allclose(way(answers, answered), way(answers, torch.ones_like(answered)))


@pytest.mark.parametrize("how", ["linear", "mhpf"])
def test_what_is_fitted_has_a_smaller_loss_than_the_mean_and_prefers_the_better_members(how: str) -> None:
    answers, answered, label, _ = members(seed=1)
    loss = torch.nn.functional.cross_entropy(fitted(how)(answers, answered), label)
    assert loss < torch.nn.functional.cross_entropy(WAYS["mean"](CLASSES, 4)(answers, answered), label)


def test_a_tied_vote_is_decided_by_the_mean_probability() -> None:
    p = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], [[0.5, 0.3, 0.2], [0.41, 0.4, 0.19]]])
    everyone = torch.ones(2, 2, dtype=torch.bool)
    assert MajorityVote(CLASSES, 2)(p.log(), everyone).argmax(dim=1).tolist() == [1, 0]


@given(st.integers(1, 7), st.integers(0, 1000))
def test_no_probability_outweighs_a_vote(number: int, seed: int) -> None:
    answers, answered, _, _ = members(number, 8, seed)
    combined = MajorityVote(CLASSES, number)((30 * answers).log_softmax(dim=2), answered)
    torch.testing.assert_close(combined.exp().sum(dim=1), torch.ones(8))
    for row in range(8):
        votes = torch.bincount(answers[row, answered[row]].argmax(dim=1), minlength=3)
        assert votes[combined[row].argmax()] == votes.max()


def test_the_vote_on_values_is_the_median() -> None:
    values = torch.tensor([[3.0, 1.0, 7.0, 100.0]]).unsqueeze(2)
    vote = MajorityVote(VALUE, 4)
    assert vote(values, torch.tensor([[True, True, True, False]])).item() == 3
    assert vote(values, torch.ones(1, 4, dtype=torch.bool)).item() == 5


AUDIO: dict[str, Any] = {"model": "mlp", "settings": {"hidden": 4}, "modalities": ["audio"]}


def test_a_member_without_anything_that_it_reads_is_missing() -> None:
    model, batch = small("combined", members=("logreg", AUDIO)), everything()
    assert model.answers(batch)[1].all()  # type: ignore[operator]
    silent = without(batch, "audio")
    assert model.answers(silent)[1].tolist() == [[True, False]] * len(batch)  # type: ignore[operator]
    torch.testing.assert_close(
        model(silent).logits.softmax(dim=1),
        model.members[0](silent).logits.softmax(dim=1),  # type: ignore[index]
    )
    assert model.answers(without(batch, *batch.features))[1].all()  # type: ignore[operator]


def test_a_member_that_reads_dialogues_answers_from_other_turns() -> None:
    batch = everything()
    present = {m: torch.ones_like(p) for m, p in batch.present.items()}
    present["audio"][batch.turn > 0] = False
    present["audio"][batch.dialogue == batch.dialogue[-1]] = False
    reader = small("attentive_bigru", modality="audio")
    assert torch.equal(can_answer(reader, batch.observe(present)), batch.dialogue != batch.dialogue[-1])


def test_a_soup_of_equal_checkpoints_is_that_checkpoint_bit_by_bit() -> None:
    mlp = {"model": "mlp", "settings": {"hidden": 4}}
    soup, batch = small("combined", members=(mlp,) * 3, how="soup"), everything()
    checkpoint = small("mlp", hidden=4)
    soup.adopt([checkpoint] * 3)
    assert torch.equal(soup(batch).logits, checkpoint(batch).logits.log_softmax(dim=1))
    assert isinstance(soup, Combined)
    assert all(torch.equal(x, soup.members[0].state_dict()[name]) for name, x in checkpoint.state_dict().items())
    other = build("mlp", SCHEMA, hidden=4)
    soup.adopt([checkpoint, other, other])
    expected = (checkpoint.head.bias + 2 * other.head.bias) / 3  # type: ignore[operator, union-attr]
    torch.testing.assert_close(soup.members[0].head.bias, expected)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": ()}, "'members' must be a list of at least one model"),
        ({"members": "mlp"}, "'members' must be a list"),
        ({"members": ("mpl",)}, "did you mean 'mlp'"),
        ({"members": ({"model": "mlp", "setting": {}},)}, "did you mean 'settings'"),
        ({"members": ({"model": "mlp", "settings": {"hidden": 0}},)}, "model 'mlp': setting 'hidden'"),
        ({"how": "median"}, "'how' must be vote or mean"),
        ({"how": "soup"}, "one model that is trained by gradient descent; found logreg, mlp, context_gru"),
        ({"how": "soup", "members": ("gbdt", "gbdt")}, "trained by gradient descent; found gbdt"),
        ({"how": "soup", "members": ("mlp", {"model": "mlp", "settings": {"hidden": 9}})}, "need the same settings"),
        ({"window": 2}, "'window' must be 0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure("combined", **settings)
    if "how" not in settings:
        with pytest.raises(ConfigError, match=message):
            configure("mhpf", **settings)


def test_mhpf_combines_in_one_way_only() -> None:
    with pytest.raises(ConfigError, match="use the model 'combined'"):
        configure("mhpf", how="vote")
