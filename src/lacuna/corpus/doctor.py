"""What is this file or folder, can it be used, and what to do next: an answer for every path, also for garbage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.format import MANIFEST, open_corpus
from lacuna.corpus.importers.base import import_corpus, list_importers, recognise, slug
from lacuna.corpus.importers.sources import outline
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.schema import SPLITS, Target
from lacuna.corpus.validate import validate
from lacuna.errors import ConfigError, LacunaError

_LIMIT = 4 << 30  # bytes that the doctor reads without being told which importer
_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive (.npz, torch.save)"),
    (b"\x93NUMPY", "a numpy array (.npy)"),
    (b"PAR1", "a parquet table"),
    (b"RIFF", "a sound or video file"),
    (b"\x1f\x8b", "a gzip archive"),
)


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        path: what was looked at; its last part only.
        kind: what it is, in words.
        usable: it can be trained on, or imported, as it is.
        importer: name of the importer that reads it; ``lacuna`` for one of our own corpora, ``None`` if none does.
        recognised: what each importer saw, by name.
        summary: facts about the corpus, by heading.
        warnings: what a person should know.
        errors: why it cannot be used.
        advice: what to do next: a snippet of YAML, or a sentence.
    """

    path: str
    kind: str
    usable: bool = False
    importer: str | None = None
    recognised: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    advice: str = ""


def examine(path: str | Path, *, importer: str | None = None, **options: Any) -> Diagnosis:
    """Look at a file or folder; never raises, whatever is there.

    Args:
        path: anything.
        importer: read it with this one instead of recognising it.
        options: for the importer.

    Returns:
        The diagnosis; ``usable`` says whether it can be used as it is.
    """
    path = Path(path)
    try:
        return _examine(path, importer, options)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the doctor answers whatever a file does to a parser
        return Diagnosis(path.name, "something that cannot be looked at", errors=(f"{type(error).__name__}: {error}",))


def _examine(path: Path, importer: str | None, options: dict[str, Any]) -> Diagnosis:
    kind = _kind(path)
    if kind is None:
        return Diagnosis(path.name, "nothing", errors=("no such file or folder",), advice="check the path")
    if importer is None and (path / MANIFEST).is_file():
        return _own(path)
    seen = {} if importer else recognise(path)
    told = {name: r.what for name, r in seen.items()}
    if importer is None and len(seen) != 1:
        return _unclear(path, kind, told)
    chosen = importer or next(iter(seen))
    size = _size(path)
    if importer is None and size > _LIMIT:
        advice = f"say `--importer {chosen}` to read it all"
        return Diagnosis(path.name, kind, False, chosen, told, errors=(f"{size >> 30} GiB were not read",), advice=advice)
    given = {**(seen[chosen].options if chosen in seen else {}), **options}
    try:
        corpus = import_corpus(path, importer=chosen, **given)
    except LacunaError as error:
        advice = (
            "mend what the error names" if isinstance(error, ConfigError) else _repair_advice(path, chosen, given, str(error))
        )
        return Diagnosis(path.name, kind, False, chosen, told, errors=(str(error),), advice=advice)
    warnings, errors = _findings(corpus)
    return Diagnosis(
        path.name, kind, not errors, chosen, told, _summary(corpus), warnings, errors, _advice(corpus, str(path), chosen, given)
    )


def _kind(path: Path) -> str | None:
    """What it is on the outside; ``None`` if there is nothing. Raises where it may not be looked at."""
    if not path.exists():
        return None
    if path.is_dir():
        return f"a folder of {sum(1 for _ in path.iterdir())} entries"
    if not path.is_file():
        return "no regular file"
    with path.open("rb") as handle:
        head = handle.read(1 << 12)
    size = path.stat().st_size
    if not size:
        return "an empty file"
    known = next((what for magic, what in _MAGIC if head.startswith(magic)), None)
    if known is None and outline(path, 1000) is not None:
        known = "a pickle"
    if known is None:
        known = "a binary file" if b"\x00" in head else "a text file"
    return f"{known} of {size:,} bytes"


def _size(path: Path) -> int:
    return sum(f.stat().st_size for f in (path.rglob("*") if path.is_dir() else [path]) if f.is_file())


def _own(path: Path) -> Diagnosis:
    """One of our own corpora: both hashes are compared, then everything is validated."""
    try:
        corpus = open_corpus(path, verify=True)
    except LacunaError as error:
        return Diagnosis(path.name, "a damaged Lacuna corpus", False, "lacuna", errors=(str(error),), advice="make it again")
    warnings, errors = _findings(corpus)
    return Diagnosis(
        path.name,
        "a Lacuna corpus; both files match their SHA-256",
        not errors,
        "lacuna",
        summary=_summary(corpus),
        warnings=warnings,
        errors=errors,
        advice="use it as it is: lacuna.corpus.open_corpus",
    )


