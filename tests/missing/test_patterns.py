"""What each pattern does beyond the common contract: its formula, settings and limits."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.errors import ConfigError
from lacuna.missing import Fixed, Imbalanced, MaskPlan, Outage, RmfmIid, Rmm, Seconds, Speaker
from lacuna.missing.hashing import stream_of, uniform
from lacuna.missing.patterns import modalities
from lacuna.missing.patterns.imbalanced import fill

quick = settings(max_examples=40, deadline=None)
EVEN = {"text": 30, "audio": 30, "vision": 30}


def shares(layouts, layout, plan) -> np.ndarray:
    """(N, M) share of each slot's frames that the plan removes."""
    return layouts.slots(layout, plan.over(layout).missing_flat())


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.8])
def test_rmfm_spreads_the_rates_of_slots_as_its_formula_says(layouts, rate):
    layout = layouts.make(1500, frames={"text": 400, "audio": 400, "vision": 400})
    rho = np.sort(shares(layouts, layout, MaskPlan("rmfm", rate, 2)).reshape(-1))
    theory = (np.arange(len(rho)) / len(rho)) ** ((1 - rate) / rate)
    assert np.abs(rho - theory).mean() < 0.015
    alone = np.corrcoef(shares(layouts, layout, MaskPlan("rmfm", rate, 2)).T)
    assert np.abs(alone - np.eye(3)).max() < 5 / np.sqrt(1500)


@pytest.mark.parametrize("kind", [Imbalanced(weights={"text": 1, "audio": 1, "vision": 6.5}), Outage(1), Outage(7.5)], ids=str)
def test_rate_1_removes_everything_whatever_the_settings(layouts, kind):
    assert all(m.all() for m in MaskPlan(kind, 1).over(layouts.make(40)).missing_flat().values())


def test_rmfm_iid_keeps_protected_ends_at_rate_1(layouts):
    present = MaskPlan(RmfmIid(protect_ends=("text", "audio")), 1).over(layouts.make(40, frames=EVEN)).present(np.arange(40))
    for m in ("text", "audio"):
        assert present[m][:, [0, -1]].all()
        assert not present[m][:, 1:-1].any()
    assert not present["vision"].any()


def test_rmfm_iid_is_bernoulli(layouts):
    layout = layouts.make(1500, frames={"text": 40, "audio": 40, "vision": 40})
    found = shares(layouts, layout, MaskPlan("rmfm_iid", 0.3))
    assert found.std() == pytest.approx(np.sqrt(0.3 * 0.7 / 40), rel=0.05)


@quick
@given(rate=st.floats(0, 1), seed=st.integers(0, 2**63), absent=st.sampled_from([0.0, 0.2, 0.6]), n=st.integers(1, 60))
def test_rmm_is_exact_and_keeps_one(layouts, rate, seed, absent, n):
    layout = layouts.make(n, absent=absent, holes=0.4, seed=n)
    there = np.stack(list(layout.available.values()), axis=1)
    lost = np.nan_to_num(shares(layouts, layout, MaskPlan("rmm", rate, seed))) > 0
    total, spare = there.sum(), there.sum() - there.any(axis=1).sum()
    assert lost.sum() == min(round(rate * int(total)), spare)
    assert not (lost & ~there).any()
    assert np.array_equal((there & ~lost).any(axis=1), there.any(axis=1))


@quick
@given(rate=st.floats(0, 1), n=st.integers(2, 40), data=st.data())
def test_rmm_breaks_ties_by_keys(layouts, rate, n, data):
    """Even if scores collide the rate is exact, masks nest, and the order of the rows does not matter."""
    layout = layouts.make(n)
    shuffled = layouts.take(layout, np.array(data.draw(st.permutations(range(n)))))
    with pytest.MonkeyPatch.context() as patch:
        hashed = modalities._scores
        collide = {"keep": hashed, "order": lambda layout, seed, use, m: layout.utterance % np.uint64(3)}
        patch.setattr(modalities, "_scores", lambda layout, seed, use, m: collide[use](layout, seed, use, m))
        one, two = MaskPlan("rmm", rate).over(layout), MaskPlan("rmm", rate).over(shuffled)
        more = MaskPlan("rmm", min(1, rate + 0.1)).over(layout).missing_flat()
        turned = MaskPlan("rmm", rate).over(replace(layout, count=dict(reversed(layout.count.items())))).missing_flat()
        missing, other = one.missing_flat(), two.missing_flat()
    assert one.measured() == min(round(rate * (3 * n)), 2 * n) / (3 * n)
    assert layouts.by_utterance(layout, missing) == layouts.by_utterance(shuffled, other)
    assert all(np.array_equal(missing[m], turned[m]) for m in missing)
    assert not any((missing[m] & ~more[m]).any() for m in missing)


