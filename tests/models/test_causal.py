"""Causal inference around any model: what the head adjusts for, what the counterfactual holds, and how tau is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError, DataError
from lacuna.models import Config, Maci, build, list_models, model_class
from lacuna.models.layers.head import BackdoorHead, classifier
from lacuna.models.layers.pooling import masked_mean
from lacuna.models.wrappers.causal import Causal
from lacuna.models.wrappers.strata import Strata
from lacuna.synthetic import duet
from lacuna.training.loader import Loader
from standin import StandIn, generate

TASKS = ["classification", "soft", "regression"]
PLAIN = StandIn(dialogues=6, turns=5, dims=(("text", 6), ("audio", 5), ("vision", 4)), frames=4, absent=0.2)
TALK = duet.generate(duet.preset("tiny"))


def _refused(name: str) -> str | None:
    try:
        build(name, generate(PLAIN).schema(), **model_class(name).tiny, maci={})
    except ConfigError as error:
        return str(error)
    return None


HEADED = [name for name in list_models() if _refused(name) is None]
HEADLESS = [name for name in list_models() if name not in HEADED]


def make(name: str, corpus: Corpus, window: int = 0, **maci: Any) -> tuple[Causal, Batch, Loader]:
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, schema, **model_class(name).tiny, window=window, maci=maci)
    loader = Loader(corpus.only("train"), schema, statistics, 7, model.needs_dialogue)
    with torch.no_grad():
        model.prepare(lambda: loader)
    assert isinstance(model, Causal)
    return model.eval(), masks(collate(corpus, np.arange(len(corpus)), schema, statistics)), loader


def masks(batch: Batch, share: float = 0.3) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return batch.observe({m: torch.rand(p.shape, generator=generator) >= share for m, p in batch.present.items()})


def bent(model: Causal, tau: float) -> Causal:
    """The model with some opinion, bias words 1, 5 and 9, a mean frame, and a tau."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += torch.randn(parameter.shape, generator=generator) * 0.3
    if len(model.bias):
        model.bias[[1, 5, 9]] = True
    model.frame += 0.5
    model.tau.fill_(tau)
    return model


# The head


def head_for(task: str, **maci: Any) -> tuple[BackdoorHead, Tensor]:
    schema = generate(PLAIN, task).schema()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        head = classifier(schema, 8, Config(maci=Maci(**maci)))
        assert isinstance(head, BackdoorHead)
        assert torch.equal(head.weight, head.weight[:1].expand_as(head.weight))  # alike at first: none is lost
        head.weight.data += torch.randn(head.weight.shape) * 0.3
        head.bias.data += torch.randn(head.bias.shape) * 0.3
        strata = len(head.priors)
        head.adjust(torch.randn(strata, 15), torch.rand(strata).softmax(0))
        return head, torch.randn(9, 8)


@pytest.mark.parametrize("training", [True, False])
def test_probabilities_sum_to_one(training: bool) -> None:
    head, h = head_for("classification")
    torch.testing.assert_close(head.train(training)(h).exp().sum(1), torch.ones(9))


@pytest.mark.parametrize("inference", ["mean", "classes"])
def test_the_head_is_the_formula(inference: str) -> None:
    """One classifier a class, written out; ``mean``: the plain average of all of them at one mean prototype."""
    head, h = head_for("classification", inference=inference)
    z = head.prototypes if inference == "classes" else head.prototypes.mean(0, keepdim=True).repeat(4, 1)
    prior = head.priors if inference == "classes" else torch.full((4,), 0.25)
    total = torch.zeros(9, 4)
    for c in range(4):
        e = torch.cat([f(part) for f, part in zip(head.encoders, torch.split(z[c], [6, 5, 4]), strict=True)])
        total += prior[c] * (torch.cat([h, e.expand(9, -1)], 1) @ head.weight[c].T + head.bias[c]).softmax(1)
    torch.testing.assert_close(head.eval()(h), total.log())
    torch.testing.assert_close(head.train()(h), head_for("classification", inference="classes")[0].eval()(h))


def test_a_class_that_training_does_not_hold_has_no_say() -> None:
    head, h = head_for("classification")
    head.priors[2] = 0
    expected = head.eval()(h)
    with torch.no_grad():
        head.weight[2] = 1e6
    assert torch.equal(head(h), expected)
    head.train()(h).sum().backward()
    assert head.weight.grad is not None
    assert torch.isfinite(head.weight.grad).all()
    assert (head.weight.grad[2] == 0).all()


