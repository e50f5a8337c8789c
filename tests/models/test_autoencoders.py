"""The models that imagine what is missing: what they may look at, what they are told is right, and who teaches whom."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import build
from lacuna.models.layers.autoencoder import Autoencoder, Cascade, Encoders, FrameMeans, missing_slots, slot_error
from lacuna.training import Recipe, TrainingConfig, fit
from lacuna.training.steps import stage_steps, update
from standin import StandIn, generate

NAMES = ("ae", "cra", "mmin")
DIMS = (("text", 6), ("audio", 5), ("vision", 4))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(StandIn(dialogues=20, turns=5, dims=DIMS, frames=6, absent=0.2))


@pytest.fixture(scope="module")
def complete(corpus: Corpus) -> Batch:
    return collate(corpus, np.arange(len(corpus)), corpus.schema(), fit_statistics(corpus))


def made(corpus: Corpus, complete: Batch, name: str, **settings: Any) -> Any:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, corpus.schema(), **settings)
    model.prepare(lambda: [complete])
    return model.eval()


def hide(batch: Batch, *names: str) -> Batch:
    return batch.observe({m: torch.zeros_like(batch.present[m]) for m in names})


def lost_frames(batch: Batch) -> Batch:
    """Half of the frames are gone, but no modality altogether."""
    kept = {}
    for m, p in batch.present.items():
        first = torch.zeros_like(p)
        first[torch.arange(len(p)), p.float().argmax(dim=1)] = True
        kept[m] = p & (first | (torch.rand(p.shape, generator=torch.Generator().manual_seed(0)) < 0.5))
    return batch.observe(kept)


def recovery(model: Any, complete: Batch, observed: Batch) -> dict[str, float]:
    return {k: float(v.detach()) for k, v in model.losses(complete, observed, model.stages[-1].name).items() if k != "task"}


def test_frame_means_are_standardised_over_who_has_the_modality(complete: Batch) -> None:
    means = FrameMeans([6, 5, 4])
    means.fit(lambda: [complete])
    for m, x in enumerate(means.split(means(complete))):
        here = complete.available()[:, m]
        torch.testing.assert_close(x[here].mean(dim=0), torch.zeros(x.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(x[here].std(dim=0, correction=0), torch.ones(x.shape[1]), atol=1e-4, rtol=0)
        assert (x[~here] == 0).all()
    batches = [complete.take(part) for part in torch.arange(len(complete)).split(7)]
    again = FrameMeans([6, 5, 4])
    again.fit(lambda: batches)
    torch.testing.assert_close(again.scale, means.scale)
    true = means(complete)
    filled = means.fill(hide(complete, "audio"), true)  # who guesses right gets the frames' mean back
    mean = complete.features["audio"].sum(dim=1) / complete.present["audio"].sum(dim=1, keepdim=True).clamp_min(1)
    here = complete.available()[:, 1]
    torch.testing.assert_close(filled["audio"][here, 0], mean[here], atol=1e-5, rtol=1e-4)


def test_a_column_that_never_varies_is_left_alone(complete: Batch) -> None:
    still = replace(complete, features={m: x * 0 for m, x in complete.features.items()})
    means = FrameMeans([6, 5, 4])
    means.fit(lambda: [still])
    assert (means.scale == 1).all()
    assert (means(still) == 0).all()


def test_a_slot_counts_once_whatever_its_width() -> None:
    guess, truth = [torch.full((2, 50), 2.0), torch.full((2, 1), 3.0)], [torch.zeros(2, 50), torch.zeros(2, 1)]
    assert slot_error(guess, truth, torch.tensor([[True, True], [False, False]])) == pytest.approx((4 + 9) / 2)
    assert slot_error(guess, truth, torch.tensor([[False, True], [False, False]])) == 9
    assert slot_error(guess, truth, torch.zeros(2, 2, dtype=torch.bool)) == 0


def test_a_cascade_starts_as_the_identity_and_adds_what_its_blocks_say() -> None:
    x, here = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0)), torch.ones(5, 3, dtype=torch.bool)
    cascade = Cascade(3, 3, 4, 8, 2)
    answer, latent = cascade(x, here)
    assert torch.equal(answer, x)
    assert latent.shape == (5, 3 * 2)
    with torch.no_grad():
        for block in cascade.blocks:
            block.up[2].bias.fill_(0.5)
    torch.testing.assert_close(cascade(x, here)[0], x + 1.5)
    plain, _ = Autoencoder(3, 4, 8, 2)(x, here)
    assert plain.shape == x.shape


def test_an_embedding_of_what_is_not_there_is_zero() -> None:
    encoders = Encoders([2, 3], 4, 0.0)
    means, here = [torch.ones(2, 2), torch.ones(2, 3)], torch.tensor([[True, False], [False, True]])
    assert torch.equal(encoders(means, here).abs().sum(dim=2) > 0, here)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_missing_is_nothing_to_recover(name: str, corpus: Corpus, complete: Batch) -> None:
    model = made(corpus, complete, name)
    assert set(recovery(model, complete, complete).values()) == {0.0}
    assert set(recovery(model, complete, lost_frames(complete)).values()) == {0.0}  # every modality is still seen
    assert min(recovery(model, complete, hide(complete, "audio")).values()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_what_the_corpus_lacks_is_no_target(name: str, corpus: Corpus, complete: Batch) -> None:
    without = hide(complete, "audio")
    assert not missing_slots(without, without).any()
    assert set(recovery(made(corpus, complete, name), without, without).values()) == {0.0}


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_knows_nothing_of_what_was_hidden(name: str, corpus: Corpus, complete: Batch) -> None:
    """Of the complete batch only the targets may depend on it, never the logits or the recovered frames."""
    model = made(corpus, complete, name)
    other = replace(complete, features={m: x * (-3 if m == "audio" else 1) for m, x in complete.features.items()})
    first, second = model(hide(complete, "audio")), model(hide(other, "audio"))
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.recovered["audio"], second.recovered["audio"])
    task = [model.losses(c, hide(c, "audio"), "task")["task"] for c in (complete, other)]
    assert torch.equal(*task)


@pytest.mark.parametrize("name", NAMES)
def test_a_hidden_modality_is_recovered_better_than_by_its_mean(name: str) -> None:
    """One modality is a linear map of another, so it can be known."""
    drawn = generate(StandIn(dialogues=40, turns=8, dims=(("a", 6), ("b", 4)), signal=(0.5, 0.5)))
    mixing = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    frames = {**drawn.frames, "b": replace(drawn.frames["b"], values=np.asarray(drawn.frames["a"].values) @ mixing)}
    corpus = replace(drawn, frames=frames)
    statistics = fit_statistics(corpus)
    config = TrainingConfig(epochs=40, batch_size=64, learning_rate=5e-3, patience=0, rates=(0.5,), valid_rates=(0.5,))
    settings: dict[str, Any] = {"dropout": 0.0, "embedding": 32, "hidden": 64, "bottleneck": 32}
    if name != "mmin":
        settings["recovery_weight"] = 4.0
    splits = corpus.only("train"), corpus.only("valid")
    trained = fit(Recipe(name, corpus.schema(), *splits, statistics, config, settings)).trained
    test = corpus.only("test")
    complete = collate(test, np.arange(len(test)), corpus.schema(), statistics)
    with torch.no_grad():
        guess = trained.model(hide(complete, "b")).recovered["b"]
    truth = complete.features["b"]
    assert float((guess - truth).square().mean()) < 0.8 * float(truth.square().mean())


def gradients(model: Any, losses: dict[str, Tensor]) -> set[str]:
    """First parts of the names of the parameters that a loss moves."""
    model.zero_grad()
    torch.stack([x for x in losses.values() if x.requires_grad]).sum().backward()
    return {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None and (p.grad != 0).any()}


def test_the_teacher_sees_everything_and_is_never_moved_by_the_task(corpus: Corpus, complete: Batch) -> None:
    model = made(corpus, complete, "mmin")
    observed = hide(complete, "audio")
    assert gradients(model, model.losses(complete, observed, "teacher")) == {"teacher"}
    losses = model.losses(complete, observed, "task")
    assert gradients(model, losses) == {"encoders", "imagine", "recall", "decoders", "head"}
    assert gradients(model, {"decoding": model.losses(complete, observed, "task")["decoding"]}) == {"decoders"}
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in (*model.imagine.parameters(), *model.recall.parameters()):  # the identity says nothing of other slots
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    assert gradients(model, {"cycle": model.losses(complete, observed, "task")["cycle"]}) == {"recall", "imagine", "encoders"}
    seen = model.losses(complete, observed, "teacher")["task"]
    assert torch.equal(seen, model.losses(complete, complete, "teacher")["task"])


def test_a_step_of_one_stage_leaves_the_others_weights_bit_identical(corpus: Corpus, complete: Batch) -> None:
    model = made(corpus, complete, "mmin").train()
    steps = stage_steps(model, TrainingConfig())
    names = [set(step.names) for step in steps]
    assert not names[0] & names[1]
    assert names[0] | names[1] == {n for n, _ in model.named_parameters()}
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with torch.random.fork_rng():
        pair = [(complete, hide(complete, "text"))]
        update(model, steps[:1], pair, rate=0.01, clip_norm=1.0, cast=nullcontext(), where="test")
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved
    assert moved <= names[0]


def test_the_teachers_targets_have_no_dropout_and_its_mode_is_as_before(corpus: Corpus, complete: Batch) -> None:
    model = made(corpus, complete, "mmin", dropout=0.9)
    hidden = missing_slots(complete, hide(complete, "audio"))
    whole = model.means.split(model.means(complete))
    calm = model._teacher_embeddings(whole, hidden)
    model.train()
    with torch.random.fork_rng():
        assert torch.equal(model._teacher_embeddings(whole, hidden), calm)
    assert model.teacher.training
    assert all(module.training for module in model.modules())
    assert (calm[:, 0] == 0).all()  # text was seen: nothing to imagine


def test_the_way_back_starts_from_what_was_imagined_alone(corpus: Corpus, complete: Batch) -> None:
    """Observed embeddings pass the first cascade unchanged at first; sent back as they are, the cycle would be a copy."""
    model = made(corpus, complete, "mmin")
    observed = hide(complete, "audio")
    given: list[Tensor] = []
    model.recall.register_forward_pre_hook(lambda _, arguments: given.append(arguments[0]))
    model.losses(complete, observed, "task")
    hidden = missing_slots(complete, observed)
    assert (given[0][~hidden] == 0).all()
