"""What every registered pattern promises, whatever its rule.

The tests read what they must know of a pattern from the attributes of its class (see :class:`lacuna.missing.Pattern`), so a new
pattern needs no change here but an entry in ``DIGESTS``.
"""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.missing import Fixed, Imbalanced, MaskPlan, Outage, RmfmIid, Speaker, list_patterns, pattern

DEFAULTS = [pattern(name) for name in list_patterns()]
CASES = [
    *DEFAULTS,
    RmfmIid(protect_ends=("text", "audio")),
    Fixed(available=("text", "vision")),
    Imbalanced(weights={"text": 1, "audio": 1, "vision": 6.5}),
    Outage(burst=1),
    Outage(burst=7.5),
    Speaker(modalities=("audio",)),
]
EVEN = {"text": 30, "audio": 30, "vision": 30}


def kinds(cases):
    return pytest.mark.parametrize("kind", list(cases), ids=str)


every = kinds(CASES)
shapes = st.fixed_dictionaries(
    {
        "utterances": st.integers(1, 40),
        "turns": st.integers(1, 9),
        "absent": st.sampled_from([0.0, 0.3, 1.0]),
        "holes": st.sampled_from([0.0, 0.5]),
        "parties": st.integers(1, 3),
        "seed": st.integers(0, 50),
        "frames": st.sampled_from(
            [
                {"text": (1, 9), "audio": (1, 23), "vision": (0, 5)},
                {"text": 7, "audio": 7, "vision": 7},
                {"text": 1, "audio": 1, "vision": 1},
                {"text": 1, "audio": (40, 50), "vision": 3},
            ]
        ),
    }
)
rates = st.one_of(st.sampled_from([0.0, 1e-9, 0.1, 0.5, 0.7, 1 - 1e-9, 1.0]), st.floats(0, 1))
seeds = st.integers(0, 2**63)
quick = settings(max_examples=25, deadline=None)


@every
@quick
@given(shape=shapes, rate=rates, seed=seeds)
def test_a_mask_only_removes_and_pads_with_false(layouts, kind, shape, rate, seed):
    layout = layouts.make(**shape)
    mask = MaskPlan(kind, rate, seed).over(layout)
    original, missing, present = layouts.original(layout), mask.missing_flat(), mask.present(np.arange(len(layout)))
    assert tuple(present) == tuple(missing) == layout.modalities
    for m, count in layout.count.items():
        is_frame = np.arange(max(1, count.max(initial=0))) < count[:, None]
        assert present[m].shape == is_frame.shape
        assert present[m].dtype == missing[m].dtype == np.bool_
        assert not present[m][~is_frame].any()
        assert not (missing[m] & ~original[m]).any()
        assert np.array_equal(present[m][is_frame], original[m] & ~missing[m])
    assert 0 <= mask.measured() <= 1


@every
@quick
@given(shape=shapes, seed=seeds)
def test_rate_0_changes_nothing(layouts, kind, shape, seed):
    mask = MaskPlan(kind, 0, seed).over(layouts.make(**shape))
    assert not any(missing.any() for missing in mask.missing_flat().values())
    assert mask.measured() == 0


@kinds(kind for kind in DEFAULTS if kind.reaches_rate_1)
@quick
@given(shape=shapes, seed=seeds)
def test_rate_1_removes_everything_if_so_declared(layouts, kind, shape, seed):
    layout = layouts.make(**shape)
    missing = MaskPlan(kind, 1, seed).over(layout).missing_flat()
    for m, original in layouts.original(layout).items():
        assert not (original & ~missing[m]).any(), f"{kind} keeps frames at rate 1: declare reaches_rate_1 = False"


@kinds(kind for kind in DEFAULTS if not kind.reaches_rate_1)
def test_rate_1_keeps_something_if_so_declared(layouts, kind):
    missing = MaskPlan(kind, 1).over(layouts.make(24)).missing_flat()
    assert not all(m.all() for m in missing.values()), f"{kind} removes everything at rate 1: declare reaches_rate_1 = True"


@every
@quick
@given(shape=shapes, rate=rates, seed=seeds)
def test_whole_modalities_are_kept_or_removed_if_so_declared(layouts, kind, shape, rate, seed):
    layout = layouts.make(**{**shape, "holes": 0.0})
    share = layouts.slots(layout, MaskPlan(kind, rate, seed).over(layout).missing_flat())
    if kind.removes == "modalities":
        in_part = np.isfinite(share) & (share > 0) & (share < 1)
        assert not in_part.any(), f"{kind} removes a part of a slot: declare removes = 'frames'"


