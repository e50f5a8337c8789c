"""Check the rules that every corpus must keep, and find what its user should know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.repair import finite_rows
from lacuna.corpus.schema import SPLITS, Target
from lacuna.errors import DataError


@dataclass(frozen=True)
class Violation:
    """A finding of validation.

    Attributes:
        fatal: True if the corpus must not be used.
        error: the message with its parts; raised if fatal, shown otherwise.
    """

    fatal: bool
    error: DataError


def check(corpus: Corpus) -> Corpus:
    """Return the corpus if nothing fatal is found.

    Raises:
        DataError: the first fatal finding.
    """
    for finding in validate(corpus):
        if finding.fatal:
            raise finding.error
    return corpus


def validate(corpus: Corpus) -> Iterator[Violation]:
    """Yield every finding on structure, splits, labels and frames. Reads each frame at most twice, in blocks."""
    yield from _structure(corpus)
    yield from _splits(corpus)
    for target in corpus.targets:
        yield from _labels(corpus, target)
    for modality in corpus.modalities:
        yield from _frames(corpus, modality.name, modality.dim)


def _structure(corpus: Corpus) -> Iterator[Violation]:
    u = corpus.utterances
    if not len(corpus):
        yield Violation(
            True,
            DataError(
                "the corpus has no utterance",
                corpus=corpus.name,
                expected="at least one",
                found=0,
                hint="check the path and the splits of the source: lacuna doctor PATH",
            ),
        )
        return
    for kind, names in (("modality", [m.name for m in corpus.modalities]), ("target", [t.name for t in corpus.targets])):
        if len(set(names)) != len(names) or (kind == "modality" and not names):
            message = f"every {kind} needs its own name, and a corpus at least one modality"
            yield Violation(
                True,
                DataError(
                    message,
                    corpus=corpus.name,
                    found=", ".join(names) or "none",
                    hint="give at least one, and each a name of its own",
                ),
            )
    ids = corpus.ids
    if len(set(ids)) != len(ids) or any(not i for i in ids):
        seen: set[str] = set()
        twin = next(i for i in ids if not i or i in seen or seen.add(i))  # type: ignore[func-returns-value]
        yield Violation(
            True,
            DataError(
                "utterance ids must be unique and not empty",
                corpus=corpus.name,
                utterance=twin,
                found=f"{ids.count(twin)} times",
                hint="give every utterance an id of its own",
            ),
        )
    if (u.turn < 0).any():
        row = int(np.argmin(u.turn))
        yield Violation(
            True,
            DataError(
                "a turn is negative",
                corpus=corpus.name,
                utterance=ids[row],
                found=int(u.turn[row]),
                hint="number the turns of a dialogue 0, 1, 2, ...",
            ),
        )
    same = u.dialogue[1:] == u.dialogue[:-1]
    for row in np.flatnonzero(same & (u.turn[1:] <= u.turn[:-1]))[:1]:
        yield Violation(
            True,
            DataError(
                "turns of a dialogue must ascend, each one once",
                corpus=corpus.name,
                utterance=ids[row + 1],
                expected=f"a turn above {u.turn[row]} in dialogue '{u.dialogue_names[u.dialogue[row]].as_py()}'",
                found=int(u.turn[row + 1]),
                hint="number the turns of a dialogue without repeats",
            ),
        )
    if 1 + int((~same).sum()) != len(np.unique(u.dialogue)):
        yield Violation(
            True,
            DataError(
                "the utterances of a dialogue must be contiguous",
                corpus=corpus.name,
                hint="sort the utterances by dialogue and turn",
            ),
        )


def _splits(corpus: Corpus) -> Iterator[Violation]:
    u = corpus.utterances
    if not len(corpus) or (u.split < 0).all():
        return
    pairs = np.unique(np.stack([u.dialogue, u.split], axis=1), axis=0)  # (P, 2) distinct (dialogue, split)
    dialogues, count = np.unique(pairs[:, 0], return_counts=True)
    for dialogue in dialogues[count > 1][:1]:
        rows = np.flatnonzero(u.dialogue == dialogue)
        split_names = sorted({SPLITS[c] if c >= 0 else "none" for c in u.split[rows]})
        yield Violation(
            True,
            DataError(
                f"{(count > 1).sum()} dialogue(s) are shared between splits; first: '{u.dialogue_names[int(dialogue)].as_py()}'",
                corpus=corpus.name,
                utterance=corpus.ids[rows[np.flatnonzero(u.split[rows] != u.split[rows[0]])[0]]],
                expected="every dialogue in one split, so that the test is unseen",
                found=" and ".join(split_names),
                hint="give all utterances of a dialogue the same split",
            ),
        )
    for code, split in enumerate(SPLITS):
        if not (u.split == code).any():
            yield Violation(False, DataError(f"there is no {split} split", corpus=corpus.name, hint="make one by dialogue"))


def _labels(corpus: Corpus, target: Target) -> Iterator[Violation]:
    values = corpus.utterances.labels.get(target.name)
    if values is None or len(values) != len(corpus):
        yield Violation(
            True,
            DataError(
                f"labels of target '{target.name}' are missing", corpus=corpus.name, hint="give the labels, or remove the target"
            ),
        )
        return
    is_labelled = corpus.labelled(target.name)
    wrong = np.zeros(len(corpus), bool)
    expected = ""
    if target.task == "classification":
        wrong = (values >= len(target.classes)) | (values < -1)
        expected = f"a class code from 0 to {len(target.classes) - 1}, or -1"
    elif target.task == "soft":
        wrong = is_labelled & ((values < 0).any(axis=1) | (np.abs(values.sum(axis=1) - 1) > 1e-3))
        wrong |= np.isfinite(values).any(axis=1) & ~is_labelled
        expected = "shares from 0 to 1 that sum to 1"
    else:
        low, high = target.low if target.low is not None else -np.inf, target.high if target.high is not None else np.inf
        wrong = np.isinf(values) | (is_labelled & ((values < low) | (values > high)))
        expected = f"a number from {low:g} to {high:g}"
    for row in np.flatnonzero(wrong)[:1]:
        message = f"{wrong.sum()} label(s) of target '{target.name}' are out of bounds"
        yield Violation(
            True,
            DataError(
                message,
                corpus=corpus.name,
                utterance=corpus.ids[row],
                expected=expected,
                found=values[row],
                hint="correct the label, or leave it empty",
            ),
        )
    u = corpus.utterances
    if not is_labelled.any() and (u.split >= 0).any():
        yield Violation(
            True,
            DataError(
                f"no utterance is labelled for target '{target.name}'",
                corpus=corpus.name,
                hint="check the column of labels: lacuna doctor PATH",
            ),
        )
    if target.task == "classification" and not wrong.any() and (u.split == 0).any():
        missing = sorted(set(range(len(target.classes))) - set(values[(u.split == 0) & is_labelled].tolist()))
        if missing:
            names = ", ".join(target.classes[c] for c in missing)
            yield Violation(
                False,
                DataError(
                    f"target '{target.name}': no training utterance of class {names}",
                    corpus=corpus.name,
                    hint="correct a misspelt label, re-split (--split fold, ingest.split: fold), or collect labels of it",
                ),
            )


def _frames(corpus: Corpus, modality: str, dim: int) -> Iterator[Violation]:
    frames = corpus.frames.get(modality)
    if frames is None or frames.values.ndim != 2 or frames.values.shape[1] != dim:
        found = None if frames is None else frames.values.shape
        yield Violation(
            True,
            DataError(
                "frames are missing or of the wrong width",
                corpus=corpus.name,
                modality=modality,
                expected=f"(rows, {dim})",
                found=found,
                hint="import the source again",
            ),
        )
        return
    end = frames.start + frames.count
    if (
        len(frames.count) != len(corpus)
        or (frames.count < 0).any()
        or (frames.start < 0).any()
        or (end > len(frames.values)).any()
    ):
        yield Violation(
            True,
            DataError(
                "frame offsets point outside the frames",
                corpus=corpus.name,
                modality=modality,
                expected=f"{len(corpus)} ranges within {len(frames.values)} rows",
                found=f"{len(frames.count)} ranges up to row {end.max(initial=0)}",
                hint="import the source again",
            ),
        )
        return
    finite = finite_rows(frames.values)
    used = np.zeros(len(frames.values) + 1, np.int64)
    np.add.at(used, frames.start[frames.count > 0], 1)
    np.add.at(used, end[frames.count > 0], -1)
    bad = ~finite & (np.cumsum(used)[:-1] > 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        holder = int(np.flatnonzero((frames.start <= row) & (row < end))[0])
        message = f"{bad.sum()} frames of {modality} hold NaN or inf"
        yield Violation(
            True,
            DataError(
                message,
                corpus=corpus.name,
                utterance=corpus.ids[holder],
                modality=modality,
                expected="numbers",
                hint="replace what is not a number, or choose the option `nonfinite` of the importer",
            ),
        )
    if not frames.any_observed.any():
        yield Violation(
            False,
            DataError(
                "the modality is absent from every utterance",
                corpus=corpus.name,
                modality=modality,
                hint="remove the modality, or check how its frames are matched with the utterances",
            ),
        )
        return
    if bad.any():
        return
    low, high, silent = _extent(corpus, modality)
    if (constant := int((low == high).sum())) and len(frames.values) > 1:
        yield Violation(
            False,
            DataError(
                f"{constant} of {dim} columns of {modality} are constant",
                corpus=corpus.name,
                modality=modality,
                hint="no action is needed; constant columns carry no information",
            ),
        )
    if silent:
        yield Violation(
            False,
            DataError(
                f"{silent} recordings of {modality} are all zero",
                corpus=corpus.name,
                modality=modality,
                hint="check the extraction of these recordings",
            ),
        )


def _extent(corpus: Corpus, modality: str) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return column minima, column maxima and the number of present recordings that are zero in every observed frame."""
    frames = corpus.frames[modality]
    low, high = np.full(frames.values.shape[1], np.inf), np.full(frames.values.shape[1], -np.inf)
    observed = np.ones(len(frames.values), bool) if frames.observed is None else np.asarray(frames.observed)
    zero = np.zeros(len(frames.values), bool)
    for start in range(0, len(frames.values), 1 << 16):
        block = frames.values[start : start + (1 << 16)]
        low, high = np.fmin(low, block.min(axis=0)), np.fmax(high, block.max(axis=0))
        zero[start : start + len(block)] = ~block.any(axis=1)
    n_observed, n_zero = (_sums(rows, frames.start, frames.count) for rows in (observed, observed & zero))
    return low, high, int(((n_observed > 0) & (n_zero == n_observed)).sum())


