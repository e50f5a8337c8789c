"""Mistakes in published code about what is missing, each checked against ours; every docstring says whose it was."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from lacuna.missing import Fixed, MaskPlan, RmfmIid, list_patterns, pattern

every = pytest.mark.parametrize("kind", [pattern(name) for name in list_patterns()], ids=str)
EVEN = {"text": 40, "audio": 40, "vision": 40}


def slots(layouts, layout, plan) -> np.ndarray:
    return layouts.slots(layout, plan.over(layout).missing_flat())


@every
def test_openvna_mask_accumulates_over_seeds(layouts, kind):
    """OpenVNA's structural drop kept the mask of the seed before: asked for 0.3 it gave 0.30, 0.49, 0.62, 0.70."""
    layout = layouts.make(1800, frames=EVEN, turns=4)
    found = [MaskPlan(kind, 0.3, seed).over(layout).measured() for seed in (1, 2, 3, 4)]
    assert found == pytest.approx([0.3] * 4, abs=0.06)
    assert found == [MaskPlan(kind, 0.3, seed).over(layout).measured() for seed in (1, 2, 3, 4)]


@every
@pytest.mark.parametrize("rate", [0.3, np.float64(0.3), np.float32(0.3), 0, 1])
def test_openvna_python_float_raises_and_masks_are_none(layouts, kind, rate):
    """OpenVNA raised on a plain Python float and returned ``None`` for masks."""
    for present in MaskPlan(kind, rate).over(layouts.make(12)).present(np.arange(12)).values():
        assert present.dtype == np.bool_


@every
def test_imder_rate_0_means_everything(layouts, kind):
    """IMDer at mr=0.0 read element -1 of its schedule, so "no missing" trained with everything missing (IMDer #2, #6)."""
    layout = layouts.make(200, holes=0.2)
    present = MaskPlan(kind, 0.0, 9).over(layout).present(np.arange(200))
    assert all(p.any() for p in present.values())
    assert sum(int(p.sum()) for p in present.values()) == sum(int(t.sum()) for t in layouts.original(layout).values())


def test_imder_one_pattern_for_a_whole_batch(layouts):
    """IMDer drew one set of modalities a mini-batch, and its true rates (.09 .18 .27 .36 ...) drifted from the asked ones."""
    layout = layouts.make(660, frames=EVEN)
    for rate in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        mask = MaskPlan("rmm", rate, 1).over(layout)
        assert mask.measured() == pytest.approx(rate, abs=0.5 / 1980)
    kept = np.stack([p.any(axis=1) for p in mask.present(np.arange(32)).values()], axis=1)
    assert len(np.unique(kept, axis=0)) > 3


def test_dgsdnet_truncated_rates(layouts):
    """DGSDNet truncated a Gaussian to an integer: asked for .1 .2 .3 .4 .5 it gave .27 .37 .46 .55 .61."""
    layout = layouts.make(400, frames=EVEN)
    for rate in (0.1, 0.2, 0.3, 0.4, 0.5):
        assert MaskPlan("rmm", rate).over(layout).measured() == pytest.approx(rate, abs=0.5 / 1200)


@every
def test_dgsdnet_masks_change_between_evaluations(layouts, kind):
    """DGSDNet drew new masks at each evaluation, so two evaluations of one model differed."""
    layout = layouts.make(60)
    one, two = (MaskPlan(kind, 0.4, 3).over(layout).present(np.arange(60)) for _ in range(2))
    assert all(np.array_equal(one[m], two[m]) for m in one)


def test_gcnet_rate_0_7_is_two_thirds(layouts):
    """GCNet's "0.7" is one modality everywhere, i.e. 0.667: the plan says 0.7, and the mask says what it really is."""
    mask = MaskPlan("rmm", 0.7).over(layouts.make(300, frames=EVEN))
    assert mask.measured() == 2 / 3
    assert (np.stack([p.any(axis=1) for p in mask.present(np.arange(300)).values()]).sum(axis=0) == 1).all()


def test_gcnet_rate_counts_padding(layouts):
    """GCNet drew masks over padding and counted it; here what was never there neither helps nor hurts the rate."""
    layout = layouts.make(600, absent=0.5, holes=0.3)
    total = sum(int(a.sum()) for a in layout.available.values())
    assert MaskPlan("rmm", 0.2).over(layout).measured() == round(0.2 * total) / total


@every
def test_gcnet_and_sdr_gnn_ignore_the_seed(layouts, kind):
    """GCNet and SDR-GNN took a seed and did not use it."""
    layout = layouts.make(120)
    flat = {np.concatenate(list(MaskPlan(kind, 0.5, s).over(layout).missing_flat().values())).tobytes() for s in range(6)}
    assert len(flat) == 6


@every
def test_mmin_mask_and_its_name_disagree(layouts, kind):
    """MMIN drew the mask and the name under which it was scored independently (MMIN #9)."""
    layout, plan = layouts.make(60), MaskPlan(kind, 0.4, 8)
    mask = plan.over(layout)
    again = MaskPlan.from_json(mask.plan.to_json()).over(layout).present(np.arange(60))
    assert all(np.array_equal(p, again[m]) for m, p in mask.present(np.arange(60)).items())