@kinds(kind for kind in CASES if kind.removes == "frames")
def test_single_frames_are_removed_if_so_declared(layouts, kind):
    layout = layouts.make(60, frames=EVEN)
    share = layouts.slots(layout, MaskPlan(kind, 0.5).over(layout).missing_flat())
    assert ((share > 0) & (share < 1)).any(), f"{kind} removes whole slots only: declare removes = 'modalities'"


@kinds(kind for kind in CASES if kind.nested)
@quick
@given(shape=shapes, pair=st.tuples(rates, rates), seed=seeds)
def test_masks_nest_over_rates_if_so_declared(layouts, kind, shape, pair, seed):
    layout = layouts.make(**shape)
    low, high = (MaskPlan(kind, rate, seed).over(layout).missing_flat() for rate in sorted(pair))
    for m in layout.modalities:
        assert not (low[m] & ~high[m]).any(), f"{kind} gives back frames at a higher rate: declare nested = False"


@every
@quick
@given(shape=shapes, rate=rates, seed=seeds, data=st.data())
def test_a_mask_does_not_depend_on_the_order_of_the_rows(layouts, kind, shape, rate, seed, data):
    layout = layouts.make(**shape)
    rows = np.array(data.draw(st.permutations(range(len(layout)))))
    shuffled = layouts.take(layout, rows)
    plan = MaskPlan(kind, rate, seed)
    one, two = plan.over(layout), plan.over(shuffled)
    assert layouts.by_utterance(layout, one.missing_flat()) == layouts.by_utterance(shuffled, two.missing_flat())
    assert one.measured() == pytest.approx(two.measured(), abs=1e-12)


@kinds(kind for kind in CASES if not (kind.reads_modality_order and kind in DEFAULTS))
@quick
@given(shape=shapes, rate=rates, seed=seeds)
def test_a_mask_does_not_depend_on_the_order_of_the_modalities(layouts, kind, shape, rate, seed):
    layout = layouts.make(**shape)
    turned = replace(layout, count=dict(reversed(layout.count.items())))
    one, two = (MaskPlan(kind, rate, seed).over(x).missing_flat() for x in (layout, turned))
    for m in one:
        assert np.array_equal(one[m], two[m]), f"{kind} reads the order of the modalities: declare reads_modality_order = True"


@every
@quick
@given(shape=shapes, rate=rates, seed=seeds, data=st.data())
def test_a_mask_does_not_depend_on_the_batches(layouts, kind, shape, rate, seed, data):
    layout = layouts.make(**shape)
    mask = MaskPlan(kind, rate, seed).over(layout)
    whole = mask.present(np.arange(len(layout)))
    batch = np.array(data.draw(st.lists(st.integers(0, len(layout) - 1), max_size=12)), np.int64)  # repeats allowed
    for m, present in mask.present(batch).items():
        longest = max(1, layout.count[m][batch].max(initial=0))
        assert np.array_equal(present, whole[m][batch][:, :longest])
        assert not whole[m][batch][:, longest:].any()


@kinds(kind for kind in CASES if kind.independence != "split")
@quick
@given(shape=shapes, rate=rates, seed=seeds, data=st.data())
def test_a_mask_does_not_depend_on_other_utterances_or_dialogues(layouts, kind, shape, rate, seed, data):
    layout = layouts.make(**shape)
    if kind.needs_dialogues:
        kept = data.draw(st.sets(st.sampled_from(sorted(set(layout.dialogue.tolist()))), min_size=1))
        rows = np.flatnonzero(np.isin(layout.dialogue, np.array(sorted(kept), np.uint64)))
    else:
        rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(layout) - 1), min_size=1))))
    part = layouts.take(layout, rows)
    plan = MaskPlan(kind, rate, seed)
    whole = layouts.by_utterance(layout, plan.over(layout).missing_flat())
    assert layouts.by_utterance(part, plan.over(part).missing_flat()).items() <= whole.items(), (
        f"{kind} depends on other utterances: declare needs_dialogues = True if these are of the same dialogue, "
        "else independence = 'split'"
    )


@kinds(kind for kind in DEFAULTS if kind.independence in ("frames", "slots", "channels"))
def test_modalities_are_lost_independently_if_so_declared(layouts, kind):
    layout = layouts.make(8000, frames={"text": 3, "audio": 3, "vision": 3}, turns=1, parties=1)
    flat = np.stack(list(MaskPlan(kind, 0.5, 1).over(layout).missing_flat().values()))
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 5 / np.sqrt(8000), (
        f"{kind} removes modalities together: declare independence = 'moments' or 'utterances'"
    )


