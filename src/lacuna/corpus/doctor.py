"""What is this file or folder, can it be used, and what to do next: an answer for every path, also for garbage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lacuna.corpus.advice import advice_on, advice_on_own, advice_on_repair, findings, summary_of
from lacuna.corpus.importers.base import (
    elsewhere,
    import_corpus,
    list_importers,
    meant,
    missing,
    recognise,
)
from lacuna.corpus.importers.outlines import outline
from lacuna.corpus.importers.sources import many, npz_shapes, read_npy, read_npz
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.storage.format import MANIFEST, open_corpus
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
        error = missing(path)
        return Diagnosis(path.name, "nothing", errors=(str(error.found),), advice=str(error.hint))
    if importer is None and (path / MANIFEST).is_file():
        return _own(path)
    seen = {} if importer else recognise(path)
    told = {name: r.what for name, r in seen.items()}
    chosen = importer or (next(iter(seen)) if len(seen) == 1 else None if seen else meant(path))
    if chosen is None:
        return _unclear(path, kind, told)
    size = _size(path)
    if importer is None and size > _LIMIT:
        advice = f"say `--importer {chosen}` to read it all"
        return Diagnosis(path.name, kind, False, chosen, told, errors=(f"{size >> 30} GiB were not read",), advice=advice)
    given = {**(seen[chosen].options if chosen in seen else {}), **options}
    try:
        corpus = import_corpus(path, importer=chosen, **given)
    except LacunaError as error:
        advice = (
            "mend what the error names" if isinstance(error, ConfigError) else advice_on_repair(path, chosen, given, str(error))
        )
        return Diagnosis(path.name, kind, False, chosen, told, errors=(str(error),), advice=advice)
    warnings, errors = findings(corpus)
    advice = advice_on(corpus, path, chosen, given)
    return Diagnosis(path.name, kind, not errors, chosen, told, summary_of(corpus), warnings, errors, advice)


def _kind(path: Path) -> str | None:
    """What it is on the outside; ``None`` if there is nothing. Raises where it may not be looked at."""
    if not path.exists():
        return None
    if path.is_dir():
        return f"a folder of {many(sum(1 for _ in path.iterdir()), 'entry')}"
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
    return f"{known} of {many(size, 'byte')}"


def _size(path: Path) -> int:
    return sum(f.stat().st_size for f in (path.rglob("*") if path.is_dir() else [path]) if f.is_file())


def _own(path: Path) -> Diagnosis:
    """One of our own corpora: both hashes are compared, then everything is validated."""
    try:
        corpus = open_corpus(path, verify=True)
    except LacunaError as error:
        return Diagnosis(path.name, "a damaged Lacuna corpus", False, "lacuna", errors=(str(error),), advice="make it again")
    warnings, errors = findings(corpus)
    return Diagnosis(
        path.name,
        "a Lacuna corpus; both files match their SHA-256",
        not errors,
        "lacuna",
        summary=summary_of(corpus),
        warnings=warnings,
        errors=errors,
        advice=advice_on_own(corpus, path),
    )


def _unclear(path: Path, kind: str, told: dict[str, str]) -> Diagnosis:
    if told:
        errors = [f"several importers read it: {', '.join(told)}"]
        advice = f"say which one, e.g. `--importer {next(iter(told))}`"
    else:
        errors = ["no importer recognises it"]
        known = "\n".join(f"  {name}: {reads}" for name, reads in list_importers().items())
        forms = f"bring it into one of these forms (your own data: the form that importer 'table' describes)\n{known}"
        advice = elsewhere(path) or forms
        if kind.startswith("a pickle"):
            try:
                content = read_pickle(path, _LIMIT)
                keys = ", ".join(map(str, list(content)[:8])) if isinstance(content, (dict, list)) else ""
                errors.append(f"the pickle holds a {type(content).__name__} {keys[:300]}".rstrip())
            except LacunaError as error:
                errors.append(str(error))
        errors += _damage(path)
    return Diagnosis(path.name, kind, False, None, told, errors=tuple(errors), advice=advice)


def _damage(path: Path) -> list[str]:
    """What is wrong with a file of arrays that nobody recognises; empty if it is whole, or of another kind."""
    try:
        if path.suffix == ".npy" and path.is_file():
            read_npy(path)
        elif path.suffix == ".npz" and path.is_file() and not npz_shapes(path):
            read_npz(path)
    except LacunaError as error:
        return [str(error)]
    return []


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