def test_rmm_has_no_favourite_modality(layouts):
    layout = layouts.make(3000, frames={"text": 1, "audio": 1, "vision": 1})
    for rate in (0.2, 0.5, 0.7):
        lost = shares(layouts, layout, MaskPlan("rmm", rate, 4))
        assert np.abs(lost.mean(axis=0) - lost.mean()).max() < 5 / np.sqrt(3000) / 2
    kept = Counter(map(tuple, (lost == 0).astype(int)))
    assert set(kept) == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_rmm_chooses_uniformly_among_the_slots_that_may_go(layouts, rate):
    """Utterances that lack a modality lose a spare slot as often as complete ones, and two slots go independently."""
    layout = layouts.make(9000, frames={"text": 1, "audio": 1, "vision": 1}, absent=0.3)
    there = np.stack(list(layout.available.values()), axis=1).sum(axis=1)
    lost = (shares(layouts, layout, MaskPlan("rmm", rate, 2)) == 1).sum(axis=1)
    p = lost.sum() / np.maximum(there - 1, 0).sum()
    assert lost[there == 2].mean() == pytest.approx(p, abs=0.035)
    assert lost[there == 3].mean() / 2 == pytest.approx(p, abs=0.035)
    assert (lost[there == 3] == 2).mean() == pytest.approx(p * p, abs=0.035)


