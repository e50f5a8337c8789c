"""Corruptions: pure functions of seed, utterance, modality and severity, that never invent a frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.shift import corruption, list_corruptions
from lacuna.synthetic.duet import generate, preset
from standin import StandIn
from standin import generate as vectors

CORPUS = generate(preset("tiny"))
STATISTICS = fit_statistics(CORPUS)
LEVELS = {"noise": 1.0, "gain": 0.7, "time_shift": 0.4, "channel_loss": 0.5}


def batch(rows: list[int]) -> Batch:
    """Some utterances, of which one lacks a voice and another a frame."""
    whole = collate(CORPUS, np.array(rows), CORPUS.schema(), STATISTICS)
    holes = {m: p.clone() for m, p in whole.present.items()}
    holes["audio"][0] = False
    holes["text"][-1, 0] = False
    return whole.observe(holes)


def test_every_corruption_is_tested() -> None:
    assert list_corruptions() == sorted(LEVELS)


@pytest.mark.parametrize("name", sorted(LEVELS))
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), rows=st.lists(st.integers(0, 60), min_size=2, max_size=8, unique=True))
def test_it_is_a_pure_function_that_leaves_absence_alone(name, seed, rows):
    one, before = corruption(name, severity=LEVELS[name]), batch(rows)
    kept = {m: x.clone() for m, x in before.features.items()}
    after = one.apply(before, seed)
    for m, x in after.features.items():
        assert torch.equal(before.features[m], kept[m])  # the input stays as it was
        assert torch.equal(after.present[m], before.present[m])
        assert torch.isfinite(x).all()
        assert x.dtype == torch.float32
        assert not x[~before.present[m]].any()  # nothing comes to be where nothing was
    turned = one.apply(batch(rows).take(torch.arange(len(rows)).flip(0)), seed)
    for m in after.features:  # whatever the order of the batch
        assert torch.equal(turned.features[m].flip(0), after.features[m])


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_severity_0_and_other_modalities_change_nothing(name) -> None:
    whole = batch(list(range(10)))
    same = corruption(name, severity=0).apply(whole, 1)
    assert all(torch.equal(same.features[m], whole.features[m]) for m in whole.features)
    only = corruption(name, severity=LEVELS[name], modalities=["vision"]).apply(whole, 1)
    assert torch.equal(only.features["text"], whole.features["text"])
    assert torch.equal(only.features["audio"], whole.features["audio"])
    changed = corruption(name, severity=LEVELS[name]).apply(whole, 1)
    assert not torch.equal(changed.features["text"], whole.features["text"])
    other = corruption(name, severity=LEVELS[name]).apply(whole, 2)
    assert not torch.equal(changed.features["text"], other.features["text"])


def test_noise_has_the_requested_size() -> None:
    whole = batch(list(range(60)))
    present = whole.present["text"]
    for severity in (0.5, 2.0):
        change = (corruption("noise", severity=severity).apply(whole, 0).features["text"] - whole.features["text"])[present]
        assert float(change.std()) == pytest.approx(severity, rel=0.05)


def test_a_gain_is_one_factor_for_an_utterance() -> None:
    whole = batch(list(range(10)))
    after = corruption("gain", severity=0.5).apply(whole, 0).features["text"]
    ratio = after / whole.features["text"]
    for row in range(10):
        of_utterance = ratio[row][whole.present["text"][row]]
        assert float(of_utterance.max() - of_utterance.min()) < 1e-4


def test_dead_channels_nest_and_have_the_requested_number() -> None:
    whole = batch(list(range(10)))
    some, more = (corruption("channel_loss", severity=s).apply(whole, 0).features["text"] for s in (0.25, 0.75))
    present = whole.present["text"]
    assert (some[present] == 0).sum(dim=1).unique().tolist() == [16]  # a quarter of 64
    assert ((more == 0) | (some != 0))[present].all()


def test_a_time_shift_turns_observed_frames_with_their_tokens() -> None:
    whole = batch(list(range(20)))
    after = corruption("time_shift", severity=0.5).apply(whole, 0)
    for row in range(20):
        present = whole.present["text"][row]
        old, new = whole.tokens["text"][row][present].tolist(), after.tokens["text"][row][present].tolist()
        shift = next(k for k in range(len(old)) if old[k:] + old[:k] == new)
        turned = torch.roll(whole.features["text"][row][present], -shift, dims=0)
        assert torch.equal(turned, after.features["text"][row][present])


def test_what_means_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown corruption 'rust'; known: channel_loss, gain, noise, time_shift"):
        corruption("rust", severity=1)
    with pytest.raises(ConfigError, match="corruption 'noise' needs a severity"):
        corruption("noise")
    with pytest.raises(ConfigError, match="severity must lie between 0 and 1, not 2"):
        corruption("channel_loss", severity=2)
    with pytest.raises(ConfigError, match="has no setting 'size'"):
        corruption("noise", severity=1, size=2)
    single = vectors(StandIn(dialogues=5))
    with pytest.raises(ConfigError, match="are single vectors, and a vector has no time"):
        corruption("time_shift", severity=0.2).check(single)
    with pytest.raises(ConfigError, match="has no modality 'smell'; it has: text, audio, vision"):
        corruption("noise", severity=1, modalities=["smell"]).check(single)
    corruption("time_shift", severity=0.2).check(CORPUS)