def test_nothing_underflows() -> None:
    head, h = head_for("classification")
    answer = head.train()(h * 1e5)
    assert torch.isfinite(answer).all()
    assert (answer < -1e4).any()
    answer.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


def test_for_regression_it_is_an_expected_value() -> None:
    head, h = head_for("regression", inference="classes")
    assert len(head.priors) == 3
    each = [torch.cat([h, head.encode(head.prototypes)[c].expand(9, -1)], 1) @ head.weight[c].T + head.bias[c] for c in range(3)]
    torch.testing.assert_close(head.eval()(h), sum(p * x for p, x in zip(head.priors, each, strict=True)))


@pytest.mark.parametrize("maci", [None, Maci(backdoor=False)])
@pytest.mark.parametrize("zero", [True, False])
def test_without_it_the_head_is_linear_as_ever(maci: Maci | None, zero: bool) -> None:
    schema = generate(PLAIN).schema()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        head = classifier(schema, 8, Config(maci=maci), zero)
        torch.random.default_generator.manual_seed(0)
        plain = torch.nn.Linear(8, 4)
    assert list(head.state_dict()) == ["weight", "bias"]
    assert torch.equal(head.weight, plain.weight * (not zero))  # type: ignore[arg-type]


# What it learns of the training split


@pytest.mark.parametrize("task", TASKS)
def test_prototypes_and_priors_are_means_over_the_training_split_alone(task: str) -> None:
    corpus = generate(replace(PLAIN, dialogues=15), task)
    model, _, loader = make("mlp", corpus)
    batch = loader.read(np.arange(len(loader.corpus)))
    if task == "regression":
        low, high = np.quantile(batch.label.numpy(), [1 / 3, 2 / 3], method="inverted_cdf")
        weights = torch.eye(3)[(batch.label > low + 1e-3).long() + (batch.label > high + 1e-3)]
    else:
        weights = batch.label if task == "soft" else torch.eye(4)[batch.label]
    head = model.heads[0]
    torch.testing.assert_close(head.priors, weights.mean(0))
    column = 0
    for m, x in batch.features.items():
        there = batch.present[m].any(1)
        for c in range(len(head.priors)):
            share = (weights[there, c] / weights[there, c].sum()).unsqueeze(1)
            mean = (masked_mean(x, batch.present[m])[there] * share).sum(0)
            torch.testing.assert_close(head.prototypes[c, column : column + x.shape[2]], mean, rtol=1e-4, atol=1e-5)
        column += x.shape[2]
    frames = batch.features["text"][batch.present["text"]]
    torch.testing.assert_close(model.frame, frames.mean(0), rtol=1e-4, atol=1e-5)
    assert float(model.centre) == pytest.approx(float(batch.label.mean()) if task == "regression" else 0.0, abs=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_the_order_of_the_batches_does_not_matter(task: str) -> None:
    corpus = generate(PLAIN, task)
    model, _, loader = make("mlp", corpus)
    twin = build("mlp", model.schema, maci={})
    order = torch.randperm(len(loader.corpus), generator=torch.Generator().manual_seed(0)).numpy()
    twin.prepare(lambda: [loader.read(order[low : low + 4]) for low in range(0, len(order), 4)])
    for (name, own), other in zip(model.named_buffers(), dict(twin.named_buffers()).values(), strict=True):
        torch.testing.assert_close(own, other, msg=name)


def test_strata_of_scores_are_thirds_and_never_part_equal_scores() -> None:
    batch = make("mlp", generate(PLAIN, "regression"))[1]
    for scores, sizes in (
        (torch.arange(30.0), [10, 10, 10]),
        (torch.tensor([0.0] * 20 + [1.0] * 10), [20, 0, 10]),
        (torch.zeros(30), [30, 0, 0]),
    ):
        given = replace(batch, label=scores)
        strata = Strata.of(batch_target(), lambda given=given: [given])
        assert strata.weights(given).sum(0).tolist() == sizes
    empty = replace(batch, label=torch.full((30,), torch.nan))
    assert not Strata.of(batch_target(), lambda: [empty]).weights(empty).any()


def batch_target() -> Any:
    return generate(PLAIN, "regression").schema().target


def test_a_planted_word_is_found_from_batches() -> None:
    model, _, loader = make("mlp", duet.generate(duet.preset("tiny", dialogues=60)))

    def planted() -> Iterable[Batch]:
        for batch in loader:
            tokens = torch.arange(batch.tokens["text"].shape[1]).repeat(len(batch), 1)  # by place, whatever the label
            tokens[:, 0] = torch.where(batch.label == 1, 200, 100) * batch.present["text"][:, 0]
            yield replace(batch, tokens={"text": tokens})

    model.prepare(planted)
    assert model.bias.nonzero().squeeze(1).tolist() == [100, 200]


def test_no_bias_word_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    make("mlp", TALK, least_count=10**6)
    assert "no word of 'text' is associated with a class" in caplog.text


# The counterfactual


@pytest.mark.parametrize("window", [0, 1])
def test_the_counterfactual_holds_bias_words_and_mean_frames_only(window: int) -> None:
    model, batch, _ = make("mlp", TALK, window)
    bent(model, 1.0)
    before = {m: x.clone() for m, x in batch.features.items()}, batch.tokens["text"].clone()
    other = model.counterfactual(batch)
    for m in ("audio", "vision"):
        assert other.features[m] is batch.features[m]
    assert other.present is batch.present
    said, present = batch.tokens["text"], batch.present["text"]
    kept = present & torch.isin(said, torch.tensor([1, 5, 9]))
    assert kept.any()
    assert torch.equal(other.features["text"][kept], batch.features["text"][kept])
    assert torch.equal(other.features["text"][present & ~kept], model.frame.expand(int((present & ~kept).sum()), -1))
    assert (other.features["text"][~present] == 0).all()
    assert torch.equal(other.tokens["text"], said * kept)
    assert all(torch.equal(batch.features[m], x) for m, x in before[0].items())
    assert torch.equal(said, before[1])


def test_words_that_training_did_not_know_and_no_ids_at_all_are_no_bias_words() -> None:
    model, batch, _ = make("mlp", TALK)
    bent(model, 1.0)
    strange = replace(batch, tokens={"text": torch.full_like(batch.tokens["text"], 10**6)})
    for given in (strange, replace(batch, tokens={})):
        text = model.counterfactual(given).features["text"]
        assert torch.equal(text, model.frame * batch.present["text"].unsqueeze(-1))


@pytest.mark.parametrize("name", HEADED)
@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_the_factual_one_less_tau_times_the_counterfactual_one(name: str, task: str) -> None:
    model, batch, _ = make(name, generate(PLAIN, task))
    bent(model, 0.0)
    factual = model.inner(batch).logits
    assert torch.equal(model(batch).logits, factual)
    other = model.inner(model.counterfactual(batch)).logits
    assert not torch.equal(factual, other)
    model.tau.fill_(0.5)
    share = 0.5 * batch.present["text"].any(dim=1, keepdim=True)  # nothing is subtracted where nothing was said
    if task == "regression":
        expected = factual - share * (other - model.centre)
    else:
        expected = factual.log_softmax(1) - share * other.log_softmax(1)
    torch.testing.assert_close(model(batch).logits, expected)


def test_where_every_word_is_a_bias_word_nothing_is_subtracted() -> None:
    """Both passes agree there; with a tau above 1 the least likely class would win."""
    model, batch, _ = make("mlp", TALK)
    bent(model, 1.5).bias.fill_(True)
    known = (batch.tokens["text"] > 0) | ~batch.present["text"]
    whole = known.all(dim=1)
    assert whole.any()
    assert torch.equal(model(batch).logits.argmax(1)[whole], model.inner(batch).logits.argmax(1)[whole])


def test_bias_words_need_token_ids_to_be_known_by() -> None:
    model, batch, _ = make("mlp", TALK)
    with pytest.raises(DataError, match="these frames have no token ids"):
        bent(model, 0.5)(replace(batch, tokens={}))


def test_without_a_bias_word_there_is_nothing_to_choose() -> None:
    model, batch, _ = make("mlp", TALK)
    model.bias.fill_(False)
    model.settle(lambda: [batch], lambda logits: -float(sum(x.abs().sum() for x in logits)))
    assert float(model.tau) == 0


def test_a_text_that_was_named_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"'maci.text' must be a modality of the corpus \(.*\); found 'txet'"):
        build("mlp", generate(PLAIN).schema(), maci={"text": "txet"})


