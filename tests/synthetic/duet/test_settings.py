"""Settings say what is wrong with them, and survive a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lacuna.errors import ConfigError
from lacuna.synthetic.duet import PRESETS, Duet, draw_world, preset
from lacuna.synthetic.duet.words import CAST, EMOTIONS, FILLER, SCENES, UNSEEN


@pytest.mark.parametrize("name", PRESETS)
def test_settings_survive_a_file(name: str) -> None:
    settings = preset(name, seed=3)
    assert Duet.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert hash(settings) == hash(preset(name, seed=3))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dialogues": 0}, "dialogues"),
        ({"dialogues": 2.5}, "dialogues"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"ood": 1}, "ood"),
        ({"turns": [5, 3]}, "turns"),
        ({"turns": [0, 3]}, "turns"),
        ({"turns": 4}, "wrong type"),
        ({"prior": [0.5, 0.6]}, "prior"),
        ({"prior": [1.0, 0.0]}, "prior"),
        ({"prior": ["x", "y"]}, "wrong type"),
        ({"prior": [1 / 7] * 7}, "prior"),
        ({"persistence": 0.7, "contagion": 0.3}, "persistence \\+ contagion"),
        ({"contagion": -0.1}, "contagion"),
        ({"alternate": 1.5}, "alternate"),
        ({"factors": 0}, "factors"),
        ({"scenes": 7}, "scenes"),
        ({"scenes": 1}, "scenes"),
        ({"rho_ood": 0.0}, "rho_ood"),
        ({"rho_iid": 1.0}, "rho_iid"),
        ({"text": {"emotional": 0.6, "topical": 0.5}}, "emotional"),
        ({"text": {"slip": 1.0}}, "slip"),
        ({"text": {"tokens": [0, 3]}}, "text.tokens"),
        ({"text": 3}, "text"),
        ({"audio": {"overlap": 1.5}}, "audio.overlap"),
        ({"audio": {"noise": 0}}, "audio.noise"),
        ({"audio": {"noise": "loud"}}, "wrong type"),
        ({"vision": {"code": 2}}, "vision.code"),
        ({"vision": {"dim": 8}}, "vision.dim"),
        ({"vision": {"bend": float("nan")}}, "vision.bend"),
        ({"vision": {"wrong": 1}}, "vision.wrong"),
        ({"wrong": 1}, "wrong"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        preset("tiny", **changes)


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(ConfigError, match="tiny, demo, bench"):
        preset("huge")


def test_no_word_is_in_two_lists() -> None:
    lists = [*EMOTIONS.values(), *SCENES.values(), FILLER]
    words = [word for words in lists for word in words]
    assert len(words) == len(set(words))
    assert not set(CAST) & set(UNSEEN)


def test_the_world_depends_on_neither_size_nor_shift() -> None:
    small, shifted = draw_world(preset("tiny")), draw_world(preset("tiny", dialogues=99, ood=True))
    assert (small.lexicon.table == shifted.lexicon.table).all()
    for name, carrier in small.carriers.items():
        assert (carrier.emotion == shifted.carriers[name].emotion).all()
    assert (draw_world(preset("tiny", seed=1)).lexicon.table != small.lexicon.table).any()
