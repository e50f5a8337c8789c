"""GCNet layout: a pickle with labels by dialogue, and one folder of ``.npy`` features for each modality.

The pickle is a list: utterance ids, labels, speakers, sentences, then the sets of dialogues train and test (IEMOCAP), or
train, valid and test (MOSI, MOSEI). Features lie next to it or in ``features``, as ``<folder>/<utterance>.npy`` of shape (d,)
or (T, d), or as ``<folder>/<utterance>/*.npy`` with one file a frame. An utterance without file lacks the modality.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register, slug
from lacuna.corpus.importers.conversations import IEMOCAP, string_roles
from lacuna.corpus.importers.entries import Entries, Entry, choose_pickle, look, looks_like_entries, read_entries
from lacuna.corpus.importers.sources import folder_files, provenance, read_npy
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import Target
from lacuna.corpus.speakers import qualify, sexes_of
from lacuna.errors import ConfigError, DataError

_HINT = "put one folder of <utterance>.npy for each modality next to the pickle, or name the folders with option `features`"
_KINDS = ("strings", "numbers", "strings", "strings")
_POLARITY = ("negative", "non-negative")


@dataclass(frozen=True)
class GcnetOptions(Options):
    """Options of ``gcnet``.

    Attributes:
        pickle: file name, if the folder holds several (IEMOCAP has one with 4 classes and one with 6).
        features: folder of each modality, relative to the pickle or absolute. Default: every folder with ``.npy`` files next
            to the pickle or in ``features`` is a modality named after the folder.
        classes: class names of integer labels, in the order of their codes; the six of IEMOCAP are recognised.
        scale: lowest and highest possible score, if labels are scores.
        nonfinite: what to do with NaN and inf, see :func:`lacuna.corpus.repair.repair`.
    """

    pickle: str = ""
    features: dict[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    scale: tuple[float, float] = (-3, 3)
    nonfinite: Policy = "refuse"


@register("gcnet", reads="GCNet's label pickle (IEMOCAP, MOSI, MOSEI) with one folder of <utterance>.npy for each modality")
class Gcnet(Importer[GcnetOptions]):
    """Reads the GCNet layout."""

    Options = GcnetOptions

    def recognise(self, path: Path) -> Recognition | None:
        """See the base class; a label pickle without feature folders is recognised too."""
        files = [path] if path.is_file() else [f for f in folder_files(path).values() if looks_like_entries(f)]
        recognised = {f.name: content for f in files if _is_gcnet(content := look(f))}
        if not recognised:
            return None
        try:
            folders = len(_folders(files[0].parent, {}))
        except DataError:
            folders = 0
        if path.is_dir() and not folders:
            return None
        pickle, content = next(iter(recognised.items()))
        note = f"GCNet labels: {int(content.starts.sum())} dialogues, {len(content.turns)} utterances"
        note += f", {folders} feature folder(s)" if folders else ", without the feature folders that it needs next to it"
        return Recognition(note, {"pickle": pickle} if len(recognised) > 1 else {})

    def load(self, path: Path, *, name: str, options: GcnetOptions) -> Corpus:
        """See the base class."""
        file = choose_pickle(path, options.pickle)
        content = read_entries(file)
        ids, labels, speakers, sentences = _roles(name, content)
        order = ("train", "test") if len(content.groups) < 3 else ("train", "valid", "test")
        splits = content.splits(name, order)
        targets, values, note = _targets(name, ids, labels, speakers, options)
        folders = _folders(file.parent, options.features)
        if not folders:
            raise DataError(
                "the label pickle has no features",
                corpus=name,
                expected=f"folders of .npy such as '{file.parent.name}/features/audio/{ids.rows[0]}.npy'",
                found="no folder with .npy files",
                hint=_HINT,
            )
        channels, digests, notes = {}, {}, [note, *content.notes]
        for modality, folder in folders.items():
            frames, digest, note = _read(name, modality, folder, ids.rows, speakers.rows)
            channels[modality] = Channel(frames, f"files of '{folder.name}'")
            digests[f"{folder.name}/"], notes = digest, [*notes, note]
        speaker_names, speaker_note = qualify(speakers.rows, content.dialogues)
        notes += [speaker_note] if speaker_note else []
        source = provenance(self.name, path, [file], notes=notes)
        return assemble(
            name,
            ids=ids.rows,
            dialogues=content.dialogues,
            turns=content.turns.tolist(),
            channels=channels,
            targets=targets,
            labels=values,
            splits=splits,
            speakers=speaker_names,
            texts=sentences.rows,
            provenance=replace(source, files={**source.files, **digests}),
            nonfinite=options.nonfinite,
        )


def _is_gcnet(content: Entries | None) -> TypeGuard[Entries]:
    kinds = sorted(e.kind for e in content.entries) if content else []
    return content is not None and kinds == sorted(_KINDS) and len(content.groups) in (2, 3)


def _roles(corpus: str, content: Entries) -> tuple[Entry, Entry, Entry, Entry]:
    """Return the entries of ids, labels, speakers and sentences."""
    if not _is_gcnet(content):
        kinds = [e.kind for e in content.entries]
        raise DataError(
            "the pickle does not have the GCNet layout",
            corpus=corpus,
            expected="strings (ids), numbers (labels), strings (speakers), strings (sentences), and 2 or 3 sets of dialogues",
            found=f"{', '.join(kinds)} and {len(content.groups)} sets",
            hint="for pickles with the features inside, use importer 'conversations'" if "vectors" in kinds else None,
        )
    (labels,) = content.of("numbers")
    ids, speakers, sentences = content.of("strings")  # their usual order, used where content is ambiguous (empty strings)
    try:
        roles = string_roles(corpus, content)
    except DataError:
        roles = {}
    if len(roles) == len(content.of("strings")):
        ids, speakers, sentences = roles["ids"], roles["speakers"], roles["sentences"]
    return ids, labels, speakers, sentences


def _targets(
    corpus: str, ids: Entry, labels: Entry, speakers: Entry, options: GcnetOptions
) -> tuple[list[Target], dict[str, ArrayLike], str]:
    """Return targets, labels and a note: floats are scores and give a polarity too; integers are class codes."""
    values = np.asarray(labels.rows, np.float64)
    if any(isinstance(v, float) for v in labels.rows):
        low, high = options.scale
        if (wrong := np.flatnonzero((values < low) | (values > high))).size:
            row = int(wrong[0])
            raise DataError(
                f"{wrong.size} score(s) are out of bounds",
                corpus=corpus,
                utterance=str(ids.rows[row]),
                expected=f"from {low:g} to {high:g}",
                found=values[row],
                hint="declare the range of the scores with option `scale`, e.g. scale=1,9",
            )
        middle = 0 if low < 0 else (low + high) / 2
        polarity = np.where(np.isnan(values), -1, values >= middle)
        targets = [Target("score", "regression", low=low, high=high), Target("polarity", "classification", _POLARITY)]
        note = f"labels are scores; polarity is non-negative where score >= {middle:g}"
        return targets, {"score": values, "polarity": polarity}, note
    count, classes = int(values.max()) + 1, options.classes
    known = IEMOCAP if count == len(IEMOCAP) and set(sexes_of(speakers.rows) or ()) == {"M", "F"} else ()
    if classes and len(classes) < count:
        raise ConfigError(f"`classes` names {len(classes)} classes, but the labels go up to {count - 1}")
    names = classes or known or tuple(f"class_{c}" for c in range(count))
    note = "" if classes or known else "; their names are unknown, set them with option `classes`"
    return [Target("emotion", "classification", names)], {"emotion": values}, f"labels are {len(names)} classes{note}"


def _folders(root: Path, named: dict[str, str]) -> dict[str, Path]:
    """Return the folder of each modality.

    Raises:
        DataError: a named folder does not exist, or two folders give the same modality name.
    """
    if named:
        for modality, folder in named.items():
            if not (root / folder).is_dir():
                raise DataError("the feature folder does not exist", modality=modality, expected=f"folder '{folder}'", hint=_HINT)
        return {modality: root / folder for modality, folder in named.items()}
    found: dict[str, Path] = {}
    container = root / "features"
    for parent in (root, container):
        for place in sorted(f for f in parent.iterdir() if f.is_dir()) if parent.is_dir() else ():
            depths = ("*.npy",) if place == container else ("*.npy", "*/*.npy")  # this folder holds the folders of modalities
            if all(next(place.glob(depth), None) is None for depth in depths):
                continue
            if twin := found.get(slug(place.name)):
                raise DataError(
                    "two feature folders have the same name",
                    modality=slug(place.name),
                    found=f"{twin.relative_to(root)} and {place.relative_to(root)}",
                    hint="name the folders with option `features`",
                )
            found[slug(place.name)] = place
    return found


def _read(
    corpus: str, modality: str, folder: Path, ids: list[str], speakers: list[str]
) -> tuple[list[NDArray[Any] | None], str, str]:
    """Return the frames of every utterance, one SHA-256 over all files read, and a note."""
    frames: list[NDArray[Any] | None] = []
    digest, used = hashlib.sha256(), 0
    for utterance, speaker in zip(ids, speakers, strict=True):
        pieces = []
        for file in _files(folder, utterance, speaker):
            array = np.array(read_npy(file))  # copied: thousands of open memory maps exhaust the file handles
            pieces.append(_frames(corpus, modality, utterance, file, array))
            digest.update(file.name.encode() + array.tobytes())
        used += bool(pieces)
        widths = {p.shape[-1] for p in pieces if len(p)}
        if len(widths) > 1:
            raise DataError("frames differ in width", corpus=corpus, utterance=utterance, modality=modality, found=sorted(widths))
        full = [p for p in pieces if len(p)]
        frames.append(np.concatenate(full) if full else None)
    if not used:
        raise DataError(
            f"no file of folder '{folder.name}' is named after an utterance",
            corpus=corpus,
            modality=modality,
            expected=f"{ids[0]}.npy",
            found=next((f.name for f in sorted(folder.iterdir())), "an empty folder"),
        )
    absent = sum(f is None for f in frames)
    stray = len({f.stem for f in folder.iterdir() if f.suffix in ("", ".npy")} - set(ids))
    note = f"; {stray} of its files are named after no utterance" if stray else ""
    return frames, digest.hexdigest(), f"{modality}: from folder '{folder.name}', absent from {absent} of {len(ids)}{note}"


def _files(folder: Path, utterance: str, speaker: str) -> Iterator[Path]:
    """Yield the file of an utterance, or its files of single frames in the order of their names.

    The face files of IEMOCAP show both speakers; F or M in the file name identifies the one who speaks.
    """
    if (file := folder / f"{utterance}.npy").is_file():
        yield file
    elif (inside := folder / utterance).is_dir():
        files = sorted(inside.glob("*.npy"))
        tagged = speaker in ("F", "M") and all("F" in f.stem or "M" in f.stem for f in files)
        yield from (f for f in files if not tagged or ("F" if "F" in f.stem else "M") == speaker)


def _frames(corpus: str, modality: str, utterance: str, file: Path, array: NDArray[Any]) -> NDArray[Any]:
    """Return (T, d) frames; T may be 0. Axes of length 1 before the last two are dropped."""
    if array.ndim > 2 and all(n == 1 for n in array.shape[:-2]):
        array = array.reshape(array.shape[-2:])
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise DataError(
            f"the features in {file.name} are not a vector or a table",
            corpus=corpus,
            utterance=utterance,
            modality=modality,
            expected="numbers of shape (d,) or (T, d)",
            found=f"{array.dtype} of shape {array.shape}",
        )
    return array.reshape(-1, array.shape[-1]) if array.size else np.zeros((0, 1))
