"""What CIDer promises beyond the contract of all recognisers; most of it goes wrong in the published code."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import build
from lacuna.models.cider import CIDer
from lacuna.models.cider_as_published import CIDerAsPublished
from lacuna.models.layers.attention import GONE, CompositeAttention, block_attention, in_parts, scores, subsets
from lacuna.models.layers.distillation import attention_divergence, feature_distance, missing_error
from standin import StandIn, generate

CORPUS = generate(StandIn(dialogues=6, turns=5, dims=(("text", 6), ("audio", 5), ("vision", 4)), frames=7, absent=0.2))
SCHEMA, STATISTICS = CORPUS.schema(), fit_statistics(CORPUS)


@pytest.fixture
def complete() -> Batch:
    return collate(CORPUS, np.arange(len(CORPUS)), SCHEMA, STATISTICS)


def holes(batch: Batch, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return batch.observe({m: torch.rand(p.shape, generator=generator) > 0.5 for m, p in batch.present.items()})


def made(name: str = "cider", **changes: object) -> CIDer:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, SCHEMA, **{"maci": None, "layers": 2, "heads": 2, "width": 8, **changes})
    assert isinstance(model, CIDer)
    return model.eval()


def masked_softmaxes(logits: Tensor, values: Tensor, present: Tensor, lengths: tuple[int, ...]) -> list[Tensor]:
    """One masked softmax a subset of modalities, as the paper writes it."""
    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    read = {}
    for size in range(1, len(lengths) + 1):
        for subset in combinations(range(len(lengths)), size):
            keys = (present & torch.isin(owner, torch.tensor(subset)))[:, None, None, :]
            read[subset] = (logits.masked_fill(~keys, -1e9).softmax(dim=-1) * keys) @ values
    ends = np.cumsum(lengths)
    return [
        torch.stack([read[s][:, :, end - length : end] for s in subsets(m, len(lengths))], dim=3)
        for m, (length, end) in enumerate(zip(lengths, ends.tolist(), strict=True))
    ]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=2, max_size=4).filter(any),
    heads=st.sampled_from([1, 2, 4, 8]),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    size=st.sampled_from([1.0, 30.0, 1000.0]),
    seed=st.integers(0, 2**31),
)
def test_one_pass_is_one_masked_softmax_a_subset(lengths: list[int], heads: int, share: float, size: float, seed: int) -> None:
    """Any shape, heads and mask, also without any key, also for logits that overflow an exponential."""
    generator = torch.Generator().manual_seed(seed)
    n, shape = sum(lengths), tuple(lengths)
    logits = size * torch.randn(2, heads, n, n, generator=generator)
    values = torch.randn(2, heads, n, 3, generator=generator)
    present = torch.rand(2, n, generator=generator) >= share
    ours = block_attention(logits.masked_fill(~present[:, None, None, :], GONE), values, present, shape)
    for block, expected in zip(ours, masked_softmaxes(logits, values, present, shape), strict=True):
        torch.testing.assert_close(block, expected, rtol=0, atol=1e-5)


def test_gradients_agree_with_the_masked_softmaxes() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 9, 9, generator=generator, requires_grad=True)
    values = torch.randn(2, 2, 9, 3, generator=generator, requires_grad=True)
    present = torch.rand(2, 9, generator=generator) > 0.3
    gone = logits.masked_fill(~present[:, None, None, :], GONE)
    found = []
    for read in (block_attention(gone, values, present, (4, 3, 2)), masked_softmaxes(logits, values, present, (4, 3, 2))):
        found.append(torch.autograd.grad(sum((r.square().sum() for r in read), torch.zeros(())), (logits, values)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_parts_give_the_same_answers_and_gradients_as_the_whole() -> None:
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    answers = [in_parts(lambda part: part.square().sum(dim=1), (x,), 3, most) for most in (100, 6)]
    torch.testing.assert_close(*answers)
    torch.testing.assert_close(*(torch.autograd.grad(a.sum(), x, retain_graph=True)[0] for a in answers))


def test_one_affine_map_a_modality_is_the_published_chain_of_three() -> None:
    """Seven projections, a summary a modality, a last projection: affine maps in a row are one affine map."""
    width, generator = 8, torch.Generator().manual_seed(0)
    ours = CompositeAttention(width, 2, 3)
    project = {s: nn.Linear(width, width) for k in (1, 2, 3) for s in combinations(range(3), k)}
    summary, last = [nn.Linear(4 * width, width) for _ in range(3)], nn.Linear(width, width)
    x, present = torch.randn(2, 9, width, generator=generator), torch.rand(2, 9, generator=generator) > 0.3
    for m, out in enumerate(ours.out):
        own = subsets(m, 3)
        blocks = torch.block_diag(*(project[s].weight for s in own))
        chain = last.weight @ summary[m].weight
        with torch.no_grad():
            out.weight.copy_(chain @ blocks)  # type: ignore[union-attr, operator]
            bias = torch.cat([project[s].bias for s in own])
            out.bias.copy_(chain @ bias + last.weight @ summary[m].bias + last.bias)  # type: ignore[union-attr, operator]
    found, q, k = ours(x, present, (4, 3, 2))
    v = ours.qkv(x)[..., 2 * width :].view(2, 9, 2, 4).transpose(1, 2)
    read = masked_softmaxes(scores(q, k, torch.ones_like(present)), v, present, (4, 3, 2))
    expected = []
    for m, r in enumerate(read):
        parts = [project[s](r[:, :, :, i].transpose(1, 2).flatten(2)) for i, s in enumerate(subsets(m, 3))]
        expected.append(last(summary[m](torch.cat(parts, dim=-1))))
    torch.testing.assert_close(found, torch.cat(expected, dim=1), rtol=1e-4, atol=1e-5)


def test_order_in_time_matters(complete: Batch) -> None:
    """The published positions ran along the batch: time could be permuted without a change of the attention's answer."""
    model = made()
    turned = {m: x.flip(1) for m, x in complete.features.items()}
    present = {m: p.flip(1) for m, p in complete.present.items()}
    back = replace(complete, features=turned, present=present)
    assert not torch.allclose(model(complete).logits, model(back).logits, atol=1e-4)