def _unclear(path: Path, kind: str, told: dict[str, str]) -> Diagnosis:
    if told:
        errors = [f"several importers read it: {', '.join(told)}"]
        advice = f"say which one, e.g. `--importer {next(iter(told))}`"
    else:
        errors = ["no importer recognises it"]
        known = "\n".join(f"  {name}: {reads}" for name, reads in list_importers().items())
        advice = f"bring it into one of these forms (your own data: the form that importer 'table' describes)\n{known}"
        if kind.startswith("a pickle"):
            try:
                content = read_pickle(path, _LIMIT)
                keys = ", ".join(map(str, list(content)[:8])) if isinstance(content, (dict, list)) else ""
                errors.append(f"the pickle holds a {type(content).__name__} {keys[:300]}".rstrip())
            except LacunaError as error:
                errors.append(str(error))
    return Diagnosis(path.name, kind, False, None, told, errors=tuple(errors), advice=advice)


def _findings(corpus: Corpus) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and errors of validation; a corpus without training data is a warning that is worded for a person."""
    found = list(validate(corpus))
    return tuple(str(f.error) for f in found if not f.fatal), tuple(str(f.error) for f in found if f.fatal)


def _summary(corpus: Corpus) -> dict[str, str]:
    u = corpus.utterances
    names = (*SPLITS, "none")
    split = {n: u.split == c for n, c in zip(names, (0, 1, 2, -1), strict=True) if (u.split == c).any()}
    facts = {
        "utterances": f"{len(corpus)} in {len(np.unique(u.dialogue))} dialogues, {len(np.unique(u.speaker))} speaker(s)",
        "splits": ", ".join(f"{n} {int(m.sum())} in {len(np.unique(u.dialogue[m]))} dialogues" for n, m in split.items()),
        "transcripts": f"{sum(bool(t) for t in corpus.transcripts)} of {len(corpus)}",
    }
    absences = corpus.absences()
    for modality in corpus.modalities:
        count = corpus.frames[modality.name].count
        lacking = ", ".join(f"{n} {a}" for n, a in absences[modality.name].items() if a)
        frames = f"{count.max(initial=0)} frame(s) at most, {int(count.sum())} in all"
        facts[f"modality {modality.name}"] = f"{modality.dim} wide, {frames}; absent: {lacking or 'never'}"
    for target in corpus.targets:
        facts[f"target {target.name}"] = _told(corpus, target, split)
    if not corpus.targets:
        facts["targets"] = "none: it can be predicted, not trained on"
    for number, note in enumerate(corpus.provenance.notes, 1):
        facts[f"note {number}"] = note
    return facts


def _told(corpus: Corpus, target: Target, split: Mapping[str, Any]) -> str:
    values, given = corpus.utterances.labels[target.name], corpus.labelled(target.name)
    parts = []
    for name, mask in split.items():
        here = values[mask & given]
        if not len(here):
            parts.append(f"{name}: unlabelled")
        elif target.task == "classification":
            count = np.bincount(here.astype(np.int64), minlength=len(target.classes))
            parts.append(f"{name}: " + ", ".join(f"{c} {n}" for c, n in zip(target.classes, count, strict=False)))
        elif target.task == "soft":
            parts.append(f"{name}: " + ", ".join(f"{c} {n:.2f}" for c, n in zip(target.classes, here.mean(axis=0), strict=True)))
        else:
            parts.append(f"{name}: {here.min():g} to {here.max():g}, mean {here.mean():.3g}")
    return f"{target.task}; {'; '.join(parts)}"


def _yaml(name: str, path: str, importer: str, options: Mapping[str, Any]) -> list[str]:
    lines = ["ingest:", f"  name: {name}", f"  path: {path}", f"  importer: {importer}"]
    shown = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
    return [*lines, *(["  options:", *(f"    {k}: {v}" for k, v in shown.items())] if shown else [])]


def _advice(corpus: Corpus, path: str, importer: str, options: Mapping[str, Any]) -> str:
    lines = _yaml(corpus.name, path, importer, options)
    present = {SPLITS[c] for c in np.unique(corpus.utterances.split) if c >= 0}
    if not {"train", "test"} <= present:
        lines += ["  split: fold  # splits are missing: cut the dialogues into folds", "  folds: 5"]
    elif "valid" not in present:
        lines += ["  split: carve  # there is no validation split: take one from train, whole dialogues", "  valid_share: 0.15"]
    return "\n".join(lines)


def _repair_advice(path: Path, importer: str, options: Mapping[str, Any], error: str) -> str:
    if "NaN or inf" not in error:
        return "mend what the error names, then ask again"
    snippet = "\n".join(_yaml(slug(path.stem), str(path), importer, {**options, "nonfinite": "absent"}))
    return f"mend the features; or declare what to do with such frames: absent, zero, mean or drop\n{snippet}"


def render(diagnosis: Diagnosis) -> str:
    """The diagnosis as text for a terminal."""
    verdict = "can be used" if diagnosis.usable else "cannot be used as it is"
    lines = [f"{diagnosis.path}: {diagnosis.kind}", f"verdict: {verdict}"]
    lines += [f"importer: {diagnosis.importer}"] if diagnosis.importer else []
    lines += [f"recognised by {name}: {what}" for name, what in diagnosis.recognised.items()]
    lines += [f"{heading}: {text}" for heading, text in diagnosis.summary.items()]
    for heading, entries in (("warning", diagnosis.warnings), ("error", diagnosis.errors)):
        lines += [f"{heading}: " + entry.replace("\n", "\n  ") for entry in entries]
    if diagnosis.advice:
        lines += ["next:", *(f"  {line}" for line in diagnosis.advice.splitlines())]
    return "\n".join(lines)
