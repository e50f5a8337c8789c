"""Prediction sets hold the truth as often as they say, dialogue by dialogue; sure answers are wrong as rarely as wanted."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lacuna.corpus import Target
from lacuna.errors import ConfigError
from lacuna.models.layers.sureness import ALL, ERRORS, OWN, SAME_NUMBER, UNSEEN, Sureness, adaptive_scores, hierarchical_quantiles

CLASSES = Target("mood", "classification", ("a", "b", "c", "d"))
VALUES = Target("valence", "regression", low=-3, high=3)
BOTH, FIRST, SECOND, NOTHING = (True, True), (True, False), (False, True), (False, False)


def drawn(seed: int, dialogues: int, turns: int, target: Target = CLASSES) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, labels, availability and dialogues; some dialogues are much harder, and one modality is worth less."""
    g = torch.Generator().manual_seed(seed)
    dialogue = torch.arange(dialogues).repeat_interleave(turns)
    available = torch.rand(len(dialogue), 2, generator=g) < 0.6
    hard = torch.rand(dialogues, generator=g)[dialogue]
    skill = (available * torch.tensor([2.0, 1.0])).sum(dim=1) * (1 - hard)
    if target.task == "regression":
        label = torch.randn(len(dialogue), generator=g)
        return label[:, None] + torch.randn(len(dialogue), 1, generator=g) / (1 + skill[:, None]), label, available, dialogue
    label = torch.randint(4, (len(dialogue),), generator=g)
    logits = torch.randn(len(dialogue), 4, generator=g) + skill[:, None] * torch.eye(4)[label]
    return 3 * logits, label, available, dialogue


def coverage(sureness: Sureness, target: Target, seed: int, error: float) -> dict[tuple[bool, ...], float]:
    logits, label, available, _ = drawn(seed, 2000, 10, target)
    found = sureness.sets(target, logits, available, error)
    inside = (
        found.member.gather(1, label[:, None]).squeeze(1)
        if target.task == "classification"
        else (logits[:, 0] - label).abs() <= found.reach
    )
    kinds = {kind: (available == torch.tensor(kind)).all(dim=1) for kind in (BOTH, FIRST, SECOND, NOTHING)}
    return {kind: float(inside[rows].double().mean()) for kind, rows in kinds.items()}


@pytest.mark.parametrize("target", [CLASSES, VALUES], ids=["classes", "values"])
@pytest.mark.parametrize("error", [0.1, 0.3])
def test_each_set_of_modalities_is_covered_as_wanted_over_calibrations(target: Target, error: float) -> None:
    """The guarantee is a mean over calibration splits: the mean of 40 of them lies within 0.02."""
    sums = dict.fromkeys((BOTH, FIRST, SECOND, NOTHING), 0.0)
    for seed in range(40):
        sureness = Sureness(2)
        sureness.fit(target, *drawn(seed, 60, 10, target))
        for kind, share in coverage(sureness, target, 1000, error).items():
            sums[kind] += share / 40
    for kind, share in sums.items():
        assert 1 - error - 0.02 <= share <= 1 - error + 0.03, kind