@given(length=st.integers(1, 60), grid=st.integers(1, 60), rate=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("kind", ["tmfm", "stmfm"])
def test_time_masks_share_one_grid(layouts, kind, length, grid, rate, seed):
    layout = layouts.make(5, frames={"short": min(length, grid), "long": max(length, grid)}, seed=seed)
    short, long = MaskPlan(kind, rate, seed).over(layout).present(np.arange(5)).values()
    cell = [(2 * t + 1) * long.shape[1] // (2 * short.shape[1]) for t in range(short.shape[1])]
    assert np.array_equal(short, long[:, cell])


@pytest.mark.parametrize("kind", ["tmfm", "stmfm"])
def test_time_masks_of_aligned_modalities_are_the_same(layouts, kind):
    present = list(MaskPlan(kind, 0.4).over(layouts.make(50, frames=EVEN)).present(np.arange(50)).values())
    assert all(np.array_equal(p, present[0]) for p in present)
    assert 0.3 < present[0].mean() < 0.9


@quick
@given(rate=st.floats(0, 1), seed=st.integers(0, 2**63), grid=st.integers(1, 80))
def test_stmfm_takes_one_stretch_of_the_right_length(layouts, rate, seed, grid):
    missing = ~MaskPlan("stmfm", rate, seed).over(layouts.make(20, frames={"a": grid})).present(np.arange(20))["a"]
    edges = np.diff(missing.astype(int), axis=1, prepend=0, append=0)
    assert (np.count_nonzero(edges == 1, axis=1) <= 1).all()
    assert (np.abs(missing.sum(axis=1) - rate * grid) < 1 + 1e-9).all()


@pytest.mark.parametrize("rate", [0.3, 0.6])
def test_stmfm_stretches_begin_anywhere(layouts, rate):
    missing = ~MaskPlan("stmfm", rate).over(layouts.make(4000, frames={"a": 10})).present(np.arange(4000))["a"]
    first = np.bincount(missing.argmax(axis=1), minlength=10)[: round(10 - 10 * rate) + 1]
    assert np.abs(first / first.sum() - 1 / len(first)).max() < 0.03


@pytest.mark.parametrize(("grid", "rate"), [(1, 0.3), (10, 0.25), (7, 0.9)])
def test_stmfm_stretches_have_the_mean_length_asked_for_wherever_they_begin(layouts, grid, rate):
    missing = ~MaskPlan("stmfm", rate).over(layouts.make(4000, frames={"a": grid})).present(np.arange(4000))["a"]
    length = missing.sum(axis=1)
    assert length.mean() == pytest.approx(rate * grid, abs=5 * length.std() / np.sqrt(4000))
    if grid > 1:
        begin = (missing.argmax(axis=1) + 0.5) / (grid - length + 1)
        assert abs(np.corrcoef(begin, length)[0, 1]) < 5 / np.sqrt(4000)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("burst", [1.0, 3.0, 40.0])
def test_outage_is_the_chain_that_it_says(layouts, rate, burst):
    layout = layouts.take(layouts.make(200, turns=9), np.random.default_rng(0).permutation(200))
    found = MaskPlan(Outage(burst), rate, 6).over(layout).draw.removed
    back = min(1 / burst, 1 - rate)
    drop = back * rate / (1 - rate) if rate < 1 else 1
    for m in layout.modalities:
        u = uniform(layout.utterance, stream_of(6, "outage.turn", m))
        for dialogue in np.unique(layout.dialogue):
            rows = np.flatnonzero(layout.dialogue == dialogue)
            off = None
            for row in rows[np.argsort(layout.turn[rows])]:
                off = u[row] < rate if off is None else u[row] < drop or (off and u[row] < 1 - back)
                assert found[m][row] == off


@pytest.mark.parametrize(("rate", "burst"), [(0.1, 3.0), (0.4, 3.0), (0.4, 6.0), (0.9, 3.0), (0.5, 1.0)])
def test_outages_are_stationary_and_last_as_long_as_asked(layouts, rate, burst):
    layout = layouts.make(30_000, turns=60, frames={"a": 1})
    off = MaskPlan(Outage(burst), rate).over(layout).missing_flat()["a"].reshape(-1, 60)
    for turn in (0, 1, 5, 59):
        assert off[:, turn].mean() == pytest.approx(rate, abs=5 * np.sqrt(rate * (1 - rate) / len(off)))
    ended = off[:, :-1] & ~off[:, 1:]
    mean_length = off[:, :-1].sum() / ended.sum()
    assert mean_length == pytest.approx(max(burst, 1 / (1 - rate)), rel=0.12)


def test_outages_of_modalities_are_independent(layouts):
    layout = layouts.make(6000, turns=2, frames=EVEN)
    off = np.stack(list(MaskPlan("outage", 0.5).over(layout).draw.removed.values()))
    assert np.abs(np.corrcoef(off) - np.eye(3)).max() < 5 / np.sqrt(3000)


def test_speaker_silences_one_party_for_the_whole_dialogue(layouts):
    layout = layouts.make(600, turns=10, parties=3)
    removed = MaskPlan("speaker", 0.5, 1).over(layout).draw.removed
    combinations = Counter()
    for dialogue in np.unique(layout.dialogue):
        rows = layout.dialogue == dialogue
        off = np.stack([removed[m][rows] for m in layout.modalities], axis=1)
        assert len(np.unique(layout.speaker[rows][off.any(axis=1)])) <= 1
        for party in np.unique(layout.speaker[rows]):
            mine = off[layout.speaker[rows] == party]
            assert (mine == mine[0]).all()
        combinations[tuple(off.any(axis=0).tolist())] += 1
    assert len(combinations) == 8  # any set of channels


def test_speaker_chooses_any_party(layouts):
    layout = layouts.make(4000, turns=4)
    removed = MaskPlan("speaker", 1.0, 3).over(layout).draw.removed["text"].reshape(-1, 4)  # (N,) -> (D, 4)
    assert removed.mean() == pytest.approx(0.53, abs=0.06)  # both parties spoke in most dialogues, one alone in some
    speaker = layout.speaker.reshape(-1, 4)
    both = (speaker != speaker[:, :1]).any(axis=1)
    assert removed[both, 0].mean() == pytest.approx(0.5, abs=0.09)  # the first speaker is as likely as the other


def test_speaker_chooses_in_every_dialogue_independently(layouts):
    """Two people who talk to each other in every dialogue are silenced about equally often."""
    layout = layouts.make(2000, turns=2)
    layout = replace(layout, speaker=np.tile(np.array([1, 2], np.uint64), 1000))
    removed = MaskPlan("speaker", 1.0, 3).over(layout).draw.removed["text"]
    assert removed.reshape(-1, 2).mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.08)


def test_speaker_can_spare_modalities(layouts):
    removed = MaskPlan(Speaker(modalities=("audio", "vision")), 1.0).over(layouts.make(60)).draw.removed
    assert not removed["text"].any()
    assert np.array_equal(removed["audio"], removed["vision"])
    assert removed["audio"].any()


@pytest.mark.parametrize("subset", [("text",), ("audio",), ("text", "vision"), ("text", "audio", "vision")])
def test_fixed_keeps_the_same_set_for_everyone_hit(layouts, subset):
    layout = layouts.make(2000, frames=EVEN)
    lost = shares(layouts, layout, MaskPlan(Fixed(available=subset), 0.3)) > 0
    kept = Counter(map(tuple, ~lost))
    everything = (True, True, True)
    assert set(kept) <= {everything, tuple(m in subset for m in layout.modalities)}
    assert 2000 - kept[everything] == pytest.approx(600 if len(subset) < 3 else 0, abs=5 * np.sqrt(2000 * 0.21))


@given(weights=st.dictionaries(st.sampled_from("abcde"), st.floats(0.01, 100), min_size=1), rate=st.floats(0, 1))
def test_imbalanced_probabilities_have_the_mean_and_the_ratios_asked_for(weights, rate):
    p = fill(weights, rate)
    assert p.keys() == weights.keys()
    assert all(0 <= x <= 1 for x in p.values())
    assert np.mean(list(p.values())) == pytest.approx(rate)
    free = {m: x / weights[m] for m, x in p.items() if x < 1}
    if free:
        factor = max(free.values())
        assert min(free.values()) == pytest.approx(factor)
        assert all(factor * weights[m] >= 1 - 1e-9 for m in p if m not in free)
    assert all(p[m] <= x + 1e-12 for m, x in fill(weights, min(1, rate + 0.05)).items())
    assert set(fill(weights, 1).values()) == {1.0}


def test_imbalanced_loses_modalities_by_weight(layouts):
    layout = layouts.make(6000, frames=EVEN)
    lost = shares(layouts, layout, MaskPlan(Imbalanced(weights={"text": 4, "audio": 1, "vision": 1}), 0.2)).mean(axis=0)
    assert lost == pytest.approx([0.4, 0.1, 0.1], abs=0.035)
    lost = shares(layouts, layout, MaskPlan("imbalanced", 0.3)).mean(axis=0)
    assert lost == pytest.approx([0.15, 0.3, 0.45], abs=0.035)


def test_one_modality_is_never_taken_by_rmm(layouts):
    mask = MaskPlan(Rmm(), 1.0).over(layouts.make(30, frames={"a": (1, 5)}))
    assert mask.measured() == 0
    assert not mask.missing_flat()["a"].any()


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.66, 0.9])
def test_rmm_in_blocks_is_what_sorting_everything_gives(layouts, rate, monkeypatch):
    layout = layouts.make(700, absent=0.2, holes=0.9, seed=2)
    monkeypatch.setattr(sys.modules["lacuna.missing.layout"], "_BLOCK", 64)
    there = np.stack(list(layout.available.values()), axis=1)
    keep, order = (
        np.stack([modalities._scores(layout, 7, use, m) for m in layout.modalities], axis=1) for use in ("keep", "order")
    )
    spare = there & (np.where(there, keep, 2**64 - 1).argmin(axis=1)[:, None] != np.arange(there.shape[1]))
    ranked = np.argwhere(spare)[np.argsort(order[spare])][: round(rate * int(there.sum()))]
    lost = np.zeros_like(spare)
    lost[tuple(ranked.T)] = True
    mask = MaskPlan("rmm", rate, 7).over(layout)
    removed = mask.draw.removed
    assert np.array_equal(np.stack(list(removed.values()), axis=1), lost)
    assert mask.measured() == lost.sum() / there.sum()


