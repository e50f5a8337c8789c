"""Say what a file or folder is, whether it can be used, and what to do next; every path gets an answer."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from lacuna.corpus.adapters.base import Adapter, adapter_of, read_folder
from lacuna.corpus.adapters.summary import summary_of_folder
from lacuna.corpus.advice import advice_on, advice_on_own, advice_on_repair, findings, summary_of
from lacuna.corpus.archives import unpacked_size
from lacuna.corpus.diagnosis import MEMORY, MORE_MEMORY, Diagnosis, guarded, needs_guard
from lacuna.corpus.identity import identify
from lacuna.corpus.importers.base import (
    elsewhere,
    import_corpus,
    list_importers,
    meant,
    missing,
    recognise,
)
from lacuna.corpus.importers.sources import describe, many, npz_shapes, read_npy, read_npz
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.storage.format import MANIFEST, open_corpus
from lacuna.errors import ConfigError, LacunaError
from lacuna.text import visible

_SPLIT_TABLE = (
    "save the columns id, dialogue, turn, speaker, split, text and the labels as utterances.csv in a folder, and the feature "
    "columns of each modality beside it as a .npy of shape (utterances, columns), e.g. audio.npy; then name the folder"
)
_LIMIT = 4 << 30  # largest size in bytes that the doctor reads unless the importer is given


def examine(path: str | Path, *, importer: str | None = None, **options: Any) -> Diagnosis:
    """Return a diagnosis of a file or folder; never raises, whatever the content is.

    Args:
        path: any path.
        importer: read the path with this importer instead of recognising it.
        options: options of the importer.

    Returns:
        The diagnosis.
    """
    path = Path(path)
    try:
        return guarded(path, importer, options) if needs_guard(path) else examine_here(path, importer, options)
    except KeyboardInterrupt:
        raise
    except MemoryError:
        return Diagnosis(path.name, "something that does not fit into memory", errors=(MEMORY,), advice=MORE_MEMORY)
    except BaseException as error:  # the doctor must answer even if a file breaks a parser
        return Diagnosis(path.name, "something that cannot be inspected", errors=(f"{type(error).__name__}: {error}",))


def examine_here(path: Path, importer: str | None, options: dict[str, Any]) -> Diagnosis:
    """Return the diagnosis, in this process; see :func:`examine`."""
    kind = _kind(path)
    if kind is None:
        error = missing(path)
        return Diagnosis(path.name, "nothing", errors=(str(error.found),), advice=str(error.hint))
    if importer is None and (path / MANIFEST).is_file():
        return _own(path)
    if importer is None and (adapter := adapter_of(path)) is not None and not adapter.signals:
        return _public(path, adapter, kind)
    recognitions = {} if importer else recognise(path)
    recognised = {name: r.what for name, r in recognitions.items()}
    if not recognitions and not importer and path.is_file() and (action := identify(path).action):
        return Diagnosis(path.name, kind, errors=(f"no importer can read {identify(path).kind}",), advice=action)
    chosen = importer or (next(iter(recognitions)) if len(recognitions) == 1 else None if recognitions else _nearest(path))
    if chosen is None:
        return _unclear(path, kind, recognised)
    size = _size(path)
    if importer is None and size > _LIMIT:
        advice = f"add `--importer {chosen}` to read it all"
        return Diagnosis(path.name, kind, False, chosen, recognised, errors=(f"{size >> 30} GiB were not read",), advice=advice)
    settings = {**(recognitions[chosen].options if chosen in recognitions else {}), **options}
    try:
        corpus = import_corpus(path, importer=chosen, **settings)
    except LacunaError as error:
        if isinstance(error, ConfigError):
            advice = "correct what the error names"
        else:
            advice = advice_on_repair(path, chosen, settings, str(error))
        errors = [str(error)]
        if not importer and not recognitions and path.is_file():
            errors.append(f"no importer recognises it; the error above is that of the nearest one, '{chosen}'")
            advice += f"\nthe forms that can be read:\n{_forms()}"
        return Diagnosis(path.name, kind, False, chosen, recognised, errors=tuple(errors), advice=advice)
    warnings, violations = findings(corpus)
    advice = advice_on(corpus, path, chosen, settings)
    return Diagnosis(path.name, kind, not violations, chosen, recognised, summary_of(corpus), warnings, violations, advice)


def _kind(path: Path) -> str | None:
    """Return what the path is from the outside; ``None`` if it does not exist."""
    if not path.exists():
        return None
    if path.is_dir():
        return f"a folder of {many(sum(1 for _ in path.iterdir()), 'entry')}"
    if not path.is_file():
        return "no regular file"
    kind, size = identify(path).kind, path.stat().st_size
    return f"{kind}; {many(size, 'byte')}" if size else kind


def _nearest(path: Path) -> str | None:
    """Return the importer whose refusal explains best why a path cannot be read; ``None`` if there is none."""
    return None if path.is_dir() and elsewhere(path) else meant(path)


def _forms() -> str:
    return "\n".join(f"  {name}: {reads}" for name, reads in list_importers().items())


def _size(path: Path) -> int:
    """Return the number of bytes of all files, those in archives unpacked."""
    return sum(unpacked_size(f) for f in (path.rglob("*") if path.is_dir() else [path]) if f.is_file())


def _own(path: Path) -> Diagnosis:
    """Return the diagnosis of a stored Lacuna corpus: compare both hashes, then validate everything."""
    try:
        corpus = open_corpus(path, verify=True)
    except LacunaError as error:
        return Diagnosis(path.name, "a damaged Lacuna corpus", False, "lacuna", errors=(str(error),), advice="import it again")
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


def _public(path: Path, adapter: Adapter, kind: str) -> Diagnosis:
    """Return the diagnosis of a public corpus as downloaded."""
    recognised = {f"adapter '{adapter.name}'": f"{adapter.title}, {adapter.layout}"}
    try:
        annotations = read_folder(path, adapter)
        summary = summary_of_folder(annotations)
    except LacunaError as error:
        return Diagnosis(path.name, kind, recognised=recognised, errors=(str(error),), advice=f"official files: {adapter.where}")
    if annotations.n_recordings or any(row.text for row in annotations.rows):
        warnings: tuple[str, ...] = ()
        if adapter.media and not annotations.n_recordings:
            warnings = ("no recording was found: only transcripts are used",)
        elif len(annotations.missing) > len(annotations.rows) / 2:
            warnings = ("more than half of the recordings are missing",)
        advice = shlex.join(["lacuna", "features", str(path), "--out", f"{path.resolve().name}_corpus"])
        return Diagnosis(path.name, kind, True, None, recognised, summary, warnings, advice=advice)
    errors = ("there is neither a recording nor a transcript",)
    return Diagnosis(path.name, kind, False, None, recognised, summary, (), errors, f"get the recordings: {adapter.where}")


def _unclear(path: Path, kind: str, recognised: dict[str, str]) -> Diagnosis:
    if recognised:
        errors = [f"several importers read it: {', '.join(recognised)}"]
        advice = f"choose one, e.g. `--importer {next(iter(recognised))}`"
    else:
        errors = ["no importer recognises it"]
        forms = f"convert it to one of these forms (your own data: the form that importer 'table' describes)\n{_forms()}"
        if any(file.suffix.lower() in (".csv", ".tsv") for file in (path.iterdir() if path.is_dir() else [path])):
            forms = f"a table with feature columns: {_SPLIT_TABLE}\nor {forms}"
        advice = elsewhere(path) or forms
        if kind.startswith("a pickle"):
            try:
                errors.append(f"the pickle holds {describe(read_pickle(path, _LIMIT))}")
            except LacunaError as error:
                errors.append(str(error))
        errors += _damage(path)
    return Diagnosis(path.name, kind, False, None, recognised, errors=tuple(errors), advice=advice)


def _damage(path: Path) -> list[str]:
    """Return what is wrong with an array file that no importer recognises; empty if it is intact or of another kind."""
    try:
        if path.suffix == ".npy" and path.is_file():
            read_npy(path)
        elif path.suffix == ".npz" and path.is_file() and not npz_shapes(path):
            read_npz(path)
    except LacunaError as error:
        return [str(error)]
    return []


def render(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as text for a terminal."""
    verdict = "can be used" if diagnosis.usable else "cannot be used as it is"
    lines = [f"{diagnosis.path}: {diagnosis.kind}", f"verdict: {verdict}"]
    lines += [f"importer: {diagnosis.importer}"] if diagnosis.importer else []
    lines += [f"recognised by {name}: {what}" for name, what in diagnosis.recognised.items()]
    lines += [f"{heading}: {text}" for heading, text in diagnosis.summary.items()]
    for heading, entries in (("warning", diagnosis.warnings), ("error", diagnosis.errors)):
        lines += [f"{heading}: " + entry.replace("\n", "\n  ") for entry in entries]
    if diagnosis.advice:
        lines += ["next:", *(f"  {line}" for line in diagnosis.advice.splitlines())]
    return visible("\n".join(lines))
