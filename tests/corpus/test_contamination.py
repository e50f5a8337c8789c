"""Features that were fitted on the training labels are found; clean ones are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lacuna.corpus import Channel, Corpus, Target, assemble
from lacuna.corpus.advice import findings
from lacuna.corpus.contamination import check_contamination
from lacuna.loading import with_splits
from lacuna.synthetic.duet import generate, preset

DIALOGUES, TURNS, WIDTH = 60, 8, 20


def corpus_of(seed: int = 0, *, fitted: bool = False, task: str = "classification", dialogues: int = DIALOGUES) -> Corpus:
    """A corpus with a clean modality ``audio`` and a modality ``text`` that is clean or fitted; its test has no labels."""
    rng = np.random.default_rng(seed)
    n = dialogues * TURNS
    dialogue = np.repeat(np.arange(dialogues), TURNS)
    train = dialogue < dialogues * 2 // 3
    label = rng.integers(2, size=n)
    clean = {name: rng.normal(size=(n, WIDTH)) + 0.4 * label[:, None] * rng.normal(size=WIDTH) for name in ("text", "audio")}
    if fitted:
        clean["text"] = memorised(clean["text"], label, train, rng)
    values = {"classification": label, "regression": label + rng.normal(scale=0.1, size=n), "soft": np.eye(2)[label]}[task]
    values = np.where(train.reshape(-1, *[1] * (values.ndim - 1)), values, -1 if task == "classification" else np.nan)
    low, high = (-1, 2) if task == "regression" else (None, None)
    return assemble(
        "probed",
        ids=[f"u{i}" for i in range(n)],
        dialogues=[f"d{i}" for i in dialogue],
        turns=range(n),
        channels={name: Channel(list(x.astype(np.float32)), "test") for name, x in clean.items()},
        targets=[Target("mood", task, () if task == "regression" else ("low", "high"), low=low, high=high)],
        labels={"mood": values},
        splits=["train" if one else "test" for one in train],
    )


def memorised(x: np.ndarray, label: np.ndarray, train: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Features of a network with random hidden units whose outputs were fitted on the training labels."""
    hidden = np.maximum(x @ rng.normal(size=(x.shape[1], 400)), 0)
    weights = np.linalg.solve(hidden[train].T @ hidden[train] + np.eye(400), hidden[train].T @ (2 * label[train] - 1))
    output = hidden @ weights
    return output[:, None] * rng.normal(size=WIDTH) + 0.3 * rng.normal(size=x.shape)


@pytest.mark.parametrize("task", ["classification", "regression", "soft"])
@pytest.mark.parametrize("fitted", [True, False])
def test_only_fitted_features_are_found(fitted: bool, task: str) -> None:
    checks = check_contamination(corpus_of(fitted=fitted, task=task))
    assert {check.modality: check.fitted for check in checks} == {"text": fitted, "audio": False}


def test_generated_corpora_are_clean() -> None:
    for seed in range(5):
        checks = check_contamination(generate(preset("tiny", dialogues=40, seed=seed)))
        assert len(checks) == 3
        assert not any(check.fitted for check in checks)


def test_the_labels_of_the_test_are_not_read() -> None:
    corpus = generate(preset("tiny", dialogues=40))
    labels = np.where(corpus.utterances.split == 0, corpus.utterances.labels["emotion"], -1)
    hidden = replace(corpus, utterances=replace(corpus.utterances, labels={"emotion": labels}))
    assert check_contamination(hidden) == check_contamination(corpus)


@pytest.mark.parametrize("dialogues", [2, 5])
def test_few_dialogues_are_not_checked(dialogues: int) -> None:
    assert check_contamination(corpus_of(dialogues=dialogues)) == []


def test_absent_and_constant_features_are_left_out() -> None:
    corpus = corpus_of(fitted=True)
    frames = corpus.frames["audio"]
    values = frames.values.copy()
    values[:, 0] = 7.0
    observed = np.arange(len(values)) % 3 > 0
    changed = replace(corpus, frames={**corpus.frames, "audio": replace(frames, values=values, observed=observed)})
    text, audio = check_contamination(changed)
    assert text.fitted
    assert not audio.fitted
    assert audio.n_train == pytest.approx(2 / 3 * text.n_train, abs=1)


def test_wide_features_are_projected() -> None:
    corpus = corpus_of(fitted=True)
    frames = corpus.frames["text"]
    wide = np.repeat(frames.values, 40, axis=1)  # 800 columns
    text, _ = check_contamination(replace(corpus, frames={**corpus.frames, "text": replace(frames, values=wide)}))
    assert text.fitted


def test_doctor_and_notes_say_it() -> None:
    corpus = corpus_of(fitted=True)
    warnings, _ = findings(corpus)
    assert [w for w in warnings if "validation on this corpus cannot choose" in w and "'text'" in w]
    noted = with_splits(corpus, "given")
    assert "modality 'text': these features look fitted on the training labels" in noted.provenance.notes[-1]
    assert with_splits(noted, "given").provenance == noted.provenance
    assert with_splits(corpus_of(), "given").provenance.notes == corpus_of().provenance.notes
