"""conv-emotion, MMGCN and COSMIC pickles: dictionaries by dialogue with labels, speakers and feature vectors.

Known layouts, recognised by the content of the entries and not by their number:

* IEMOCAP, 9 or 12: ids, speakers 'M'/'F', labels, text (four layers in the row of 12), audio, visual, sentences, train, test;
* MELD, 9: ids, one-hot speakers, emotions, text, audio, sentences, train, test, sentiments; MMGCN's 10 have visual as well;
* COSMIC, 10 or 11: speakers, emotions, (sentiments,) four layers of text, sentences, train, test, valid.

Speakers may be whole numbers, too; they stand before the emotions.
Where content is ambiguous, position decides, because it is the same in all layouts: text before audio before visual, emotions
before sentiments, and the sets of dialogues as train, test, valid. The provenance records what was recognised where. Speaker
codes are qualified, see :mod:`lacuna.corpus.speakers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.entries import Entries, Entry, choose_pickle, look, looks_like_entries, read_entries
from lacuna.corpus.importers.outlines import outline
from lacuna.corpus.importers.sources import Zeros, folder_files, provenance
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import Target
from lacuna.corpus.speakers import UNKNOWN, qualify, sexes_of
from lacuna.errors import ConfigError, DataError

IEMOCAP = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
MELD = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
_SKIPPED = "-"


@dataclass(frozen=True)
class ConversationOptions(Options):
    """Options of ``conversations``.

    Attributes:
        pickle: file name, if the path is a folder with several pickles.
        classes: emotion names in the order of their codes; the six of IEMOCAP and the seven of MELD are recognised.
        modalities: name of each entry of feature vectors, in order; entries with equal names are concatenated, ``-`` leaves
            one out. Required if their number is not that of a known layout.
        splits: names of the sets of dialogues, in order.
        speakers: position of the entry of speakers, if whole numbers may be speakers or labels; -1 = no entry.
        ignore: positions of entries to leave out.
        zeros: meaning of an all-zero vector: ``keep`` it as data, or the modality is ``absent``.
        nonfinite: what to do with NaN and inf, see :func:`lacuna.corpus.repair.repair`.
    """

    pickle: str = ""
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    splits: tuple[Literal["train", "valid", "test"], ...] = ("train", "test", "valid")
    speakers: int | None = None
    ignore: tuple[int, ...] = ()
    zeros: Zeros = "keep"
    nonfinite: Policy = "refuse"


@register("conversations", reads="a conv-emotion, MMGCN or COSMIC pickle of IEMOCAP, MELD or alike (dictionaries by dialogue)")
class Conversations(Importer[ConversationOptions]):
    """Reads pickles of emotion recognition in conversations."""

    Options = ConversationOptions

    def recognise(self, path: Path) -> Recognition | None:
        """See the base class; a folder is recognised by the only such pickle in it."""
        files = [f for f in folder_files(path).values() if looks_like_entries(f)] if path.is_dir() else [path]
        content = look(files[0]) if len(files) == 1 else None
        features = content.of("vectors") if content else []
        if content is None or not features or not content.of("numbers"):
            return None
        widths = [e.width for e in features]
        summary = f"conversation pickle: {int(content.starts.sum())} dialogues, {len(content.turns)} utterances"
        summary += f", vectors of {widths}"
        try:
            _modalities(path.name, features, ())
        except DataError:
            return Recognition(summary, {"modalities": [f"features{e.position}" for e in features]})
        return Recognition(summary)

    def resembles(self, path: Path) -> bool:
        """Return whether a pickle is a list or tuple."""
        layout = outline(path, 100) if path.is_file() else None
        return layout is not None and (looks_like_entries(path) or layout.first in ("EMPTY_LIST", "LIST"))

    def load(self, path: Path, *, name: str, options: ConversationOptions) -> Corpus:
        """See the base class."""
        file = choose_pickle(path, options.pickle)
        content = read_entries(file, options.ignore)
        features = content.of("vectors")
        if not features:
            raise DataError(
                "the pickle has no feature vectors", corpus=name, hint="if they lie in folders next to it, use importer 'gcnet'"
            )
        named = string_roles(name, content)
        numbers = _numbers(name, content, named.get("speakers"), options.speakers)
        if "ids" in numbers and "ids" in named:
            raise _ambiguous(name, "utterance ids", [numbers["ids"], named["ids"]])
        emotion, sentiment = numbers["emotion"], numbers.get("sentiment")
        named = {**numbers, **named}
        ids, speakers, sentences = named.get("ids"), named.get("speakers"), named.get("sentences")
        modalities = _modalities(name, features, options.modalities)
        turns = content.turns if ids is None or ids.kind == "strings" else np.asarray(ids.codes())
        targets, labels, class_note = _targets(emotion, sentiment, speakers, options.classes)
        channels, absences = _channels(name, modalities, options.zeros == "absent", content)
        splits = content.splits(name, options.splits) if len(content.groups) > 1 else None
        roles = [(ids, "ids"), (speakers, "speakers"), (emotion, "emotion"), (sentiment, "sentiment"), (sentences, "sentences")]
        recognised = {e.position: role for e, role in roles if e is not None}
        recognised |= {e.position: f"{m} ({e.width})" for m, parts in modalities.items() for e in parts}
        recognised |= dict(zip(content.groups, options.splits, strict=False)) if splits else {}
        speaker_names, speaker_note = _speakers(speakers, content.dialogues)
        outside = len({d for d, s in zip(content.dialogues, splits or (), strict=False) if s is None})
        notes = [
            "recognised: " + ", ".join(f"entry {p} {recognised[p]}" for p in sorted(recognised)),
            *content.notes,
            *([class_note] if class_note else []),
            *([speaker_note] if speaker_note else []),
            *absences,
            *([f"{outside} dialogue(s) are in no split"] if outside else []),
            *([] if splits else ["fewer than two sets of dialogues: no splits"]),
        ]
        return assemble(
            name,
            ids=_ids(ids, content, turns),
            dialogues=content.dialogues,
            turns=turns.tolist(),
            channels=channels,
            targets=targets,
            labels=labels,
            splits=splits,
            speakers=speaker_names,
            texts=None if sentences is None else sentences.rows,
            provenance=provenance(self.name, path, [file], notes=notes),
            nonfinite=options.nonfinite,
        )


def _ambiguous(corpus: str, what: str, entries: Sequence[Entry]) -> DataError:
    return DataError(
        f"the {what} are ambiguous" if entries else f"there are no {what}",
        corpus=corpus,
        expected="one entry",
        found=", ".join(f"entry {e.position} ({e.kind})" for e in entries) or "none",
        hint="leave the others out with option `ignore`" if entries else None,
    )


def _numbers(corpus: str, content: Entries, named: Entry | None, position: int | None) -> dict[str, Entry]:
    """Return ids, speakers, emotion and sentiment among the entries of numbers.

    Args:
        corpus: for errors.
        content: of the pickle.
        named: the entry of speakers that are no numbers, if there is one.
        position: option ``speakers``.
    """
    numbers = content.of("numbers")
    for entry in numbers:
        if entry.codes() is None:
            raise DataError(
                f"entry {entry.position} holds numbers that are not whole",
                corpus=corpus,
                expected="class codes or utterance numbers",
                found=next(r for r in entry.rows if r != int(r)) if np.isfinite(np.asarray(entry.rows, float)).all() else "NaN",
                hint=f"leave it out with ignore: [{entry.position}]",
            )
    counting = [e for e in numbers if e.ascends(content.starts)] if len(numbers) > 1 else []
    roles: dict[str, Entry] = {"ids": counting[0]} if counting and counting[0] is numbers[0] else {}
    rest = [e for e in numbers if e is not roles.get("ids")]
    if (speakers := _numbered_speakers(corpus, rest, named, position)) is not None:
        roles["speakers"] = speakers
    labels = [e for e in rest if e is not speakers]
    if len(labels) not in (1, 2):
        raise _ambiguous(corpus, "labels", labels)
    if len(labels) == 1:
        return {**roles, "emotion": labels[0]}
    emotion, sentiment = sorted(labels, key=lambda e: max(e.rows) <= 2)  # stable: place decides where the range does not
    if max(sentiment.rows) > 2:
        raise _ambiguous(corpus, "sentiments (three classes) from the emotions", labels)
    return {**roles, "emotion": emotion, "sentiment": sentiment}


def _numbered_speakers(corpus: str, entries: list[Entry], named: Entry | None, position: int | None) -> Entry | None:
    """Return the entry whose numbers are speakers: the first one, if the others can be emotions and sentiments.

    Raises:
        DataError: two entries of at most three codes: the first may be speakers or emotions.
        ConfigError: option ``speakers`` names no such entry.
    """
    if position is not None and position >= 0:
        chosen = next((e for e in entries if e.position == position), None)
        if chosen is None and (named is None or named.position != position):
            raise ConfigError(f"option 'speakers': entry {position} of {corpus} holds no whole numbers")
        return chosen
    if named is not None or position is not None or len(entries) not in (2, 3):
        return None
    first_small, last_small = (max(e.rows) <= 2 for e in (entries[0], entries[-1]))  # as sentiments are
    if len(entries) == 2 and last_small and not first_small:
        return None  # emotions and sentiments
    if len(entries) == 2 and last_small:
        raise DataError(
            f"the numbers of entry {entries[0].position} may be speakers or emotions",
            corpus=corpus,
            expected="one entry of labels, or speakers as names",
            found=f"entries {entries[0].position} and {entries[1].position} of at most three codes",
            hint=f"speakers={entries[0].position} if they are speakers, speakers=-1 if they are not",
        )
    return entries[0]


def string_roles(corpus: str, content: Entries) -> dict[str, Entry]:
    """Return ids, speakers and sentences among the entries of strings and one-hot vectors."""
    roles: dict[str, list[Entry]] = {"ids": [], "speakers": content.of("onehot"), "sentences": []}
    for entry in content.of("strings"):
        texts = [r or "" for r in entry.rows]
        pairs = list(zip(content.dialogues, texts, strict=True))
        if any(" " in t for t in texts):
            roles["sentences"].append(entry)
        elif len(set(pairs)) == len(pairs) and len(set(texts)) > 2 and all(texts):
            roles["ids"].append(entry)
        else:
            roles["speakers"].append(entry)
    if len(roles["sentences"]) == 2 and not roles["speakers"]:  # names with spaces; sentences come last in every layout
        roles["speakers"].append(roles["sentences"].pop(0))
    for role, entries in roles.items():
        if len(entries) > 1:
            raise _ambiguous(corpus, role, entries)
    return {role: entries[0] for role, entries in roles.items() if entries}


def _modalities(corpus: str, features: list[Entry], names: Sequence[str]) -> dict[str, list[Entry]]:
    """Return the entries of feature vectors by modality."""
    widths = [e.width for e in features]
    layers = len(features) in (4, 6) and len(set(widths[:4])) == 1
    known = {1: ["text"], 2: ["text", "audio"], 3: ["text", "audio", "vision"]}
    if layers:
        known |= {4: ["text"] * 4, 6: ["text"] * 4 + ["audio", "vision"]}
    chosen = list(names) or known.get(len(features), [])
    if len(chosen) != len(features):
        raise DataError(
            "the modalities of the feature vectors are unknown",
            corpus=corpus,
            expected=f"{len(names)} entries, as `modalities` names" if names else "text, audio and vision, or layers of text",
            found="widths " + ", ".join(f"{w} (entry {e.position})" for e, w in zip(features, widths, strict=True)),
            hint="name them in order with the option `modalities`",
        )
    result: dict[str, list[Entry]] = {}
    for modality, entry in zip(chosen, features, strict=True):
        if modality != _SKIPPED:
            result.setdefault(modality, []).append(entry)
    return result


def _channels(
    corpus: str, modalities: dict[str, list[Entry]], zeros: bool, content: Entries
) -> tuple[dict[str, Channel], list[str]]:
    """Return frames by modality, entries of one modality concatenated, and notes on absences."""
    channels: dict[str, Channel] = {}
    notes: list[str] = []
    for modality, parts in modalities.items():
        frames: list[NDArray[Any] | None] = []
        for row, pieces in enumerate(zip(*(e.rows for e in parts), strict=True)):
            shapes = {None if p is None else p.shape[:-1] for p in pieces}
            if len(shapes) > 1:
                raise DataError(
                    f"the entries of one modality do not fit together in dialogue '{content.dialogues[row]}'",
                    corpus=corpus,
                    modality=modality,
                    expected="the same frames in each",
                    found=" and ".join("none" if p is None else str(p.shape) for p in pieces),
                )
            whole = None if None in shapes else np.concatenate(pieces, axis=-1)
            frames.append(None if whole is None or (zeros and not whole.any()) else whole)
        if absent := sum(f is None for f in frames):
            without_vector = sum(p is None for p in parts[0].rows)
            notes.append(
                f"{modality}: absent from {absent} utterances, {absent - without_vector} of them with an all-zero vector"
            )
        channels[modality] = Channel(frames, "features of the pickle")
    return channels, notes


def _targets(
    emotion: Entry, sentiment: Entry | None, speakers: Entry | None, classes: tuple[str, ...]
) -> tuple[list[Target], dict[str, ArrayLike], str | None]:
    """Return targets, their labels, and a note if class names are unknown."""
    codes = np.asarray(emotion.codes())
    labels: dict[str, ArrayLike] = {"emotion": codes}
    count = int(codes.max()) + 1
    known: tuple[str, ...] = ()
    feelings = tuple(f"class_{c}" for c in range(3))
    if sentiment is not None:
        labels["sentiment"] = feeling = np.asarray(sentiment.codes())
        if meld := _as_in_meld(codes, feeling):
            known, feelings = MELD, meld
    elif (
        count == len(IEMOCAP)
        and speakers is not None
        and speakers.kind == "strings"
        and set(sexes_of(speakers.rows) or ()) == {"M", "F"}
    ):
        known = IEMOCAP
    if classes and len(classes) < count:
        raise ConfigError(f"`classes` names {len(classes)} classes, but the labels go up to {count - 1}")
    names = classes or known or tuple(f"class_{c}" for c in range(count))
    targets = [Target("emotion", "classification", names)]
    if sentiment is not None:
        targets.append(Target("sentiment", "classification", feelings))
    return targets, labels, None if classes or known else "the names of the classes are unknown: set them with option `classes`"


def _as_in_meld(emotion: NDArray[np.int64], sentiment: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the names of the sentiment codes if they match the seven emotions as in MELD, else ``()``.

    In MELD neutral is always neutral, joy always positive, and sadness, disgust and anger always negative.
    """
    groups = {"neutral": (0,), "positive": (4,), "negative": (3, 5, 6)}
    codes = {name: set(sentiment[np.isin(emotion, members)].tolist()) for name, members in groups.items()}
    named = {next(iter(c)): name for name, c in codes.items() if len(c) == 1}
    return tuple(named[c] for c in range(3)) if emotion.max() == 6 and set(named) == {0, 1, 2} else ()


def _ids(ids: Entry | None, content: Entries, turns: NDArray[np.int64]) -> list[str]:
    if ids is None or ids.kind != "strings":
        return [f"{d}_{t}" for d, t in zip(content.dialogues, turns, strict=True)]
    if len(set(ids.rows)) == len(ids.rows):
        return ids.rows
    return [f"{d}_{i}" for d, i in zip(content.dialogues, ids.rows, strict=True)]


def _speakers(speakers: Entry | None, dialogues: list[str]) -> tuple[list[str] | None, str | None]:
    """Return qualified speaker names and a note, see :func:`lacuna.corpus.speakers.qualify`."""
    if speakers is None:
        return None, None
    names = speakers.rows  # strings, or whole numbers
    if speakers.kind == "onehot":
        names = [UNKNOWN if s is None or not s.any() else f"speaker_{int(s.argmax())}" for s in speakers.rows]
    return qualify(names, dialogues)