def tolerance(kind, layout, rate: float) -> float:
    """Return five standard deviations of the measured rate.

    Independent values in [0, 1] with mean r have at most the variance of Bernoulli draws. The weight of a draw is the number of
    units of the rate that it decides.
    """
    frames = np.stack(list(layout.count.values()), axis=1)  # (N, M)
    slots = np.stack(list(layout.available.values()), axis=1)  # (N, M)
    _, dialogue = np.unique(layout.dialogue, return_inverse=True)
    per_channel = np.stack([np.bincount(dialogue, slots[:, k]) for k in range(slots.shape[1])])  # (M, D)
    if kind.unit == "utterances":
        weights = np.ones(len(layout))
    elif kind.unit == "party channels":
        weights = np.ones((per_channel > 0).sum() // 2)  # about half of the channels are the party's
    elif kind.unit == "frames":
        weights = {
            "frames": np.ones(frames.sum()),
            "moments": np.repeat(frames.sum(axis=1) / np.maximum(frames.max(axis=1), 1), frames.max(axis=1)),
            "slots": frames,
            "utterances": frames.sum(axis=1),
        }[kind.independence]
    else:
        weights = {"slots": slots, "utterances": slots.sum(axis=1), "channels": per_channel}[kind.independence]
    return 5 * float(np.sqrt(rate * (1 - rate) * np.square(weights, dtype=float).sum()) / weights.sum()) + 1e-9


@every
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.8])
def test_the_measured_rate_is_the_requested_one(layouts, kind, rate):
    frames = EVEN if kind.needs_aligned else {"text": (20, 40), "audio": (20, 40), "vision": (20, 40)}
    layout = layouts.make(2400, frames=frames, absent=0.1, turns=6, seed=3)
    for seed in (0, 1):
        measured, most = (MaskPlan(kind, r, seed).over(layout).measured() for r in (rate, 1))
        if kind.exact:
            n_slots = sum(int(a.sum()) for a in layout.available.values())
            assert kind.unit == "slots", f"say here what the nearest possible rate is for the unit {kind.unit}"
            assert measured == min(round(rate * n_slots) / n_slots, most)
        else:
            assert measured == pytest.approx(rate * most, abs=tolerance(kind, layout, rate)), (
                f"the measured rate of {kind} is off by more than its unit '{kind.unit}' and independence "
                f"'{kind.independence}' explain: declare others, or needs_aligned = True"
            )


@every
def test_the_measured_rate_counts_what_was_present_and_is_removed(layouts, kind):
    layout = layouts.make(300, absent=0.3, holes=0.6, seed=5)
    mask = MaskPlan(kind, 0.4, 11).over(layout)
    missing, original = mask.missing_flat(), layouts.original(layout)
    removed, removable = (
        np.nan_to_num(layouts.slots(layout, flat)) > 0 for flat in (missing, MaskPlan(kind, 1, 11).over(layout).missing_flat())
    )  # (N, M)
    available = np.stack(list(layout.available.values()), axis=1)
    channels = [len(np.unique(layout.dialogue[x[:, k]])) for x in (removed, removable) for k in range(x.shape[1])]
    expected = {
        "frames": sum(v.sum() for v in missing.values()) / sum(v.sum() for v in original.values()),
        "slots": removed.sum() / available.sum(),
        "slots of each modality": np.mean(removed.sum(axis=0) / available.sum(axis=0)),
        "utterances": removed.any(axis=1).sum() / removable.any(axis=1).sum(),
        "party channels": sum(channels[: len(missing)]) / sum(channels[len(missing) :]),
    }[kind.unit]
    assert mask.measured() == pytest.approx(expected, abs=1e-12), f"{kind} does not measure its unit: declare another"