def _sums(flags: NDArray[np.bool_], start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (N,) int64: the number of True flags of each utterance."""
    total = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(total[start + count] - total[start], np.int64)


def one_class(corpus: Corpus, target: Target) -> DataError | None:
    """Return the error of a target with a single class or value in train or test; ``None`` if there is no such split.

    Nothing can be learned from one class, and every score of one class is 1: such a table would say nothing.
    """
    if target.task == "soft":
        return None
    if target.task == "regression":
        return _one_value(corpus, target)
    codes, split = corpus.utterances.labels[target.name], corpus.utterances.split
    for name in ("train", "test"):
        classes, counts = np.unique(codes[(split == SPLITS.index(name)) & (codes >= 0)], return_counts=True)
        if len(classes) == 1:
            return DataError(
                f"target '{target.name}' has one class in {name}",
                corpus=corpus.name,
                expected="utterances of two classes or more",
                found=f"{counts[0]} of class '{target.classes[classes[0]]}'",
                hint="check how labels become classes (options of the importer), choose another target, or other splits",
            )
    return None


def _one_value(corpus: Corpus, target: Target) -> DataError | None:
    """Return the error of a regression target whose labels in train or test are two or more equal values."""
    values, split = corpus.utterances.labels[target.name], corpus.utterances.split
    for name in ("train", "test"):
        known = values[(split == SPLITS.index(name)) & np.isfinite(values)]
        if len(known) > 1 and (known == known[0]).all():
            return DataError(
                f"target '{target.name}' has one value in {name}",
                corpus=corpus.name,
                expected="utterances of two values or more",
                found=f"{len(known)} times {known[0]:g}",
                hint="check the column of labels, choose another target, or other splits",
            )
    return None
