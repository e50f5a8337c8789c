"""Is masking features the same as losing the signal? Prints the tables of results.md.

    python experiments/raw_masks/measure.py FOLDER    # of recordings with labels; an empty one receives generated recordings

Generated are the recordings of `lacuna demo-media FOLDER --set dialogues=40`. `logreg` is trained on one modality, in five folds by
dialogue, so that it answers each utterance once. A row of a table is a training corpus, a column a test corpus. `masked`: the
clean features of a part of each clip are removed, as missing patterns do. `lost`: the same part of the signal is removed before
encoding, and the encoder is told. `silent`: nobody is told. For text, the parts are words of the transcript. One thread.
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

import lacuna
from lacuna.corpus import Corpus
from lacuna.corpus.corpus import Frames
from lacuna.corpus.splits import fold
from lacuna.media import clips_of, extract, inspect
from lacuna.media.damage import damages_of
from lacuna.media.damage.base import place_of
from lacuna.media.generated import Settings, generate

SECONDS = (0.5, 1.0, 1.5)
SHARES = (0.3, 0.6)
FOLDS = 5
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
    """Return by test corpus whether each utterance, in the order of ids, is answered rightly by a model that did not see it."""
    right: dict[str, dict[str, bool]] = {name: {} for name in tests}
    for number in range(FOLDS):
        model = lacuna.create_model("logreg").fit(fold(train, FOLDS, number, 0), seed=0)
        for name, corpus in tests.items():
            part = fold(corpus, FOLDS, number, 0).only("test")
            predicted = model.predict(part).set_index("id")["predicted"]
            target = part.target()
            labels = dict(zip(part.ids, part.utterances.labels[target.name].tolist(), strict=True))
            right[name] |= {i: predicted[i] == target.classes[label] for i, label in labels.items()}
    return {name: np.array([values[i] for i in sorted(values)]) for name, values in right.items()}


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


def alike(masked: Frames, lost: Frames) -> str:
    """Say how many frames are observed in both or in none, and how many of those in both have equal features."""
    assert masked.observed is not None
    assert lost.observed is not None
    both = masked.observed & lost.observed
    equal = (masked.values[both] == lost.values[both]).all(axis=1)
    same = (masked.observed == lost.observed).mean()
    return f"{same:.1%} of the frames are observed in both or in none; of those in both, {equal.mean():.1%} have equal features"


def table(title: str, corpora: Mapping[str, Corpus], reference: str = "masked") -> None:
    """Print accuracies by training and test corpus, and how the test corpora differ from a reference."""
    corpora = shared(corpora)
    first = corpora["clean"]
    dialogue = dict(zip(first.ids, first.utterances.dialogue.tolist(), strict=True))
    dialogues = np.unique([dialogue[i] for i in sorted(dialogue)], return_inverse=True)[1]
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
        print(f"\nmasked and lost: {alike(corpora['masked'].frames['audio'], corpora['lost'].frames['audio'])}")
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
        print(f"Vision, {damage}: {alike(masked.frames['vision'], encoded(folder, 'vision', damage).frames['vision'])}")


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
