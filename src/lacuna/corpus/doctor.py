"""What is this file or folder, can it be used, and what to do next: an answer for every path, also for garbage."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.format import MANIFEST, open_corpus
from lacuna.corpus.importers.base import (
    elsewhere,
    import_corpus,
    importer_class,
    list_importers,
    make_options,
    meant,
    missing,
    recognise,
    slug,
)
from lacuna.corpus.importers.sources import many, npz_shapes, outline, read_npy, read_npz
from lacuna.corpus.importers.table import likely_votes
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.schema import SPLITS, Target
from lacuna.corpus.validate import validate
from lacuna.errors import ConfigError, DataError, LacunaError

_FEW = 5  # labelled utterances of a class below which a person is warned
_LEAST_FOLDS = 3
_SPLITLESS = {f"there is no {split} split" for split in SPLITS}
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
            "mend what the error names" if isinstance(error, ConfigError) else _repair_advice(path, chosen, given, str(error))
        )
        return Diagnosis(path.name, kind, False, chosen, told, errors=(str(error),), advice=advice)
    warnings, errors = _findings(corpus)
    advice = _advice(corpus, path, chosen, given)
    return Diagnosis(path.name, kind, not errors, chosen, told, _summary(corpus), warnings, errors, advice)


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
    warnings, errors = _findings(corpus)
    return Diagnosis(
        path.name,
        "a Lacuna corpus; both files match their SHA-256",
        not errors,
        "lacuna",
        summary=_summary(corpus),
        warnings=warnings,
        errors=errors,
        advice=_own_advice(corpus, path),
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


def _findings(corpus: Corpus) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and errors of validation, and what stands in the way of training, worded for a person."""
    found = list(validate(corpus))
    warnings = [f.error for f in found if not f.fatal]
    cut, why = _splitting(corpus)
    if cut != "carve":  # a split that nobody can carve
        warnings = [DataError(e.what) if e.what in _SPLITLESS else e for e in warnings]
    told = [*map(str, warnings), *([why] if why else []), *_scarce(corpus)]
    if len(corpus) == 1:
        told.append("one utterance is too few to train on")
    return tuple(told), tuple(str(f.error) for f in found if f.fatal)


def _splitting(corpus: Corpus) -> tuple[str, str]:
    """Which way of splitting gives the splits that are missing (``fold``, ``carve`` or none), and why there is none."""
    u = corpus.utterances
    present = {SPLITS[c] for c in np.unique(u.split) if c >= 0}
    total, training = len(np.unique(u.dialogue)), len(np.unique(u.dialogue[u.split == 0]))
    if present == set(SPLITS):
        return "", ""
    if {"train", "test"} <= present and training >= 2:
        return "carve", ""
    if total >= _LEAST_FOLDS:
        return "fold", ""
    needed = f"at least {_LEAST_FOLDS} dialogues are needed to make the splits, one each for train, valid and test"
    return "", f"{needed}; there {'is' if total == 1 else 'are'} {total}"


def _scarce(corpus: Corpus) -> list[str]:
    """Classes with few utterances, and those that a split lacks; the training split's are told by validation."""
    split, told = corpus.utterances.split, []
    for target in corpus.targets:
        given = corpus.labelled(target.name)
        if target.task != "classification" or not given.any():
            continue
        if few := [f"{c} {n}" for c, n in _counts(corpus, target, given).items() if n < _FEW]:
            told.append(f"target '{target.name}': fewer than {_FEW} labelled utterances of class {_some(few)}")
        for code, name in enumerate(SPLITS[1:], 1):
            here = _counts(corpus, target, given & (split == code))
            if any(here.values()) and (lacking := [c for c, n in here.items() if not n]):
                told.append(f"target '{target.name}': no {name} utterance of class {_some(lacking)}")
    return told


def _counts(corpus: Corpus, target: Target, rows: NDArray[np.bool_]) -> dict[str, int]:
    """Utterances a class, among labelled rows."""
    count = np.bincount(corpus.utterances.labels[target.name][rows].astype(np.int64), minlength=len(target.classes))
    return dict(zip(target.classes, count.tolist(), strict=False))


