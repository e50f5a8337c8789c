"""Plans: what they accept, their JSON, and that masks fit the batches of a corpus."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, dataclass, replace

import numpy as np
import pytest

from lacuna.corpus import Channel, Target, assemble
from lacuna.corpus.batch import collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.missing import (
    Fixed,
    Imbalanced,
    Layout,
    MaskPlan,
    Outage,
    Pattern,
    RmfmIid,
    Rmm,
    Speaker,
    list_patterns,
    pattern,
    pattern_class,
    register,
)


def test_the_registry_knows_the_patterns():
    expected = ["fixed", "imbalanced", "outage", "rmfm", "rmfm_iid", "rmm", "speaker", "stmfm", "tmfm"]
    assert set(expected) <= set(list_patterns())
    assert list_patterns() == sorted(list_patterns())
    for name in list_patterns():
        cls = pattern_class(name)
        assert cls.name == name == str(pattern(name)).split("(", maxsplit=1)[0]
        assert "Reference: " in (cls.__doc__ or ""), f"the docstring of {cls.__name__} has no line 'Reference: ...'"
        assert "    ::\n" in (cls.__doc__ or ""), f"the docstring of {cls.__name__} has no drawing"


def test_a_pattern_must_declare_what_tests_and_reports_read():
    declared = {"unit": "slots", "removes": "modalities", "independence": "slots", "reaches_rate_1": True, "source": "a paper"}
    for attribute in declared:
        incomplete = type("Incomplete", (Pattern,), {k: v for k, v in declared.items() if k != attribute})
        with pytest.raises(ConfigError, match=f"pattern 'new': class Incomplete must declare the class attribute '{attribute}'"):
            register("new")(incomplete)
    with pytest.raises(ConfigError, match="'removes', one of 'frames', 'modalities'; found 'words'"):
        register("new")(type("Wrong", (Pattern,), declared | {"removes": "words"}))
    assert "new" not in list_patterns()


@pytest.mark.parametrize("rate", [0, 1, 0.25, np.float32(0.25), np.float64(0.25), np.int64(1), -0.0])
def test_good_rates(rate):
    plan = MaskPlan("rmm", rate)
    assert type(plan.rate) is float
    assert plan.rate == rate
    assert str(plan.rate) != "-0.0"


@pytest.mark.parametrize("rate", [-1e-9, 1.0000001, float("nan"), float("inf"), True, np.bool_(True), "0.3", None, 1j, [0.3]])
def test_bad_rates(rate):
    with pytest.raises(ConfigError, match=r"rate must be a number in \[0, 1\]"):
        MaskPlan("rmm", rate)


@pytest.mark.parametrize("seed", [-1, 2**63 + 1, 0.0, True, None, "1", float("nan")])
def test_bad_seeds(seed):
    with pytest.raises(ConfigError, match=r"seed must be a whole number from 0 to 2\*\*63"):
        MaskPlan("rmm", 0.5, seed)


@pytest.mark.parametrize("seed", [0, 2**63, np.int64(7), np.uint8(3)])
def test_good_seeds(seed):
    assert type(MaskPlan("rmm", 0.5, seed).seed) is int


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pattern("rmn"), r"unknown missingness pattern 'rmn' \(did you mean 'rmm'\?\); known: fixed, "),
        (lambda: MaskPlan("", 0.1), "unknown missingness pattern ''; known"),
        (lambda: MaskPlan(Outage, 0.1), "must be a Pattern or the name of one"),
        (lambda: pattern("outage", bursts=2), r"'outage' has no setting 'bursts' \(did you mean 'burst'\?\); it has: burst"),
        (lambda: pattern("rmm", x=2), r"'rmm' has no setting 'x'; it has: none"),
        (lambda: Outage(burst=0.99), r"outage.burst must be a finite number of turns, at least 1, found 0.99"),
        (lambda: Outage(burst=float("nan")), "outage.burst"),
        (lambda: Outage(burst=float("inf")), "outage.burst"),
        (lambda: Outage(burst=True), "outage.burst"),
        (lambda: Outage(burst="3"), "outage.burst"),
        (lambda: Fixed(available=()), r"fixed.available must name at least one modality"),
        (lambda: Fixed(available="text"), r"fixed.available must be a list of modality names, found 'text'"),
        (lambda: Fixed(available=("text", "text")), "different modality names"),
        (lambda: Fixed(available=("text", 3)), "different modality names"),
        (lambda: Fixed(available=None), "fixed.available"),
        (lambda: RmfmIid(protect_ends="text"), "rmfm_iid.protect_ends"),
        (lambda: Speaker(modalities=("",)), "speaker.modalities"),
        (
            lambda: Imbalanced(weights={"text": 0}),
            "imbalanced.weights must pair different modalities with finite numbers above 0",
        ),
        (lambda: Imbalanced(weights={"text": float("inf")}), "imbalanced.weights"),
        (lambda: Imbalanced(weights={"text": float("nan")}), "imbalanced.weights"),
        (lambda: Imbalanced(weights={"text": True}), "imbalanced.weights"),
        (lambda: Imbalanced(weights=(("text", 1), ("text", 2))), "imbalanced.weights"),
        (lambda: Imbalanced(weights=(("text",),)), "imbalanced.weights"),
        (lambda: Imbalanced(weights=3), "imbalanced.weights"),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    "kind",
    [
        Fixed(available=("text", "smell")),
        RmfmIid(protect_ends=("smell",)),
        Speaker(modalities=("smell",)),
        Imbalanced(weights={"text": 1, "audio": 1, "vision": 1, "smell": 1}),
    ],
    ids=str,
)
def test_a_modality_that_the_corpus_lacks_is_refused(layouts, kind):
    with pytest.raises(ConfigError, match=r"names the modality 'smell'; the corpus has: text, audio, vision"):
        MaskPlan(kind, 0.5).over(layouts.make(10))


def test_a_modality_without_a_weight_is_refused(layouts):
    with pytest.raises(ConfigError, match="no weight for the modality 'vision'"):
        MaskPlan(Imbalanced(weights={"text": 1, "audio": 2}), 0.5).over(layouts.make(10))


def test_plans_are_values():
    one, two = MaskPlan(Fixed(available=["text", "audio"]), 0.3, 1), MaskPlan(Fixed(available=("audio", "text")), 0.3, 1)
    assert one == two
    assert hash(one) == hash(two)
    assert one != replace(one, seed=2)
    assert one != MaskPlan("fixed", 0.3, 1)
    assert replace(one, rate=0.5).pattern == one.pattern
    assert pickle.loads(pickle.dumps(one)) == one
    assert str(MaskPlan(Outage(burst=2), 0.3)) == "outage(burst=2.0) rate=0.3 seed=0"
    with pytest.raises(FrozenInstanceError):
        one.rate = 0.4


@pytest.mark.parametrize(
    "kind",
    [*map(pattern, list_patterns()), Imbalanced(weights={"b": 1, "a": np.float32(2)}), Speaker(modalities=["x"])],
    ids=str,
)
def test_json_round_trip_is_canonical(kind):
    plan = MaskPlan(kind, 0.1 + 0.2, 2**63)
    assert MaskPlan.from_json(plan.to_json()) == plan
    assert MaskPlan.from_json(plan.to_json()).to_json() == plan.to_json()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{}",
        '{"pattern":"rmm","rate":0.1,"seed":0}',
        '{"pattern":"rmm","rate":0.1,"seed":0,"settings":[]}',
        '{"pattern":"rmm","rate":0.1,"seed":0,"settings":{},"more":1}',
        '{"pattern":3,"rate":0.1,"seed":0,"settings":{}}',
        '{"pattern":"rmm","rate":NaN,"seed":0,"settings":{}}',
        '{"pattern":"rmm","rate":0.1,"seed":0,"settings":{"burst":3}}',
        '{"pattern":"none","rate":0.1,"seed":0,"settings":{}}',
    ],
)
def test_bad_json_is_refused(text):
    with pytest.raises(ConfigError):
        MaskPlan.from_json(text)


def test_two_patterns_cannot_share_a_name():
    with pytest.raises(ConfigError, match="two missingness patterns are called 'rmm'"):

        @register("rmm")
        @dataclass(frozen=True)
        class Other(Rmm):
            pass


def test_masks_fit_the_batches_of_a_corpus():
    rng = np.random.default_rng(0)
    length = {"text": rng.integers(1, 9, 24), "audio": rng.integers(0, 20, 24), "face": np.ones(24, int)}
    channels = {}
    for m, n in length.items():
        values = [rng.normal(size=(k, 3)).astype(np.float32) if k else None for k in n]
        if m == "audio":
            for v in values:
                if v is not None:
                    v[rng.random(len(v)) < 0.3] = np.nan
        channels[m] = Channel(values)
    corpus = assemble(
        "toy",
        ids=[f"u{i}" for i in range(24)],
        dialogues=[f"d{i // 4}" for i in range(24)],
        turns=[i % 4 for i in range(24)],
        channels=channels,
        targets=[Target("emotion", "classification", ("a", "b"))],
        labels={"emotion": [i % 2 for i in range(24)]},
        splits=["train"] * 16 + ["test"] * 8,
        nonfinite="absent",
    )
    test = corpus.only("test")
    layout = Layout.of(test)
    assert "audio" in layout.observed
    for m in layout.modalities:
        assert np.array_equal(layout.available[m], test.frames[m].any_observed)
    rows = np.array([5, 0, 3])
    batch = collate(test, rows, test.schema(), fit_statistics(corpus))
    for kind in list_patterns():
        present = MaskPlan(kind, 0.5).over(layout).present(rows)
        whole = MaskPlan(kind, 0.0).over(layout).present(rows)
        for m in layout.modalities:
            assert present[m].shape == tuple(batch.present[m].shape)
            assert np.array_equal(whole[m], batch.present[m].numpy())
            assert not (present[m] & ~batch.present[m].numpy()).any()