def test_training_sees_no_counterfactual() -> None:
    model, batch, _ = make("linear", TALK)
    bent(model, 0.5).train()
    assert torch.equal(model(batch).logits, model.inner(batch).logits)


# Around every model


@pytest.mark.parametrize("window", [0, 1])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", HEADED)
def test_every_model_with_a_head_takes_a_step_and_survives_its_state(name: str, task: str, window: int) -> None:
    model, batch, loader = make(name, generate(PLAIN, task), window)
    model.train()
    complete = loader.read(np.arange(len(loader.corpus)))
    model.zero_grad()
    with torch.random.fork_rng():
        for stage in model.stages:
            total = sum(model.losses(complete, masks(complete), stage.name).values(), torch.zeros(()))
            total.backward()
            assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert any((p.grad != 0).any() for head in model.heads for p in head.parameters() if p.grad is not None)  # in some stage
    bent(model, 0.7).eval()
    fresh = build(name, model.schema, **model_class(name).tiny, window=window, maci={})
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.eval()(batch).logits, model(batch).logits)
    assert all(x.device.type == "meta" for x in fresh.to("meta").buffers())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", HEADED)
def test_tau_is_the_one_that_is_best_by_brute_force(name: str, task: str) -> None:
    model, batch, _ = make(name, generate(PLAIN, task), most_tau=1.25)
    bent(model, 0.0)
    batches = [batch.take(rows) for rows in torch.arange(30).split(10)]  # two whole dialogues each

    def metric(logits: Iterable[Tensor]) -> float:
        x = torch.cat(list(logits)).double()
        return -float((x.squeeze(1) - 0.3).square().sum()) if task == "regression" else float((x.argmax(1) == 1).double().mean())

    with torch.no_grad():
        model.settle(lambda: batches, metric)
        chosen, found = float(model.tau), []
        for row in range(13):
            model.tau.fill_(row / 10)
            found.append(metric(model(b).logits for b in batches))
    assert chosen == pytest.approx(found.index(max(found)) / 10)
    torch.testing.assert_close(model.curve, torch.tensor(found))


