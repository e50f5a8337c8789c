"""Repartitions: their parts, the bounds they keep, and their file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.corpus import Channel, Corpus, Target, assemble, open_corpus, save_corpus
from lacuna.errors import ConfigError, DataError
from lacuna.shift import (
    PARTS,
    RepartitionConfig,
    load_repartition,
    only_part,
    repartition,
    repartitioned,
    save_repartition,
)
from lacuna.shift.measure import ShiftMeter
from standin import StandIn, generate

QUICK = {"steps": 800, "random_splits": 3}


def spoken_corpus(dialogues: int = 40, turns: int = 8, seed: int = 0, words: int = 12) -> Corpus:
    """Sentences of random words that go a little with one of two classes; four speakers, each with dialogues of their own."""
    r = np.random.default_rng(seed)
    n = dialogues * turns
    label = r.integers(2, size=n)
    bias = r.uniform(0.15, 0.45, size=(2, words))
    said = r.random((n, words)) < bias[label]
    return assemble(
        "spoken",
        ids=[f"d{i // turns}_{i % turns}" for i in range(n)],
        dialogues=[f"d{i // turns}" for i in range(n)],
        turns=[i % turns for i in range(n)],
        speakers=[f"s{(i // turns) % 4}" for i in range(n)],
        channels={"text": Channel(r.normal(size=(n, 3)))},
        targets=[Target("mood", "classification", ("low", "high"))],
        labels={"mood": label},
        splits=[
            "train" if i // turns < dialogues * 5 // 10 else "valid" if i // turns < dialogues * 6 // 10 else "test"
            for i in range(n)
        ],
        texts=[" ".join(f"w{j}" for j in np.flatnonzero(row)) or "nothing" for row in said],
    )


@pytest.fixture(scope="module")
def spoken() -> Corpus:
    return spoken_corpus()


@pytest.mark.parametrize("pool", ["all", "test"])
def test_random_splits_are_of_the_same_sizes(spoken, pool, monkeypatch):
    sizes = []
    measure = ShiftMeter.measure

    def spy(self, train, iid, ood, random, search):
        sizes.extend([(len(train), len(ood)), *((len(a), len(b)) for a, b in random)])
        return measure(self, train, iid, ood, random, search)

    monkeypatch.setattr(ShiftMeter, "measure", spy)
    repartition(spoken, RepartitionConfig(unit="utterance", pool=pool, budget=0.06, expected=3, size=40, **QUICK))
    assert len(sizes) == 4
    assert len(set(sizes)) == 1  # a larger random training would be nearer to everything


@pytest.mark.parametrize("pool", ["all", "test"])
def test_utterances_are_shifted_five_times_as_far_as_by_chance_within_the_budget(spoken, pool):
    parts = repartition(spoken, RepartitionConfig(unit="utterance", pool=pool, budget=0.06, expected=3, size=40, **QUICK))
    m = parts.measured
    assert m.times_random is not None
    assert m.times_random > 5
    assert m.iid < 2 * m.random_mean  # the IID test is drawn at random, and not what the search left over
    assert m.largest_shift <= 0.06
    assert m.labels_tests <= 0.06
    assert len(parts.parts["ood"]) == len(parts.parts["iid"]) == 40
    if pool == "all":
        assert m.labels_ood <= 0.06 + 0.03  # training less its validation part, which is drawn at random
        assert not parts.parts["unused"]
    else:
        train = {i for i, s in zip(spoken.ids, spoken.utterances.split, strict=True) if s == 0}
        assert set(parts.parts["train"]) == train  # training is what it was
        assert parts.parts["unused"]


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(["association", "labels", "groups", "random"]),
    unit=st.sampled_from(["dialogue", "utterance"]),
    seed=st.integers(0, 2**31),
)
def test_every_utterance_is_in_one_part_and_the_corpus_is_valid(kind, unit, seed):
    corpus = spoken_corpus(16, 4)
    config = RepartitionConfig(
        kind=kind,
        unit=unit,
        size=12,
        budget=1,
        steps=50,
        expected=1,
        random_splits=2,
        seed=seed,
        toward={"low": 0.9, "high": 0.1},
    )
    parts = repartition(corpus, config)
    assert sorted(i for part in PARTS for i in parts.parts[part]) == sorted(corpus.ids)
    assert all(parts.parts[part] for part in ("train", "valid", "iid", "ood"))
    after = repartitioned(corpus, parts)  # checked: no dialogue in two splits
    assert sorted(after.ids) == sorted(corpus.ids)
    where = dict(zip(after.ids, after.utterances.split.tolist(), strict=True))
    assert {where[i] for i in (*parts.parts["iid"], *parts.parts["ood"])} == {2}
    assert {where[i] for i in parts.parts["train"]} == {0}
    rows = {i: row for row, i in enumerate(corpus.ids)}
    for row, i in enumerate(after.ids):  # everything else of an utterance stays with it
        assert after.transcripts[row] == corpus.transcripts[rows[i]]
        np.testing.assert_array_equal(after.frames["text"].of(row), corpus.frames["text"].of(rows[i]))


def test_the_same_seed_gives_the_same_parts_whatever_the_order_of_rows(spoken):
    config = RepartitionConfig(unit="dialogue", budget=0.3, size=48, expected=3, **QUICK)
    first = repartition(spoken, config)
    assert repartition(spoken, config).parts == first.parts
    assert repartition(spoken, replace(config, seed=1)).parts["iid"] != first.parts["iid"]
    u = spoken.utterances
    order = np.lexsort((u.turn, -u.dialogue))  # dialogues backwards
    other = repartition(spoken.take(order), config)
    assert {part: set(ids) for part, ids in other.parts.items()} == {part: set(ids) for part, ids in first.parts.items()}


def test_whole_dialogues_move_together(spoken):
    parts = repartition(spoken, RepartitionConfig(size=48, budget=0.3, expected=3, **QUICK))
    of = {i: part for part in PARTS for i in parts.parts[part]}
    for i in spoken.ids:
        assert of[i] == of[f"{i.split('_')[0]}_0"]
    assert len(parts.parts["ood"]) == 48  # dialogues of 8
    assert not any("dialogue(s) are in" in note for note in parts.notes)


def test_a_cut_dialogue_is_named_by_its_splits_and_said_to_be_shared(spoken):
    parts = repartition(spoken, RepartitionConfig(unit="utterance", size=60, budget=0.3, **QUICK))
    after = repartitioned(spoken, parts)
    names = set(after.utterances.dialogue_names.to_pylist())
    assert {"d0/train", "d0/test"} <= names
    assert any("dialogue(s) are in training and the tests" in note for note in parts.notes)
    assert any("speaker(s) are in both tests" in note for note in after.provenance.notes)
    assert any("features that were fitted on the original training split have seen test utterances" in n for n in parts.notes)


def test_labels_come_as_near_to_the_target_as_there_are_utterances(spoken):
    wanted = {"low": 0.8, "high": 0.2}
    parts = repartition(spoken, RepartitionConfig(kind="labels", unit="utterance", size=50, toward=wanted, **QUICK))
    label = dict(zip(spoken.ids, spoken.utterances.labels["mood"].tolist(), strict=True))
    assert np.bincount([label[i] for i in parts.parts["ood"]]).tolist() == [40, 10]
    whole = repartition(spoken, RepartitionConfig(kind="labels", size=48, toward=wanted, **QUICK))
    assert whole.measured.labels_tests > 0.1
    with pytest.raises(ConfigError, match="'toward' names class 'sad'; target 'mood' has: low, high"):
        repartition(spoken, RepartitionConfig(kind="labels", toward={"sad": 1.0}))


@pytest.mark.parametrize("unit", ["dialogue", "utterance"])
def test_held_out_speakers_occur_nowhere_else(spoken, unit):
    parts = repartition(spoken, RepartitionConfig(kind="groups", unit=unit, size=70, **QUICK))
    names = spoken.utterances.speaker_names.to_pylist()
    who = {i: names[s] for i, s in zip(spoken.ids, spoken.utterances.speaker.tolist(), strict=True)}
    held = {who[i] for i in parts.parts["ood"]}
    assert len(held) == 1
    assert not held & {who[i] for part in ("train", "valid", "iid") for i in parts.parts[part]}


def test_nobody_can_be_held_out_who_is_also_in_training_or_talks_to_everyone(spoken):
    with pytest.raises(ConfigError, match=r"there is no speaker to hold out .*every speaker is also in training"):
        repartition(spoken, RepartitionConfig(kind="groups", unit="utterance", pool="test"))
    with pytest.raises(ConfigError, match="connected by shared dialogues"):
        repartition(generate(StandIn(dialogues=8)), RepartitionConfig(kind="groups", size=20))  # A talks to B everywhere


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "colour"}, "'kind' must be one of association, labels, groups, random; found 'colour'"),
        ({"budget": 1.5}, "'budget' must be from 0 to 1"),
        ({"toward": {"low": 0.4}}, "'toward' must be shares from 0 to 1 that sum to 1"),
        ({"kind": "labels"}, "'toward' must be the share of each class, for kind labels; found 'nothing'"),
        ({"size": 0}, "'size' must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        RepartitionConfig(**changes)


def test_what_cannot_be__refused(spoken):
    with pytest.raises(ConfigError, match="200 utterances each leave nothing of the 320"):
        repartition(spoken, RepartitionConfig(size=200))
    with pytest.raises(ConfigError, match="cannot be brought within a budget of 0; the least shift reached is"):
        repartition(spoken, RepartitionConfig(budget=0, steps=5))
    with pytest.raises(DataError, match=r"no word is frequent enough(.|\n)*larger size, or a smaller `expected`"):
        repartition(spoken, RepartitionConfig(expected=1e6))
    with pytest.raises(ConfigError, match="pool 'test' needs a training and a test split"):
        repartition(spoken.only("train"), RepartitionConfig(pool="test"))


def test_a_file_is_read_back_and_damage_is_an_error(spoken, tmp_path: Path):
    parts = repartition(spoken, RepartitionConfig(unit="utterance", size=40, budget=0.2, **QUICK))
    path = tmp_path / "parts.json"
    save_repartition(parts, path)
    back = load_repartition(path)
    assert back.parts == parts.parts
    assert back.measured == parts.measured
    assert back.config == parts.config
    back.check(spoken)

    content = json.loads(path.read_text("utf-8"))
    content["parts"]["ood"].append(content["parts"]["train"][0])
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(DataError, match=r"listed twice(.|\n)*every id in one part"):
        load_repartition(path)
    content["parts"]["ood"][-1] = "stranger"
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(DataError, match=r"names 1 utterances that the corpus does not have(.|\n)*stranger"):
        load_repartition(path).check(spoken)
    path.write_text("{", "utf-8")
    with pytest.raises(DataError, match="this is not JSON"):
        load_repartition(path)
    path.write_text('{"format": 1}', "utf-8")
    with pytest.raises(DataError, match="this is not a repartition"):
        load_repartition(path)
    with pytest.raises(DataError, match="there is no repartition"):
        load_repartition(tmp_path / "nowhere.json")
    with pytest.raises(DataError, match="in no part of the repartition"):
        parts.codes(spoken_corpus(50))


def test_another_state_of_the_corpus_is_refused(spoken, tmp_path: Path):
    kept = open_corpus(save_corpus(spoken, tmp_path / "one"))
    parts = repartition(kept, RepartitionConfig(kind="random", random_splits=2))
    repartitioned(kept, parts)
    other = open_corpus(save_corpus(spoken_corpus(seed=1), tmp_path / "two"))
    with pytest.raises(DataError, match="made from another state of the corpus"):
        repartitioned(other, parts)


def test_one_part_is_scored_and_the_whole_dialogue_is_seen(spoken):
    parts = repartition(spoken, RepartitionConfig(unit="utterance", pool="test", size=40, budget=0.2, **QUICK))
    test = repartitioned(spoken, parts).only("test")
    codes = parts.codes(test)
    for part in ("iid", "ood"):
        view = only_part(test, codes, part)
        assert {i for i, known in zip(view.ids, view.labelled(), strict=True) if known} == set(parts.parts[part])
        assert len(view) == len(test)
    assert test.labelled().all()  # the corpus itself keeps its labels
