"""The generator: valid, the same bytes every time, and true to its own parameters."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from lacuna.corpus import Corpus, check, open_corpus, save_corpus
from lacuna.synthetic.duet import Duet, draw_world, generate, preset, settings_of, write
from lacuna.synthetic.duet.sheets import SHEET, draw, draw_sheet
from lacuna.synthetic.duet.words import CAST, UNSEEN
from standin import StandIn
from standin import generate as stand_in


def same(left: Corpus, right: Corpus) -> bool:
    """Equal in everything that a reader can see."""
    u, v = left.utterances, right.utterances
    equal = left.ids == right.ids and left.transcripts == right.transcripts
    equal &= u.speaker_names.take(u.speaker).equals(v.speaker_names.take(v.speaker))
    equal &= all(np.array_equal(a, b) for a, b in ((u.turn, v.turn), (u.split, v.split)))
    equal &= np.array_equal(u.labels["emotion"], v.labels["emotion"])
    for name, f in left.frames.items():
        g = right.frames[name]
        equal &= f.values.tobytes() == g.values.tobytes() and np.array_equal(f.start, g.start)
        equal &= (f.tokens is None) == (g.tokens is None) and (f.tokens is None or np.array_equal(f.tokens, g.tokens))
    return bool(equal and left.modalities == right.modalities and left.provenance == right.provenance)


def test_it_is_a_valid_corpus_that_can_be_read() -> None:
    corpus = check(generate(preset("tiny")))
    assert corpus.name == "duet"
    assert [len(corpus.only(s)) > 0 for s in ("train", "valid", "test")] == [True] * 3
    assert {m: t.values.shape[1] for m, t in corpus.frames.items()} == {"text": 64, "audio": 32, "vision": 24}
    words = draw_world(preset("tiny")).lexicon.words
    text = corpus.frames["text"]
    assert text.tokens is not None
    assert corpus.modalities[0].vocabulary == len(words)
    for row, said in enumerate(corpus.transcripts):
        assert said is not None
        assert said[0].isupper()
        assert said.endswith(".")
        tokens = text.tokens[text.start[row] : text.start[row] + text.count[row]]
        assert said.lower().rstrip(".").replace(",", "").split() == [words[t] for t in tokens]


def test_equal_settings_give_equal_bytes(tmp_path: Path) -> None:
    settings = preset("tiny", dialogues=SHEET + 3)
    assert same(generate(settings), generate(settings))
    assert not same(generate(settings), generate(preset("tiny", dialogues=SHEET + 3, seed=1)))
    digests = [
        sorted((f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in write(settings, tmp_path / name).iterdir())
        for name in ("one", "two")
    ]
    assert digests[0] == digests[1]


def test_a_dialogue_depends_neither_on_how_many_there_are_nor_on_how_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = preset("tiny", dialogues=3 * SHEET - 5)
    whole = generate(settings)
    few = generate(preset("tiny", dialogues=9))
    assert few.ids == whole.ids[: len(few)]
    for name, frames in few.frames.items():
        assert frames.values.tobytes() == whole.frames[name].values[: len(frames.values)].tobytes()
    kept = open_corpus(save_corpus(whole, tmp_path / "at-once"))
    assert same(kept, open_corpus(write(settings, tmp_path / "pieces"), verify=True))
    monkeypatch.setattr(import_module("lacuna.synthetic.duet.generate"), "_PIECE", 1)
    assert same(kept, open_corpus(write(settings, tmp_path / "small-pieces"), verify=True))
    order = np.argsort(whole.utterances.split, kind="stable")  # as it is stored: one split after the other
    assert kept.ids == whole.take(order).ids
    for name, frames in kept.frames.items():
        assert all(np.array_equal(frames.of(i), whole.frames[name].of(j)) for i, j in enumerate(order))


def test_sheets_can_be_drawn_in_any_order() -> None:
    world = draw_world(preset("tiny", dialogues=3 * SHEET))
    second = list(draw(world.settings))[1]
    assert np.array_equal(draw_sheet(world, 1).values["audio"], second.values["audio"])


def test_the_shifted_test_has_other_speakers_and_only_a_test_split() -> None:
    shifted = check(generate(preset("tiny", ood=True)))
    assert shifted.name == "duet-ood"
    assert (shifted.utterances.split == 2).all()
    assert set(shifted.utterances.speaker_names.to_pylist()) == set(UNSEEN)
    plain = generate(preset("tiny"))
    assert set(plain.utterances.speaker_names.to_pylist()) == set(CAST)
    assert plain.modalities == shifted.modalities
    assert plain.targets == shifted.targets
    assert not set(plain.ids) & set(shifted.ids)


def test_a_corpus_tells_its_settings(tmp_path: Path) -> None:
    settings = preset("tiny", seed=5, ood=True)
    assert settings_of(open_corpus(write(settings, tmp_path))) == settings
    assert settings_of(stand_in(StandIn(dialogues=5))) is None


@pytest.mark.parametrize("ood", [False, True])
def test_it_is_drawn_as_the_world_says(ood: bool) -> None:
    settings = Duet(dialogues=8 * SHEET, ood=ood)
    world = draw_world(settings)
    sheets = list(draw(settings))
    emotion, scene = np.concatenate([s.emotion for s in sheets]), np.concatenate([s.scene for s in sheets])
    assert np.abs(np.bincount(emotion) / len(emotion) - world.prior).max() < 0.02
    agree = (scene == emotion % settings.scenes).mean()
    assert abs(agree - settings.rho) < 0.01
    corpus = generate(settings)
    for name, carrier in world.carriers.items():
        frames = corpus.frames[name]
        linear = carrier.warp.inverse(frames.values)
        mean = np.add.reduceat(linear, frames.start) / frames.count[:, None]
        off = mean - carrier.emotion[emotion] - carrier.scene[scene]  # (N, d), zero on average
        between = carrier.loading @ carrier.loading.T + carrier.variance(frames.count).mean() * np.eye(off.shape[1])
        assert np.abs(off.mean(axis=0)).max() < 6 * np.sqrt(between.max() / len(off))
        assert np.abs(off.T @ off / len(off) - between).max() < 0.05 * between.max()
        inside = linear - np.repeat(mean, frames.count, axis=0)
        freedom = (frames.count - 1).sum()
        assert np.abs((inside**2).sum(axis=0) / freedom / carrier.noise**2 - 1).max() < 0.03
    text = corpus.frames["text"]
    assert text.tokens is not None
    group = np.repeat(emotion * settings.scenes + scene, text.count)
    k, g, v = world.lexicon.chance.shape
    seen = np.bincount(group * v + text.tokens, minlength=k * g * v).reshape(k * g, v)  # (K * G * V,) -> (K * G, V)
    expected = world.lexicon.chance.reshape(k * g, v) * seen.sum(axis=1, keepdims=True)  # (K, G, V) -> (K * G, V)
    possible = expected > 0
    assert not seen[~possible].any()
    usual = expected > 5
    chi = ((seen - expected)[usual] ** 2 / expected[usual]).sum() / usual.sum()
    assert 0.9 < chi < 1.1


def test_emotions_persist_and_are_catching() -> None:
    settings = Duet(dialogues=8 * SHEET, alternate=1.0)
    sheet = list(draw(settings))
    emotion = np.concatenate([s.emotion for s in sheet])
    turn = np.concatenate([s.turn for s in sheet])
    later = np.flatnonzero(turn >= 2)
    own, other = emotion[later] == emotion[later - 2], emotion[later] == emotion[later - 1]
    alike = emotion[later - 1] == emotion[later - 2]
    world = draw_world(settings)
    fresh = (1 - settings.persistence - settings.contagion) * world.prior[emotion[later]]
    assert abs(own[~alike].mean() - (settings.persistence + fresh[~alike & own].sum() / (~alike).sum())) < 0.05
    assert own.mean() > other.mean() > 0.25