def uneven(seed: int, dialogues: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Values with Gaussian errors whose known deviations differ; without the first modality they are three times as large."""
    g = torch.Generator().manual_seed(seed)
    dialogue = torch.arange(dialogues).repeat_interleave(10)
    available = torch.rand(len(dialogue), 2, generator=g) < 0.6
    spread = torch.exp(torch.randn(len(dialogue), generator=g)) * torch.where(available[:, 0], 1.0, 3.0)
    return torch.zeros(len(dialogue), 1), spread * torch.randn(len(dialogue), generator=g), available, dialogue, spread


def test_intervals_that_follow_the_spread_cover_as_much_and_are_narrower() -> None:
    """With the true deviations they cover nine of ten where the error is large, too, which one width does not."""
    kinds = (BOTH, FIRST, SECOND, NOTHING)
    covered, wide, widths = (torch.zeros(2, len(kinds)) for _ in range(3))  # constant and adaptive
    value, label, available, _, spread = uneven(1000, 2000)
    rows = [(available == torch.tensor(kind)).all(dim=1) for kind in kinds]
    for seed in range(20):
        *known, calibration_spread = uneven(seed, 60)
        for way, spreads in enumerate(((None, None), (calibration_spread, spread))):
            sureness = Sureness(2)
            sureness.fit(VALUES, *known, spread=spreads[0])
            reach = sureness.sets(VALUES, value, available, spread=spreads[1]).reach
            inside = (label.abs() <= reach).double()
            for at, of_kind in enumerate(rows):
                covered[way, at] += inside[of_kind].mean() / 20
                wide[way, at] += inside[of_kind & (spread > spread[of_kind].quantile(0.9))].mean() / 20
                widths[way, at] += 2 * reach[of_kind].mean() / 20
    assert ((covered > 0.88) & (covered < 0.93)).all(), covered
    assert (widths[1] < 0.95 * widths[0]).all(), widths
    assert (wide[1] > 0.88).all(), wide
    assert (wide[0] < 0.7).all(), wide


@pytest.mark.parametrize("target", [CLASSES, VALUES], ids=["classes", "values"])
def test_spreads_of_one_change_no_bit_and_classes_have_none(target: Target) -> None:
    *known, dialogue = drawn(0, 60, 10, target)
    factor = 1.0 if target is VALUES else 7.0
    spread = factor * torch.ones(len(dialogue))
    sureness, same = Sureness(2), Sureness(2)
    sureness.fit(target, *known, dialogue)
    same.fit(target, *known, dialogue, spread=spread)
    assert all(torch.equal(x, same.state_dict()[name]) for name, x in sureness.state_dict().items())
    pairs = zip(sureness.sets(target, known[0], known[2]), same.sets(target, known[0], known[2], spread=spread), strict=True)
    assert all(torch.equal(x, y) for x, y in pairs)


def test_thresholds_of_earlier_versions_are_widths_of_values() -> None:
    """Models that were saved without the buffer ``scaled`` have thresholds of absolute errors."""
    *known, spread = uneven(0, 60)
    sureness = Sureness(2)
    sureness.fit(VALUES, *known)
    width = sureness.sets(VALUES, known[0], known[2]).reach
    sureness.scaled.fill_(False)
    assert torch.equal(sureness.sets(VALUES, known[0], known[2], spread=spread).reach, width)


def test_utterances_as_if_independent_would_cover_less() -> None:
    """Thirty dialogues of forty equal utterances are thirty observations: plain split conformal would be too narrow for 0.05."""
    shares = []
    for seed in range(300):
        g = torch.Generator().manual_seed(seed)
        score = torch.rand(31, generator=g, dtype=torch.float64)  # one score a dialogue, the last is the test
        reach = hierarchical_quantiles(score[:30].repeat_interleave(40), torch.arange(30).repeat_interleave(40))
        shares.append(float(score[30] <= reach[ERRORS.index(0.05)]))
    assert sum(shares) / 300 >= 0.93


def test_scarce_sets_of_modalities_are_merged_and_say_so() -> None:
    logits, label, available, dialogue = drawn(0, 60, 10)
    scarce = (available == torch.tensor(SECOND)).all(dim=1) & (dialogue >= 5)
    nothing = ~available.any(dim=1)
    keep = ~scarce & ~nothing
    sureness = Sureness(2)
    sureness.fit(CLASSES, logits[keep], label[keep], available[keep], dialogue[keep])
    assert sureness.merged.tolist() == [UNSEEN, OWN, SAME_NUMBER, OWN]  # nothing, first, second, both
    one = available[keep].sum(dim=1) == 1
    expected = Sureness(2)
    expected.fit(
        CLASSES, logits[keep][one], label[keep][one], torch.tensor([SECOND]).expand(int(one.sum()), 2), dialogue[keep][one]
    )
    assert torch.equal(sureness.reach[2], expected.reach[2])
    few = dialogue < 10
    sureness.fit(CLASSES, logits[few], label[few], available[few], dialogue[few])
    assert set(sureness.merged.tolist()) == {ALL}


@given(st.integers(0, 2**31), st.floats(0.1, 10))
@settings(max_examples=30)
def test_sets_grow_with_the_coverage_and_hold_the_most_probable_class(seed: int, scale: float) -> None:
    logits, label, available, dialogue = drawn(seed, 30, 4)
    sureness = Sureness(2)
    sureness.fit(CLASSES, scale * logits, label, available, dialogue)
    before = torch.zeros(len(logits), 4, dtype=torch.bool)
    for error in reversed(ERRORS):
        member = sureness.sets(CLASSES, scale * logits, available, error).member
        assert (member | ~before).all()
        assert member.gather(1, logits.argmax(dim=1, keepdim=True)).all()
        before = member


def test_the_adaptive_score_sums_what_is_more_probable() -> None:
    p = torch.tensor([[0.5, 0.2, 0.3], [0.4, 0.4, 0.2]], dtype=torch.float64)
    torch.testing.assert_close(adaptive_scores(p), torch.tensor([[0.0, 0.8, 0.5], [0.0, 0.0, 0.8]], dtype=torch.float64))


@pytest.mark.parametrize("error", [0.1, 0.3])
def test_sure_answers_are_wrong_as_rarely_as_wanted(error: float) -> None:
    sureness = Sureness(2)
    sureness.fit(CLASSES, *drawn(0, 400, 10))
    logits, label, _, _ = drawn(1, 400, 10)
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    sure = sureness.sure(confidence, error)
    assert 0.05 < sure.double().mean() < 0.95
    assert float((predicted != label)[sure].double().mean()) == pytest.approx(error, abs=0.03)


def test_without_a_fit_everything_is_in_the_set_and_nothing_is_sure() -> None:
    sureness = Sureness(2)
    logits, _, available, _ = drawn(0, 3, 3)
    assert not sureness.fitted
    assert sureness.sets(CLASSES, logits, available).member.all()
    assert not sureness.sure(torch.ones(3)).any()


@pytest.mark.parametrize("error", [0.0, 0.005, 1.0, float("nan")])
def test_an_error_out_of_bounds_is_refused(error: float) -> None:
    with pytest.raises(ConfigError, match=r"accepted share of errors must be from 0\.01 to below 1"):
        Sureness(1).sure(torch.ones(1), error)
