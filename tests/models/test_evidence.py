"""`evidence`: absent modalities add nothing, the chain is summed out exactly, and contributions add up to the answer."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.schema import Target
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import build
from lacuna.models.evidence import CONTRIBUTION, EvidenceModel, drop_frames
from lacuna.models.layers.frame_encoder import FrameEncoder
from lacuna.models.layers.pair_chain import EXCHANGE, NEW, STAY, PairChain, floor_events
from lacuna.models.layers.paired_gru import PairedGRU
from lacuna.models.layers.squash import Squash
from lacuna.models.layers.temperature import PatternTemperature
from lacuna.models.layers.turn_means import REACHES, TurnMeans
from lacuna.training.loader import Loader
from standin import StandIn, generate

SEQUENCES = StandIn(dialogues=8, turns=5, dims=(("text", 6), ("audio", 5), ("vision", 4)), frames=6, absent=0.2)


def made(task: str = "classification", *, noise: float = 0.3, frames: int = 6, **settings: object) -> tuple[EvidenceModel, Batch]:
    """A prepared model, its weights moved off their start, and all utterances of the corpus."""
    corpus = generate(replace(SEQUENCES, frames=frames), task)
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    model = build("evidence", schema, **settings)
    model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 16, whole_dialogues=True))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "squash" not in name:
                parameter.add_(noise * torch.randn(parameter.shape, generator=generator))
    assert isinstance(model, EvidenceModel)
    return model.eval(), collate(corpus, np.arange(len(corpus)), schema, statistics)


def hidden(batch: Batch, *names: str) -> Batch:
    return batch.observe({m: torch.zeros_like(batch.present[m]) for m in names})


@pytest.mark.parametrize("task", ["classification", "soft", "regression"])
@pytest.mark.parametrize("base", [True, False])
def test_an_absent_modality_has_exactly_no_evidence(task: str, base: bool) -> None:
    model, batch = made(task, base=base)
    observed = hidden(batch, "audio")
    auxiliary = model(observed).auxiliary
    assert torch.equal(auxiliary[f"{CONTRIBUTION}evidence.audio"], torch.zeros_like(auxiliary[f"{CONTRIBUTION}evidence.audio"]))
    text = observed.available()[:, 0]
    assert (auxiliary[f"{CONTRIBUTION}evidence.text"][~text] == 0).all()
    assert (auxiliary[f"{CONTRIBUTION}evidence.text"][text] != 0).all()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_interaction_needs_two_modalities(task: str) -> None:
    model, batch = made(task)
    interaction = model(batch).auxiliary[f"{CONTRIBUTION}interaction"]
    several = batch.available().sum(dim=1) > 1
    assert (interaction[~several] == 0).all()
    assert (interaction[several] != 0).any(dim=1).all()
    assert (model(hidden(batch, "audio", "vision")).auxiliary[f"{CONTRIBUTION}interaction"] == 0).all()


@pytest.mark.parametrize("task", ["classification", "soft", "regression"])
@pytest.mark.parametrize("frames", [1, 6])
@pytest.mark.parametrize("chain", [True, False])
def test_contributions_sum_to_the_logits(task: str, frames: int, chain: bool) -> None:
    model, batch = made(task, frames=frames, chain=chain)
    model.temperature.log_temperature.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(1))
    prediction = model(batch)
    contributions = {name: x for name, x in prediction.auxiliary.items() if name.startswith(CONTRIBUTION)}
    parts = {"prior", "interaction", "context", *(f"evidence.{m}" for m in batch.features)}
    assert set(contributions) == {CONTRIBUTION + part for part in parts}
    torch.testing.assert_close(sum(contributions.values()), prediction.logits)


@pytest.mark.parametrize(("part", "frames"), [("means", 1), ("gru", 6), ("chain", 1)])
def test_a_turn_without_neighbours_has_no_context(part: str, frames: int) -> None:
    model, batch = made(frames=frames, **{"means": False, "gru": False, "chain": False, part: True})
    single = batch.take(torch.nonzero(batch.turn == 2).squeeze(1))
    torch.testing.assert_close(model(single).auxiliary[f"{CONTRIBUTION}context"], torch.zeros(len(single), 4), atol=1e-5, rtol=0)
    assert model(batch).auxiliary[f"{CONTRIBUTION}context"].abs().min() > 1e-5


def test_without_any_observation_the_answer_is_the_prior() -> None:
    model, batch = made(gru=False, noise=0.0)
    logits = model(hidden(batch, *batch.features)).logits
    torch.testing.assert_close(logits.log_softmax(dim=1)[batch.turn == 0], model.prior.expand(8, 4), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("means", "frames"), [(False, 1), (True, 6)])  # sequences have no means, single vectors no GRU
def test_context_without_its_parts_is_nothing(means: bool, frames: int) -> None:
    model, batch = made(frames=frames, means=means, gru=not means, chain=False)
    assert (model(batch).auxiliary[f"{CONTRIBUTION}context"] == 0).all()


def test_means_of_turns_are_those_of_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    turns, speaker = torch.randn(1, 5, 3, generator=generator), torch.tensor([[0, 1, 0, 0, 2]])
    layer = TurnMeans(3, 3, 1)
    with torch.no_grad():
        layer.project.weight.copy_(torch.eye(3))
        layer.project.bias.zero_()
        layer.head.weight.copy_(torch.arange(24.0)[None])  # of means in the order [same speaker or not, reach, column]
        result = layer(turns, speaker, torch.tensor([[True, True, True, True, False]]))[0, 2, 0]
    expected, column = 0.0, 0
    for others in ([0, 3], [1]):  # the fifth turn is padding
        for reach in REACHES:
            weight = torch.tensor([-abs(2 - t) / reach for t in others]).exp()
            mean = (weight[:, None] * turns[0, others]).sum(dim=0) / weight.sum()
            expected, column = expected + float(mean @ torch.arange(column, column + 3.0)), column + 3
    assert float(result) == pytest.approx(expected, rel=1e-4)


def test_the_score_lies_between_the_experts_and_its_variance_shrinks_with_each() -> None:
    model, batch = made("regression", gru=False, interaction=False)
    three, one = model(batch).auxiliary["variance"], model(hidden(batch, "audio", "vision")).auxiliary["variance"]
    several = batch.available().sum(dim=1) > 1
    assert (three[several & batch.available()[:, 0]] < one[several & batch.available()[:, 0]]).all()
    assert (one <= model.moments[1].square() + 1e-6).all()


def test_settling_lowers_the_log_loss_of_what_it_saw() -> None:
    model, batch = made(noise=1.0)
    seen = [batch, hidden(batch, "text")]

    def loss() -> float:
        return float(torch.stack([torch.nn.functional.cross_entropy(model(b).logits, b.label) for b in seen]).mean())

    with torch.no_grad():
        before = loss()
        model.settle(lambda: seen, lambda logits: 0.0)
        assert loss() < before - 0.01
    assert (model.gains < 1).any()  # random weights do not earn their place


def test_temperatures_keep_the_classes_and_are_drawn_towards_a_common_one() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, available = 3 * torch.randn(400, 3, generator=generator), torch.rand(400, 2, generator=generator) < 0.7
    label = torch.multinomial((logits / 2).softmax(dim=1), 1, generator=generator).squeeze(1)
    target = Target("emotion", "classification", ("a", "b", "c"))
    free, shrunk = PatternTemperature(2, shrinkage=0.0), PatternTemperature(2, shrinkage=1e6)
    for temperature in (free, shrunk):
        temperature.fit(target, logits, label, available)
        assert torch.equal((logits / temperature(available)).argmax(dim=1), logits.argmax(dim=1))
    assert shrunk.log_temperature.unique().numel() == 1
    assert free.log_temperature.unique().numel() > 1
    assert 1.5 < float(shrunk.log_temperature[0].exp()) < 2.7


def brute_force(chain: PairChain, evidence: Tensor, speaker: list[int], prior: Tensor) -> Tensor:
    """The message of the other turns to each turn of one dialogue, by the sum over every path of pairs: (L, K)."""
    turns, classes = evidence.shape
    kernel = chain.transition(prior).exp()
    initial, likelihood = prior.exp(), evidence.exp()
    events = floor_events(torch.tensor([speaker]), torch.ones(1, turns, dtype=torch.bool))[0].tolist()
    message = torch.zeros(turns, classes)
    pairs = list(itertools.product(range(classes), repeat=2))  # (own, other)
    for path in itertools.product(pairs, repeat=turns):
        weight = initial[path[0][0]] * initial[path[0][1]]
        for turn in range(1, turns):
            (own, other), (new, next_other) = path[turn - 1], path[turn]
            if events[turn] == STAY:
                options = [(own, other, 1.0)]
            elif events[turn] == EXCHANGE:
                options = [(other, own, 1.0)]
            else:
                options = [(start, own, float(initial[start])) for start in range(classes)]
            weight = weight * sum(p * kernel[s, o, new] for s, o, p in options if o == next_other)
        for turn in range(turns):
            others = [likelihood[t, path[t][0]] for t in range(turns) if t != turn]
            message[turn, path[turn][0]] += weight * torch.stack(others).prod()
    return (message / message.sum(dim=1, keepdim=True)).log() - prior


@pytest.mark.parametrize("speaker", [[0, 1, 0], [0, 0, 1], [4, 1, 7], [0, 1, 2], [3, 3, 3], [5, 2, 2]])
def test_the_chain_equals_the_sum_over_all_paths(speaker: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    chain = PairChain(3)
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    prior = torch.tensor([0.5, 0.3, 0.2]).log()
    evidence = 2 * torch.randn(3, 3, generator=generator)
    inside = torch.tensor([[True, True, True, False], [True, False, False, False]])
    padded = torch.zeros(2, 4, 3)
    padded[0, :3], padded[1, 0] = evidence, evidence[0]
    codes = torch.zeros(2, 4, dtype=torch.int64)
    codes[0, :3] = torch.tensor(speaker)
    found = chain(padded, floor_events(codes, inside), prior)
    torch.testing.assert_close(found[0, :3], brute_force(chain, evidence, speaker, prior), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1, 0], torch.zeros(3), rtol=0, atol=1e-6)


def test_extreme_evidence_stays_finite() -> None:
    chain = PairChain(4)
    evidence = torch.zeros(1, 6, 4)
    evidence[0, :, 0], evidence[0, 3] = 500.0, torch.tensor([0.0, 0.0, 0.0, 500.0])
    evidence.requires_grad_()
    found = chain(evidence, torch.zeros(1, 6, dtype=torch.int64), torch.full((4,), 0.25).log())
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(evidence.grad).all()  # type: ignore[arg-type]


def test_the_other_is_the_previous_different_speaker() -> None:
    speaker = torch.tensor([[7, 7, 2, 7, 5, 7, 2, 2, 0]])
    inside = torch.ones_like(speaker, dtype=torch.bool)
    inside[0, -1] = False
    expected = [STAY, STAY, EXCHANGE, EXCHANGE, NEW, EXCHANGE, NEW, STAY, STAY]
    assert floor_events(speaker, inside)[0].tolist() == expected
    assert torch.equal(floor_events(speaker, inside), floor_events(3 - speaker, inside))  # codes are local to a dialogue


def test_the_squash_is_monotone_and_makes_a_column_normal() -> None:
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(4000, 3, generator=generator)
    bent = torch.sinh(3 * torch.asinh(normal) + torch.tensor([0.5, 0.0, -0.5]))
    bent[:, 2] = bent[:, 2].sign()  # two values alone: the identity is kept
    squash = Squash(3)
    squash.fit((bent - bent.mean(dim=0)) / bent.std(dim=0))
    found = squash((bent - bent.mean(dim=0)) / bent.std(dim=0)).detach()
    for column in range(2):
        assert torch.corrcoef(torch.stack([found[:, column], normal[:, column]]))[0, 1] > 0.995
        order = normal[:, column].argsort()
        assert (found[order, column].diff() >= -1e-6).all()
    torch.testing.assert_close(found[:, 2], ((bent - bent.mean(dim=0)) / bent.std(dim=0))[:, 2])


def test_frames_that_are_not_present_do_not_matter_to_the_encoder() -> None:
    encoder = FrameEncoder(5, 8)
    x, present = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(0)), torch.ones(4, 6, dtype=torch.bool)
    present[1, 3:], present[2] = False, False
    other = torch.where(present.unsqueeze(-1), x, 50.0)
    assert torch.equal(encoder(x, present), encoder(other, present))
    assert (encoder(x, present)[2] == 0).all()


def test_hidden_frames_leave_one_of_each_observed_modality() -> None:
    _, batch = made()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        seen = drop_frames(batch, 1.0)
    assert torch.equal(seen.available(), batch.available())
    assert sum(int(p.sum()) for p in seen.present.values()) < sum(int(p.sum()) for p in batch.present.values())


def test_the_paired_gru_is_two_grus() -> None:
    generator = torch.Generator().manual_seed(0)
    pair = PairedGRU(5, 4)
    inputs = torch.randn(2, 3, 6, 5, generator=generator, requires_grad=True)
    weights = torch.randn(2, 3, 6, 4, generator=generator)
    one_by_one = torch.stack([network(x)[0] for network, x in zip(pair.networks, inputs, strict=True)])
    wanted = torch.autograd.grad((one_by_one * weights).sum(), [inputs, *pair.parameters()])
    together = pair(inputs)
    torch.testing.assert_close(together, one_by_one)
    torch.testing.assert_close(torch.autograd.grad((together * weights).sum(), [inputs, *pair.parameters()]), wanted)


def test_the_gradient_of_the_squash() -> None:
    squash = Squash(3).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in squash.parameters():
            parameter.normal_(std=0.3, generator=generator)
    x = torch.randn(4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    names, values = zip(*squash.named_parameters(), strict=True)
    call = torch.func.functional_call

    def answer(x: Tensor, *columns: Tensor) -> Tensor:
        return call(squash, dict(zip(names, columns, strict=True)), (x,))

    assert torch.autograd.gradcheck(answer, (x, *values))
    plain = squash.log_gain.exp() * torch.sinh(squash.log_exponent.exp() * torch.asinh(squash.log_scale.exp() * x + squash.shift))
    torch.testing.assert_close(squash(x), plain + squash.centre)