@every
def test_nothing_is_mutated_and_nothing_global_is_drawn(layouts, kind):
    layout = layouts.make(90, absent=0.2, holes=0.2)
    arrays = [layout.utterance, layout.dialogue, layout.speaker, layout.turn, *layout.count.values(), *layout.observed.values()]
    before = [a.copy() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    mask = MaskPlan(kind, 0.5, 4).over(layout)
    first = mask.present(np.arange(90))
    for values in first.values():
        values[:] = True  # what a caller does with its copy is its own affair
    for values in mask.missing_flat().values():
        values[:] = True
    second, again = mask.present(np.arange(90)), MaskPlan(kind, 0.5, 4).over(layout).present(np.arange(90))
    assert all(np.array_equal(second[m], again[m]) for m in second)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def named(kind):
    """Modalities that the settings of a pattern name."""
    return {n for s in kind.settings().values() if isinstance(s, tuple) for n in (x if isinstance(x, str) else x[0] for x in s)}


SMALL = [{"text": (1, 5)}, {"text": 1, "audio": 1, "vision": 1}, {"text": 0, "audio": 0, "vision": 0}]


@pytest.mark.parametrize(("kind", "frames"), [(k, f) for k in CASES for f in SMALL if named(k) <= set(f)], ids=str)
@pytest.mark.parametrize(("utterances", "turns"), [(1, 1), (7, 1), (7, 7)])
def test_small_splits(layouts, kind, frames, utterances, turns):
    layout = layouts.make(utterances, turns=turns, frames=frames)
    for rate in (0, 0.3, 1):
        mask = MaskPlan(kind, rate).over(layout)
        assert {m: p.shape for m, p in mask.present(np.arange(utterances)).items()} == {
            m: (utterances, max(1, c.max())) for m, c in layout.count.items()
        }
        assert mask.present(np.zeros(0, np.int64)).keys() == layout.count.keys()
        assert 0 <= mask.measured() <= 1
    none = layouts.take(layout, np.zeros(0, np.int64))
    assert MaskPlan(kind, 0.5).over(none).measured() == 0


@every
def test_other_seeds_give_unrelated_masks(layouts, kind):
    layout = layouts.make(6000, frames={"text": 4, "audio": 4, "vision": 4}, turns=3)
    rate = 0.5 * MaskPlan(kind, 1).over(layout).measured()

    def flat(seed: int) -> np.ndarray:
        return np.concatenate(list(MaskPlan(kind, rate, seed).over(layout).missing_flat().values())).astype(float)

    usual = np.mean([flat(seed) for seed in range(100, 140)], axis=0)  # some frames go more often than others
    base = flat(0)
    for seed in (1, 2, 2**32, 2**62, 2**63):
        other = flat(seed)
        assert (base != other).mean() > 0.05
        assert abs(np.corrcoef(base - usual, other - usual)[0, 1]) < 0.1


@every
def test_masks_are_the_ones_of_the_first_release(layouts, kind):
    """Masks are part of every published number: this fails when a change to a rule or a hash alters them silently."""
    layout = layouts.make(60, absent=0.1, holes=0.1, seed=1)
    digest = hashlib.blake2b(digest_size=4)
    for seed, rate in ((0, 0.3), (5, 0.6)):
        for m, missing in MaskPlan(kind, rate, seed).over(layout).missing_flat().items():
            digest.update(m.encode() + np.packbits(missing).tobytes())
    assert str(kind) in DIGESTS, f"a new pattern: add {str(kind)!r}: {digest.hexdigest()!r} to DIGESTS"
    assert digest.hexdigest() == DIGESTS[str(kind)]


DIGESTS: dict[str, str] = {
    "fixed(available=('text',))": "933b308f",
    "imbalanced(weights=())": "8cf8e09c",
    "outage(burst=3.0)": "e37c519f",
    "rmfm": "86ba62ae",
    "rmfm_iid(protect_ends=())": "e0357237",
    "rmm": "f93b2ae1",
    "speaker(modalities=())": "77929fe3",
    "seconds(seconds=2.0, step=0.1)": "7bdb5ca1",
    "stmfm": "49bed03c",
    "tmfm": "73928fd6",
    "rmfm_iid(protect_ends=('audio', 'text'))": "7fc1bd20",
    "fixed(available=('text', 'vision'))": "28438902",
    "imbalanced(weights=(('audio', 1.0), ('text', 1.0), ('vision', 6.5)))": "e69aa2c5",
    "outage(burst=1.0)": "df7ffbfb",
    "outage(burst=7.5)": "65544bf4",
    "speaker(modalities=('audio',))": "52b84ca8",
}


@every
def test_a_bound_mask_is_small(layouts, kind):
    layout = layouts.make(3000, frames={"text": 500, "audio": 500, "vision": 500})  # 4.5 million frames
    assert all(a.all() for a in layout.available.values())
    tracemalloc.start()
    try:
        mask = MaskPlan(kind, 0.4).over(layout)
        held, peak = tracemalloc.get_traced_memory()
        assert held < 30_000
        assert peak < 1_000_000
        mask.present(np.arange(64))
        assert tracemalloc.get_traced_memory()[1] < 2_500_000
    finally:
        tracemalloc.stop()