def test_cider_training_masks_are_all_half(layouts):
    """CIDer drew a rate per position, i.e. Bernoulli(1/2): per-sample spread .08, never light, heavy or a lost modality."""
    layout = layouts.make(1300, frames=EVEN)
    shares = slots(layouts, layout, MaskPlan("rmfm", 0.5))
    coded = slots(layouts, layout, RMFM_IID_HALF)
    assert coded.std() == pytest.approx(np.sqrt(0.25 / 40), rel=0.1)
    assert shares.std() == pytest.approx(np.sqrt(1 / 12 + (1 / 6) / 40), rel=0.1)  # uniform rates, binomial on top
    assert (shares < 0.25).mean() == pytest.approx(0.25, abs=0.04)
    assert (shares > 0.75).mean() == pytest.approx(0.25, abs=0.04)
    assert (shares == 1).mean() > 0.01
    assert (coded < 0.25).mean() + (coded > 0.75).mean() < 0.01


RMFM_IID_HALF = MaskPlan("rmfm_iid", 0.5)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_cider_rmfm_equals_rmfm_same(layouts, rate):
    """CIDer's RMFM and RMFM_same are one distribution; ours lets modalities differ: at the same mean rate it is far wider."""
    layout = layouts.make(1000, frames=EVEN)
    ours, same = (slots(layouts, layout, MaskPlan(kind, rate)) for kind in ("rmfm", "rmfm_iid"))
    assert ours.mean() == pytest.approx(same.mean(), abs=0.04)
    assert ours.std() > 2.5 * same.std()
    assert np.abs(ours[:, 0] - ours[:, 1]).mean() > 2 * np.abs(same[:, 0] - same[:, 1]).mean()


def test_cider_ends_of_text_stay(layouts):
    """CIDer forces [CLS] and [SEP] present in every mode, so its rate 1 is not 1: here only on request, and measured."""
    layout = layouts.make(30, frames=EVEN)
    plain, kept = (MaskPlan(RmfmIid(protect_ends=p), 1.0).over(layout) for p in ((), ("text",)))
    assert plain.measured() == 1
    assert kept.measured() == 1 - 2 / 120
    text = kept.present(np.arange(30))["text"]
    assert text[:, [0, -1]].all()
    assert text.sum() == 60


@pytest.mark.parametrize("kind", ["tmfm", "stmfm"])
def test_cider_time_masks_need_aligned_data_and_are_inexact_at_1(layouts, kind):
    """CIDer's TMFM and STMFM work on aligned data only, and audio and vision rows survive rate 1."""
    layout = layouts.make(40, frames={"text": (3, 9), "audio": (50, 70), "vision": (10, 20)})
    assert not any(p.any() for p in MaskPlan(kind, 1.0).over(layout).present(np.arange(40)).values())
    assert 0.35 < MaskPlan(kind, 0.5).over(layout).measured() < 0.65


def test_cider_rmm_can_lose_everything(layouts):
    """CIDer's RMM drops each modality on its own: with probability r cubed a sample has nothing left."""
    for rate in (0.3, 0.6, 0.9, 1.0):
        present = MaskPlan("rmm", rate).over(layouts.make(200, frames=EVEN)).present(np.arange(200))
        assert np.any([p.any(axis=1) for p in present.values()], axis=0).all()


def test_cider_fixed_subsets_need_edited_source(layouts):
    """CIDer's SMM (which modalities are kept) asks its user to edit the source: here every subset is a setting."""
    layout = layouts.make(20, frames=EVEN)
    for size in (1, 2, 3):
        for subset in combinations(EVEN, size):
            present = MaskPlan(Fixed(available=subset), 1.0).over(layout).present(np.arange(20))
            assert {m for m, p in present.items() if p.any()} == set(subset)
            assert all(p.all() for m, p in present.items() if m in subset)


@every
def test_cider_masks_depend_on_workers_and_access(layouts, kind):
    """CIDer's masks come from each worker's global generator at each access: they depend on workers, order and history."""
    layout = layouts.make(48)
    mask = MaskPlan(kind, 0.5, 2).over(layout)
    one_worker = mask.present(np.arange(48))
    np.random.seed(1)  # noqa: NPY002
    for worker in range(3):
        rows = np.arange(48)[worker::3][::-1]
        for m, p in mask.present(rows).items():
            assert np.array_equal(p, one_worker[m][rows][:, : p.shape[1]])


@every
def test_cider_common_random_numbers_are_kept(layouts, kind):
    """What CIDer does well by resetting its seed at each rate: masks nest, so curves over rates are smooth."""
    layout = layouts.make(120)
    before = None
    for rate in np.linspace(0, 1, 11):
        present = MaskPlan(kind, rate, 5).over(layout).present(np.arange(120))
        assert before is None or not any((p & ~before[m]).any() for m, p in present.items())
        before = present


@every
def test_multibench_mutates_its_input(layouts, kind):
    """MultiBench's drops write into the arrays that they are given; here masking read-only arrays works."""
    layout = layouts.make(30, holes=0.3)
    for values in (*layout.count.values(), *layout.observed.values(), layout.utterance, layout.turn):
        values.flags.writeable = False
    mask = MaskPlan(kind, 0.5).over(layout)
    assert mask.missing_flat().keys() == mask.present(np.arange(30)).keys()


@every
def test_absent_is_not_observed(layouts, kind):
    """Many loaders fill absent modalities with zeros that then count as present: no pattern brings anything back."""
    layout = layouts.make(100, absent=0.4, holes=0.4)
    for rate in (0.0, 0.5):
        for m, p in MaskPlan(kind, rate).over(layout).present(np.arange(100)).items():
            assert not p[layout.count[m] == 0].any()
            assert int(p.sum()) <= int(layouts.original(layout)[m].sum())