def _some(names: list[str], limit: int = 12) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _summary(corpus: Corpus) -> dict[str, str]:
    u = corpus.utterances
    names = (*SPLITS, "none")
    split = {n: u.split == c for n, c in zip(names, (0, 1, 2, -1), strict=True) if (u.split == c).any()}
    facts = {
        "utterances": f"{len(corpus)} in {_distinct(u.dialogue, 'dialogue')}, {_distinct(u.speaker, 'speaker')}",
        "splits": ", ".join(f"{n} {int(m.sum())} in {_distinct(u.dialogue[m], 'dialogue')}" for n, m in split.items()),
        "transcripts": f"{sum(bool(t) for t in corpus.transcripts)} of {len(corpus)}",
    }
    absences = corpus.absences()
    for modality in corpus.modalities:
        count = corpus.frames[modality.name].count
        lacking = ", ".join(f"{n} {a}" for n, a in absences[modality.name].items() if a)
        frames = f"{many(int(count.max(initial=0)), 'frame')} at most, {int(count.sum())} in all"
        facts[f"modality {modality.name}"] = f"{modality.dim} wide, {frames}; absent: {lacking or 'never'}"
    for target in corpus.targets:
        facts[f"target {target.name}"] = _told(corpus, target, split)
    if not corpus.targets:
        facts["targets"] = "none: it can be predicted, not trained on"
    for number, note in enumerate(corpus.provenance.notes, 1):
        facts[f"note {number}"] = note
    return facts


def _distinct(codes: NDArray[Any], noun: str) -> str:
    return many(len(np.unique(codes)), noun)


def _told(corpus: Corpus, target: Target, split: Mapping[str, Any]) -> str:
    values, given = corpus.utterances.labels[target.name], corpus.labelled(target.name)
    parts = [] if given.all() else [f"{int((~given).sum())} of {len(corpus)} utterances unlabelled"]
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


def _yaml(name: str, path: Path, importer: str, options: Mapping[str, Any]) -> list[str]:
    lines = ["ingest:", f"  name: {_flow(name)}", f"  path: {_flow(str(path))}", f"  importer: {_flow(importer)}"]
    typed = make_options(importer, importer_class(importer).Options, options)
    return [*lines, *(["  options:", *(f"    {k}: {_flow(getattr(typed, k))}" for k in options)] if options else [])]


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    import yaml  # type: ignore[import-untyped]  # here: the command's help does not need it

    plain = json.loads(json.dumps(value))  # tuples become lists
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=math.inf, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _advice(corpus: Corpus, path: Path, importer: str, options: Mapping[str, Any]) -> str:
    if _only_predicted(corpus):
        return _predicted(path)
    lines = _yaml(corpus.name, path, importer, options)
    cut, why = _splitting(corpus)
    if cut == "fold":
        lines += ["  split: fold  # splits are missing: cut the dialogues into folds", f"  folds: {_folds(corpus)}"]
    elif cut == "carve":
        lines += ["  split: carve  # there is no validation split: take one from train, whole dialogues", "  valid_share: 0.15"]
    elif why:
        lines += ["  # add dialogues before you train: see the warning on splits"]
    lines += _other_targets(corpus)
    if importer == "table" and not options.keys() & {"soft", "targets", "classes"} and (votes := likely_votes(path)):
        soft = _flow({"soft": votes, "targets": []})
        lines += [f"# are {', '.join(votes)} votes? As one soft target, under `ingest`:", f"#   options: {soft}"]
    return "\n".join(lines)


def _own_advice(corpus: Corpus, path: Path) -> str:
    if _only_predicted(corpus):
        return _predicted(path)
    cut, why = _splitting(corpus)
    if why:
        return "add dialogues before you train: see the warning on splits"
    given = f"ingest.path={path},ingest.name={corpus.name}"
    given += {"fold": f",ingest.split=fold,ingest.folds={_folds(corpus)}", "carve": ",ingest.split=carve"}.get(cut, "")
    return "\n".join([f"kedro run --params {shlex.quote(given)}", *_other_targets(corpus)])


def _only_predicted(corpus: Corpus) -> bool:
    return len(corpus) == 1 or not any(corpus.labelled(t.name).any() for t in corpus.targets)


def _predicted(path: Path) -> str:
    given = shlex.quote(f"predict.path={path}")
    return f"it can be labelled by a model that was trained on another corpus: kedro run --pipelines predict --params {given}"


def _folds(corpus: Corpus) -> int:
    return min(5, len(np.unique(corpus.utterances.dialogue)))


def _other_targets(corpus: Corpus) -> list[str]:
    first, *others = corpus.targets
    return [f"# trained on: {first.name}; another target: --params train.target={t.name}" for t in others[:1]] + (
        [f"#   others: {_some([t.name for t in others[1:]])}"] if others[1:] else []
    )


def _repair_advice(path: Path, importer: str, options: Mapping[str, Any], error: str) -> str:
    if "NaN or inf" not in error:
        return "mend what the error names, then ask again"
    snippet = "\n".join(_yaml(slug(path.stem), path, importer, {**options, "nonfinite": "absent"}))
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