@pytest.mark.parametrize("length", [0.5, 2.0])
@quick
@given(seed=st.integers(0, 2**31))
def test_seconds_removes_the_same_span_from_all_modalities(layouts, length, seed):
    layout = layouts.make(20, frames={"text": 1, "audio": 50, "vision": (1, 25)})
    vision = [np.arange(n) * 0.2 for n in layout.count["vision"]]
    audio = np.arange(50) * 0.1 + 0.05  # the last frame lies at 4.95 s
    times = {"audio": np.tile(audio, 20).astype(np.float32), "vision": np.concatenate(vision).astype(np.float32)}
    present = MaskPlan(Seconds(seconds=length), 1, seed).over(replace(layout, times=times)).present(np.arange(20))
    for row in range(20):
        (lost,) = np.nonzero(~present["audio"][row])
        assert np.array_equal(lost, np.arange(lost[0], lost[-1] + 1))
        assert length - 0.11 < audio[lost[-1]] - audio[lost[0]] + 0.1 < length + 0.11
        low, high = audio[lost[0]], audio[lost[-1]]
        n = layout.count["vision"][row]
        for at, removed in (*zip(vision[row], ~present["vision"][row, :n], strict=True), (4.95 / 2, ~present["text"][row, 0])):
            if low <= at <= high:
                assert removed
            elif not low - 0.11 <= at <= high + 0.11:
                assert not removed


def test_seconds_removes_all_of_a_shorter_utterance_and_nothing_else_of_others(layouts):
    layout = layouts.make(200, frames={"a": 5})  # half a second at the default step
    mask = MaskPlan(Seconds(), 0.4).over(layout)
    missing = ~mask.present(np.arange(200))["a"]
    assert set(missing.sum(axis=1).tolist()) == {0, 5}
    assert mask.measured() == pytest.approx(missing.any(axis=1).mean())
    with pytest.raises(ConfigError, match=r"seconds.seconds must be a finite number of seconds above 0, found 0"):
        Seconds(seconds=0)