@pytest.mark.parametrize("alignment", [True, False])
def test_a_loss_of_nothing_costs_nothing(complete: Batch, alignment: bool) -> None:
    terms = made(alignment=alignment).losses(complete, complete, "task")
    for part in ("reconstruction", "joint", "attention"):
        assert float(terms[part].detach()) == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(terms["task"], terms["complete"])


def test_reconstruction_counts_missing_positions_only() -> None:
    true = {"text": torch.zeros(1, 3, 2)}
    recovered = {"text": torch.tensor([[[9.0, 9.0], [1.0, 1.0], [9.0, 9.0]]])}
    missing = {"text": torch.tensor([[False, True, False]])}
    assert float(missing_error(recovered, true, missing)) == pytest.approx(0.5)  # smooth L1 of 1


def test_the_attention_term_is_a_mean_over_rows_unless_it_is_the_published_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    heads = [torch.randn(2, 2, 5, 3, generator=generator) for _ in range(4)]
    once = (heads[0], heads[1]), (heads[2], heads[3])
    twice = tuple(tuple(torch.cat([x, x], dim=2) for x in pair) for pair in once)
    keys = torch.ones(2, 5, dtype=torch.bool)
    double = torch.ones(2, 10, dtype=torch.bool)
    torch.testing.assert_close(attention_divergence(*once, keys, keys), attention_divergence(*twice, double, double))  # type: ignore[arg-type]
    ratio = attention_divergence(*twice, double, double, summed=True) / attention_divergence(*once, keys, keys, summed=True)  # type: ignore[arg-type]
    assert float(ratio) == pytest.approx(2, rel=1e-4)


def test_keys_that_the_student_cannot_see_do_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    heads = [torch.randn(1, 1, 4, 3, generator=generator) for _ in range(4)]
    keys = torch.tensor([[True, True, False, True]])
    other = heads[3].clone()
    other[:, :, 2] = 100.0
    divergences = [
        attention_divergence((heads[0], heads[1]), (heads[2], k), keys, torch.ones(1, 4, dtype=torch.bool))
        for k in (heads[3], other)
    ]
    torch.testing.assert_close(*divergences)


