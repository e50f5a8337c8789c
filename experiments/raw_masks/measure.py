"""Is masking features the same as losing the signal? Prints the tables of results.md.

    python experiments/raw_masks/measure.py FOLDER    # of recordings with labels; without it, recordings are generated there

Generated are the recordings of `lacuna demo-media FOLDER --set dialogues=40`. Logistic regression (C = 0.1) reads the mean of the
observed frames of one modality, in five folds by dialogue, so that it answers each utterance once. A row of a table is a training
corpus, a column a test corpus. `masked`: the clean features of a part of each clip are removed, as missing patterns do. `lost`:
the same part of the signal is removed before encoding, and the encoder is told. `silent`: nobody is told. For text, the parts
are words of the transcript. One thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lacuna.corpus import Corpus
from lacuna.corpus.contamination import FOLDS, folds_of, frame_means
from lacuna.corpus.statistics import frame_rows
from lacuna.media import clips_of, extract, inspect
from lacuna.media.damage import damages_of
from lacuna.media.damage.base import place_of
from lacuna.media.generated import Settings, generate

SECONDS = (0.5, 1.0, 1.5)
SHARES = (0.3, 0.6)
ONLY: Mapping[str, dict[str, object]] = {
    "audio": {"text": None, "audio": "logmel", "vision": None},
    "text": {"text": "minilm", "audio": None, "vision": None},
    "vision": {"text": None, "audio": None, "vision": "blendshapes"},
}


def encoded(folder: Path, modality: str, damage: str = "") -> Corpus:
    """Return the corpus of one modality, after a damage."""
    return extract(folder, ONLY[modality], name="recordings", damage=[damage] if damage else []).corpus


def without_part(corpus: Corpus, modality: str, damage: str, seconds: Mapping[str, float]) -> Corpus:
    """Return the corpus without the frames whose middle lies in the part of each clip that a damage of raw media removes."""
    (gap,) = damages_of([damage])
    frames = corpus.frames[modality]
    assert frames.times is not None
    observed = np.ones(len(frames.values), np.bool_) if frames.observed is None else frames.observed.copy()
    for row, name in enumerate(corpus.ids):
        start, end = place_of(gap.generator(name), gap.seconds, seconds[name])
        rows = slice(frames.start[row], frames.start[row] + frames.count[row])
        observed[rows] &= (frames.times[rows] < start) | (frames.times[rows] >= end)
    return replace(corpus, frames={modality: replace(frames, observed=observed)}, digest=None, place=None)


def without_tokens(corpus: Corpus, share: float) -> Corpus:
    """Return the corpus without this share of the tokens, drawn at random; a clip may lose all of them."""
    frames = corpus.frames["text"]
    drawn = np.random.default_rng(0).random(len(frames.values))
    return replace(corpus, frames={"text": replace(frames, observed=drawn >= share)}, digest=None, place=None)


def durations(folder: Path) -> dict[str, float]:
    """Return the duration of each clip in seconds, by id."""
    ends = {c.id: c.end or (inspect(c.path).duration if c.path else None) or 0.0 for c in clips_of(folder).clips}
    return {clip.id: ends[clip.id] - clip.start for clip in clips_of(folder).clips}


def answers(train: Corpus, tests: Mapping[str, Corpus]) -> dict[str, NDArray[np.bool_]]:
    """Return by test corpus whether each utterance is answered rightly by a regression that did not see its dialogue: (N,)."""
    labels, fold_of = train.utterances.labels[train.target().name], folds_of(train.utterances.dialogue)
    vectors = {name: filled(corpus) for name, corpus in tests.items()}
    x, right = filled(train), {name: np.zeros(len(train), np.bool_) for name in tests}
    for number in range(FOLDS):
        held = fold_of == number
        model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        model.fit(x[~held], labels[~held])
        for name, values in vectors.items():
            right[name][held] = model.predict(values[held]) == labels[held]
    return right


def filled(corpus: Corpus) -> NDArray[np.float64]:
    """Return the means of the observed frames, NaN where there is none: (N, d)."""
    modality = corpus.modalities[0]
    means, present = frame_means(corpus, modality.name, np.arange(len(corpus)))
    vectors = np.full((len(corpus), modality.dim), np.nan)
    vectors[present] = means
    return vectors


def interval(difference: NDArray[np.float64], dialogues: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a difference, from 2,000 bootstrap samples of dialogues."""
    sums, counts = np.bincount(dialogues, difference), np.bincount(dialogues)
    drawn = np.random.default_rng(0).integers(len(sums), size=(2000, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def shared(corpora: Mapping[str, Corpus]) -> dict[str, Corpus]:
    """Return the corpora with the utterances that all of them have."""
    common = set.intersection(*(set(corpus.ids) for corpus in corpora.values()))
    return {n: c.take(np.array([row for row, i in enumerate(c.ids) if i in common])) for n, c in corpora.items()}


def alike(masked: Corpus, lost: Corpus) -> str:
    """Say how many frames are observed in both or in none, and how many of those in both have equal features."""
    both = []
    for corpus in shared({"masked": masked, "lost": lost}).values():
        frames = corpus.frames[corpus.modalities[0].name]
        rows = frame_rows(frames.start, frames.count)
        both.append((frames.values[rows], np.ones(len(rows), np.bool_) if frames.observed is None else frames.observed[rows]))
    (values, observed), (lost_values, lost_observed) = both
    same, equal = (observed == lost_observed).mean(), (values == lost_values).all(axis=1)[observed & lost_observed].mean()
    return f"{same:.1%} of the frames are observed in both or in none; of those in both, {equal:.1%} have equal features"


def table(title: str, corpora: Mapping[str, Corpus], reference: str = "masked") -> None:
    """Print accuracies by training and test corpus, and how the test corpora differ from a reference."""
    corpora = shared(corpora)
    first = corpora["clean"]
    dialogues = np.unique(first.utterances.dialogue, return_inverse=True)[1]
    print(f"\n{title} ({len(first)} utterances)\n")
    others = [name for name in corpora if name not in ("clean", reference)]
    print(
        "| trained on | "
        + " | ".join(f"test {name}" for name in corpora)
        + " | "
        + " | ".join(f"{n} - {reference}" for n in others)
        + " |"
    )
    print("|---" * (1 + len(corpora) + len(others)) + "|")
    for name, train in corpora.items():
        right = answers(train, corpora)
        cells = [f"{right[test].mean():.3f}" for test in corpora]
        for other in others:
            difference = right[other].astype(float) - right[reference]
            low, high = interval(difference, dialogues)
            cells.append(f"{difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def measure_audio(folder: Path, seconds: Mapping[str, float]) -> None:
    """Print the tables of the sound."""
    clean = encoded(folder, "audio")
    for length in SECONDS:
        corpora = {
            "clean": clean,
            "masked": without_part(clean, "audio", f"sound-lost:{length}", seconds),
            "lost": encoded(folder, "audio", f"sound-lost:{length}"),
            "silent": encoded(folder, "audio", f"sound-silent:{length}"),
        }
        table(f"Audio, {length} s of each clip", corpora)
        print(f"\nmasked and lost: {alike(corpora['masked'], corpora['lost'])}")
    for damage in ("telephone", "noise:10"):
        table(f"Audio, {damage}", {"clean": clean, damage: encoded(folder, "audio", damage)}, "clean")


def measure_text(folder: Path) -> None:
    """Print the tables of the transcripts."""
    clean = encoded(folder, "text")
    for share in SHARES:
        lost = encoded(folder, "text", f"words-lost:{share}")
        table(f"Text, {share:.0%} of the words", {"clean": clean, "masked": without_tokens(clean, share), "lost": lost})


def measure_vision(folder: Path, seconds: Mapping[str, float]) -> None:
    """Print how the features of the picture differ: a face is not found in a black picture, so that both damages are masks."""
    clean = encoded(folder, "vision")
    for damage in ("picture-lost:1", "picture-black:1"):
        masked = without_part(clean, "vision", damage, seconds)
        print(f"Vision, {damage}: {alike(masked, encoded(folder, 'vision', damage))}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vision", action="store_true", help="compare the features of the picture instead; slow")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    begun = time.process_time()
    if not folder.exists():
        generate(folder, Settings(dialogues=40))
    seconds = durations(folder)
    print(f"clips: {len(seconds)}, median duration {np.median(list(seconds.values())):.2f} s")
    if parser.parse_args().vision:
        measure_vision(folder, seconds)
    else:
        measure_audio(folder, seconds)
        if any(clip.text for clip in clips_of(folder).clips):
            measure_text(folder)
    print(f"\n{time.process_time() - begun:.0f} s of processor time, one thread")


if __name__ == "__main__":
    main()
