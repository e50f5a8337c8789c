"""Edited files of a run are refused with one of our errors, or read; never a traceback of something else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacuna.corpus import open_corpus, save_corpus
from lacuna.corpus.contents import dialogue_contents
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import DataError, LacunaError
from lacuna.runs import RunRecord, corpus_of, list_runs, load_evaluation, load_run, recognizers_of
from lacuna.training import Recipe, TrainedRecognizer, TrainingConfig, fit, load_recognizers, save_recognizers
from standin import StandIn, generate

EVALUATION = {"patterns": [{"name": "modality", "settings": {}, "rates": [0.0, 0.5]}], "mask_seeds": [0]}
VALUES: list[Any] = [None, [], {}, "x", "\ud800", -1, 0.5, 1 << 70, True, [[[]]]]
TEXTS = [b"", b"{", b"[]", b"null", b"NaN", b"\xff\xfe", b"[" * 5000, b'{"a": 1}']


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedRecognizer]:
    folder = tmp_path_factory.mktemp("runs") / "run-1"
    corpus = open_corpus(save_corpus(generate(StandIn(dialogues=10, turns=4)), folder / "corpus"))
    parts = corpus.only("train"), corpus.only("valid")
    trained = fit(Recipe("mlp", corpus.schema(), *parts, fit_statistics(corpus), TrainingConfig(epochs=1))).trained
    save_recognizers([trained], folder / "recognizers")
    record = RunRecord("run-1", corpus.name, "x", "corpus", ("mlp",), (0,), "2020-01-01", "lacuna train x", "")
    (folder / "run.json").write_text(json.dumps(record.__dict__))
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "config.json").write_text(json.dumps(EVALUATION))
    return folder, trained


def _edits(content: Any) -> Iterator[Any]:
    """Yield the content with one value replaced, for every value in it."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(pairs):
        for other in [*VALUES, *_edits(value)]:
            edited = content.copy()
            edited[key] = other
            yield edited


READERS: dict[str, list[Callable[[Path], Any]]] = {
    "run.json": [
        load_run,
        lambda folder: list_runs(folder.parent),
        recognizers_of,
        lambda folder: corpus_of(folder, load_run(folder)),
    ],
    "evaluation/config.json": [load_evaluation],
    "corpus/corpus.json": [lambda folder: open_corpus(folder / "corpus", verify=True)],
    "recognizers/recognizers.json": [recognizers_of],
    "recognizers/*/*/recognizer.json": [recognizers_of],
}


@pytest.mark.parametrize("name", READERS)
def test_no_edit_of_a_file_gives_a_traceback(name: str, trained_run: tuple[Path, TrainedRecognizer], tmp_path: Path) -> None:
    folder = tmp_path / "run-1"
    shutil.copytree(trained_run[0], folder)
    (path,) = folder.glob(name)
    edits = [json.dumps(edit).encode() for edit in _edits(json.loads(path.read_text()))]
    for content in [*TEXTS, *(edits if len(edits) < 150 else edits[:: len(edits) // 150])]:
        path.write_bytes(content)
        for read in READERS[name]:
            with suppress(LacunaError):
                read(folder)


def test_a_renamed_corpus_is_recognised(trained_run: tuple[Path, TrainedRecognizer], tmp_path: Path) -> None:
    folder, trained = trained_run
    corpus = open_corpus(folder / "corpus")
    (restored,) = load_recognizers(folder / "recognizers")
    written_again = open_corpus(save_corpus(replace(corpus, name="other", digest=None), tmp_path))
    shuffled = replace(corpus.take(np.random.default_rng(0).permutation(len(corpus))), name="other", digest=None)
    for renamed in (replace(corpus, name="other"), written_again, shuffled):
        with pytest.raises(DataError, match=r"was trained on dialogues(.|\n)*found: 8 of 8"):
            restored.check_unseen(renamed.take(np.flatnonzero(np.isin(renamed.utterances.split, [0, 1]))))
        restored.check_unseen(renamed.only("test"))
    another = replace(generate(StandIn(dialogues=10, turns=4, seed=5)), name="other")
    assert set(another.dialogue_keys) == set(corpus.dialogue_keys)
    assert not set(dialogue_contents(another, trained.schema.dims)) & set(trained.contents)
    trained.check_unseen(another)