def test_no_gradient_reaches_the_teacher(complete: Batch) -> None:
    model = made()
    taught = model.encoder(complete)
    terms = model.distil(complete, holes(complete), taught)
    tensors = (taught.joint, *taught.attention)
    gradients = torch.autograd.grad(sum(terms.values(), torch.zeros(())), tensors, allow_unused=True)
    assert gradients == (None, None, None)
    assert float(feature_distance(taught.joint, taught.joint).detach()) == pytest.approx(0, abs=1e-6)


def test_the_student_is_compared_on_the_keys_that_it_has(complete: Batch) -> None:
    """A divergence over all of the teacher's keys would ask the student to look where nothing is left."""
    model, observed = made(attention=1.0), holes(complete)
    taught, seen = model.encoder(complete), model.encoder(observed)
    expected = attention_divergence(seen.attention, taught.attention, seen.keys & taught.keys, taught.keys)
    torch.testing.assert_close(model.distil(complete, observed, taught)["attention"], expected)
    assert (taught.keys & ~seen.keys).any()


def test_each_frame_is_decoded_from_its_own_place(complete: Batch) -> None:
    """With the attention shut, what is decoded at a frame follows that frame alone: a shift by one would show."""
    model = made(layers=1)
    with torch.no_grad():
        for out in model.encoder.layers[0].attention.out:  # type: ignore[union-attr, operator]
            out.weight.zero_()
        for gru in model.encoder.recurrent.values():
            for p in gru.parameters():
                p.zero_()
    view = model.encoder(complete)
    nothing = complete.observe({m: torch.zeros_like(p) for m, p in complete.present.items()})
    decoded = model._recovered(nothing, view)
    changed = {m: x.clone() for m, x in complete.features.items()}
    changed["text"][:, 2] += 1.0
    again = model._recovered(nothing, model.encoder(replace(complete, features=changed)))
    moved = (decoded["text"] != again["text"]).any(dim=-1).any(dim=0)
    assert moved.tolist() == [t == 2 for t in range(len(moved))]


def test_an_averaged_teacher_follows_in_training_only(complete: Batch) -> None:
    model = made(teacher="ema", teacher_decay=0.5)
    assert model.teacher is not None
    before = [p.clone() for p in model.teacher.parameters()]
    with torch.no_grad():
        for p in model.encoder.parameters():
            p.add_(1.0)
    model.losses(complete, holes(complete), "task")
    assert all(torch.equal(a, b) for a, b in zip(before, model.teacher.parameters(), strict=True))
    model.train().losses(complete, holes(complete), "task")
    for old, new in zip(before, model.teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.5)
    assert not any(p.requires_grad for p in model.teacher.parameters())


def test_as_published_the_second_step_learns_from_before_the_first(complete: Batch) -> None:
    model = made("cider_as_published")
    assert isinstance(model, CIDerAsPublished)
    first, second = model.stages
    assert first.keeps_gradient
    assert first.optimizer == second.optimizer
    model.losses(complete, holes(complete), first.name)
    _, kept = model._teacher_views[0]
    expected = model.distil(complete, holes(complete), kept)["joint"]
    assert torch.equal(model.losses(complete, holes(complete), second.name)["joint"], expected)
    assert not model._teacher_views
    model.losses(complete, holes(complete), first.name)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    stale = model.distil(complete, holes(complete), kept)["joint"]
    assert torch.equal(model.losses(complete, holes(complete), second.name)["joint"], stale)


def test_as_published_every_batch_has_its_own_teacher_even_after_a_broken_update(complete: Batch) -> None:
    model = made("cider_as_published")
    halves = [complete.take(torch.arange(0, 10)), complete.take(torch.arange(10, 30))]
    expected = [model.distil(h, holes(h), model.encoder(h))["joint"] for h in halves]
    model.losses(complete, holes(complete), "teacher")  # an update that never came to its second step
    for h in halves:
        model.losses(h, holes(h), "teacher")
    for h, joint in zip(halves, expected, strict=True):
        assert torch.equal(model.losses(h, holes(h), "student")["joint"], joint)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 30, "heads": 8}, "multiple of heads"),
        ({"teacher": "none"}, "same or ema"),
        ({"alignment": 1}, "true or false"),
        ({"joint": -1.0}, "joint"),
    ],
)
def test_settings_that_make_no_model_are_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        build("cider", SCHEMA, **changes)