def test_of_equally_good_ones_the_smallest_tau_is_taken_and_none_without_a_counterfactual() -> None:
    model, batch, _ = make("mlp", generate(PLAIN))
    model.tau.fill_(1.0)
    model.settle(lambda: [batch], lambda logits: float(len(list(logits))))
    assert float(model.tau) == 0
    model, batch, _ = make("mlp", generate(PLAIN), counterfactual=False)
    model.settle(lambda: [batch], lambda _: pytest.fail("nothing to choose"))
    assert torch.equal(model(batch).logits, model.inner(batch).logits)


def test_with_both_switches_off_it_is_the_plain_model() -> None:
    for name in list_models():
        corpus = generate(PLAIN)
        model, batch, loader = make(name, corpus, backdoor=False, counterfactual=False)
        with torch.random.fork_rng():
            torch.random.default_generator.manual_seed(0)
            plain = build(name, corpus.schema(), **model_class(name).tiny, maci=None)
        plain.prepare(lambda loader=loader: loader)  # type: ignore[misc]
        assert torch.equal(model(batch).logits, plain.eval()(batch).logits)


# What is refused


@pytest.mark.parametrize("name", HEADLESS)
def test_a_model_without_a_head_keeps_its_counterfactual_only(name: str) -> None:
    schema = generate(PLAIN).schema()
    with pytest.raises(ConfigError, match=f"model '{name}' has no head to adjust; set maci.backdoor: false"):
        build(name, schema, maci={})
    model, batch, _ = make(name, generate(PLAIN), backdoor=False)
    assert torch.isfinite(bent(model, 0.5)(batch).logits).all()


def test_a_corpus_without_text_has_nothing_to_subtract_and_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    corpus = generate(StandIn(dialogues=6, turns=4, dims=(("audio", 5), ("vision", 4)), signal=(0.9, 0.6)))
    model, batch, _ = make("mlp", corpus)
    assert "no modality 'text' among audio, vision" in caplog.text
    assert torch.equal(bent(model, 1.0)(batch).logits, model.inner(batch).logits)
    assert len(model.curve) == 1


@pytest.mark.parametrize("maci", [{"inference": "both"}, {"text": 3}, {"most_tau": -1}, {"backdoor": 1}])
def test_settings_are_checked(maci: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"setting '{next(iter(maci))}' must be"):
        build("mlp", generate(PLAIN).schema(), maci=maci)
