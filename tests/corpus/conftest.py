"""Small corpora and files in foreign formats, made by the tests themselves."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lacuna.corpus import Channel, Corpus, Target, assemble


def build(**changes: Any) -> Corpus:
    """Eight utterances in four dialogues; text with tokens, audio absent from two; any argument may be changed."""
    r = np.random.default_rng(0)
    length = [3, 1, 2, 4, 1, 2, 3, 2]
    given: dict[str, Any] = {
        "name": "small",
        "ids": [f"u{i}" for i in range(8)],
        "dialogues": ["a", "a", "b", "b", "c", "c", "d", "d"],
        "turns": [2, 10, 0, 1, 0, 1, 0, 1],
        "channels": {
            "text": Channel([r.normal(size=(n, 4)) for n in length], "test", [r.integers(9, size=n) for n in length], 9),
            "audio": Channel([None if i in (1, 5) else r.normal(size=3) for i in range(8)], "test"),
        },
        "targets": [
            Target("mood", "classification", ("low", "high")),
            Target("score", "regression", low=-3, high=3),
            Target("votes", "soft", ("x", "y", "z")),
        ],
        "labels": {
            "mood": [0, 1, 0, 1, -1, 1, 0, 1],
            "score": [0.5, -3, 3, np.nan, 0, 1, 2, -1],
            "votes": [*([[0.5, 0.25, 0.25]] * 7), [np.nan] * 3],
        },
        "splits": ["train"] * 4 + ["valid"] * 2 + ["test"] * 2,
        "speakers": list("pqpqpqpq"),
        "texts": ["hello", None, "x", "y", "z", "", "w", "v"],
    }
    return assemble(**{**given, **changes})


@pytest.fixture
def corpus() -> Corpus:
    return build()


def own_folder(folder: Path, change: Callable[[list[list[Any]]], None] = lambda rows: None) -> Path:
    """A person's own corpus as importer ``table`` reads it; ``change`` may spoil the rows."""
    folder.mkdir()
    rows: list[list[Any]] = [
        ["id", "dialogue", "turn", "speaker", "split", "text", "emotion", "score"],
        ["001", "d1", "1", "ann", "train", "hi, you", "joy", "1.5"],
        ["002", "d1", "10", "bob", "train", "", "anger", "-1"],
        ["003", "d1", "2", "bob", "train", "NA", "", ""],
        ["004", "d2", "0", "ann", "test", "no", "joy", "0"],
    ]
    change(rows)
    write_csv(folder / "utterances.csv", rows)
    np.save(folder / "audio.npy", np.array([[1, 2], [3, 4], [np.nan, np.nan], [5, 6]], np.float32))
    np.savez(folder / "vision.npz", **{"001": np.ones((3, 2)), "004": np.zeros((2, 2))})
    return folder


def write_csv(path: Path, rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(rows)


def mosi_folder(folder: Path, change: Callable[[dict[str, list[list[Any]]]], None] = lambda files: None) -> Path:
    """Two videos in contextual-LSTM CSV files; ``change`` may spoil the rows before they are written."""
    folder.mkdir(exist_ok=True)
    ids = ["v_a_1", "v_a_10", "v_a_2", "w_1"]
    label = [1, 0, 1, 0]
    files: dict[str, list[list[Any]]] = {"transcripts.csv": [[i, f"say {i}", 3, y] for i, y in zip(ids, label, strict=True)]}
    for split, index in (("train", [0, 1, 2]), ("test", [3])):
        files[f"text_{split}.csv"] = [[i, i + 0.5, 1.5] for i in index]
        for stem in ("text", "audio", "video"):
            files[f"{stem}_{split}0.csv"] = [[i + 0.5, 1.5, label[i]] for i in index]
    change(files)
    for name, rows in files.items():
        write_csv(folder / name, rows)
    return folder


def gcnet_pickle(path: Path, scores: tuple[float, ...] = (2.0, -1.0, 0.0, -0.5)) -> None:
    ids = {"v_a": ["v_a_1", "v_a_10", "v_a_2"], "w": ["w_1"]}
    values = {"v_a": list(scores[:3]), "w": [scores[3]]}
    content = [ids, values, {"v_a": [""] * 3, "w": [""]}, {"v_a": [""] * 3, "w": [""]}, {"v_a"}, {"x"}, {"w"}]
    path.write_bytes(pickle.dumps(content))


def mmsa_content(*, unaligned: bool = True, text: bool = True, bert: bool = True) -> dict[str, Any]:
    """Train, valid and test of two utterances each."""
    r = np.random.default_rng(1)
    content: dict[str, Any] = {}
    for number, split in enumerate(("train", "valid", "test")):
        mask = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
        tokens = np.array([[101, 7, 102, 0, 0], [101, 102, 0, 0, 0]])
        audio, vision = r.normal(size=(2, 6, 3)), r.normal(size=(2, 4, 2))
        audio[0, 4:] = 0
        vision[1] = 0
        part: dict[str, Any] = {
            "raw_text": np.array([f"one {split}", "two"], object),
            "audio": audio,
            "vision": vision,
            "id": [f"vid{number}$_$10", f"vid{number}$_$9"],
            "annotations": np.array(["Negative", "Positive"]),
            "classification_labels": np.array([0.0, 2.0]),
            "regression_labels": np.array([-1.5, 3.0], np.float32),
        }
        part |= {"text": r.normal(size=(2, 5, 7))} if text else {}
        part |= {"text_bert": np.stack([tokens, mask, np.zeros_like(mask)], axis=1).astype(np.float32)} if bert else {}
        part |= {"audio_lengths": [4, 6], "vision_lengths": [4, 3]} if unaligned else {}
        content[split] = part
    return content


def dump(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The functions above, for tests."""
    return SimpleNamespace(
        corpus=build, own=own_folder, csv=write_csv, mosi=mosi_folder, gcnet=gcnet_pickle, mmsa=mmsa_content, dump=dump
    )
