"""Doctor output on a corpus that was read: findings, facts and next steps."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.cautions import split_cautions
from lacuna.corpus.contamination import check_contamination
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import importer_class, list_importers, make_options, slug
from lacuna.corpus.importers.sources import many, natural_key
from lacuna.corpus.importers.table_guesses import likely_classes, likely_votes
from lacuna.corpus.schema import SPLITS, Target
from lacuna.corpus.speakers import speakers_are_local
from lacuna.corpus.validate import one_class, validate
from lacuna.errors import DataError, suggestion

_FEW = 5  # warn about classes with fewer labelled utterances
_LEAST_FOLDS = 3
_SPLITLESS = {f"there is no {split} split" for split in SPLITS}


def findings(corpus: Corpus) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return warnings and errors: findings of validation, and what prevents training."""
    violations = list(validate(corpus))
    warnings = [f.error for f in violations if not f.fatal]
    cut, why = _splitting(corpus)
    if cut != "carve":  # there are too few dialogues to make the split
        warnings = [DataError(e.what) if e.what in _SPLITLESS else e for e in warnings]
    violations_of_targets = [one_class(corpus, target) for target in corpus.targets]
    errors = [str(v.error) for v in violations if v.fatal] + [str(e) for e in violations_of_targets[:1] if e]
    warnings += [e for e in violations_of_targets[1:] if e]
    messages = [*map(str, map(partial(_with_option, corpus), warnings)), *([why] if why else []), *_scarce(corpus)]
    messages += split_cautions(corpus)
    if not any(violation.fatal for violation in violations):
        messages += [check.warning() for check in check_contamination(corpus) if check.fitted]
    if len(corpus) == 1:
        messages.append("one utterance is too few to train on")
    return tuple(messages), tuple(errors)


def _with_option(corpus: Corpus, warning: DataError) -> DataError:
    """Return the warning with the option of the corpus's importer that answers it, if there is one."""
    if not warning.what.endswith("are all zero") or corpus.provenance.importer not in list_importers():
        return warning
    options = {f.name for f in fields(importer_class(corpus.provenance.importer).Options)}
    hint = "if zeros mean 'not recorded', read them with option zeros=absent" if "zeros" in options else None
    return DataError(warning.what, corpus=warning.corpus, modality=warning.modality, hint=hint)


def _splitting(corpus: Corpus) -> tuple[str, str]:
    """Return how to make the missing splits (``fold``, ``carve`` or empty), and the reason if they cannot be made."""
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
    """Return warnings on classes with few utterances and on classes that valid or test lacks (validation checks train)."""
    split, messages = corpus.utterances.split, []
    for target in corpus.targets:
        given = corpus.labelled(target.name)
        if target.task != "classification" or not given.any():
            continue
        counts = _counts(corpus, target, given)
        if few := [f"{c} {n}{_similar(c, counts)}" for c, n in counts.items() if n < _FEW]:
            messages.append(f"target '{target.name}': fewer than {_FEW} labelled utterances of class {_some(few)}")
        for code, name in enumerate(SPLITS[1:], 1):
            split_values = _counts(corpus, target, given & (split == code))
            if any(split_values.values()) and (lacking := [c for c, n in split_values.items() if not n]):
                messages.append(f"target '{target.name}': no {name} utterance of class {_some(lacking)}")
    return messages


def _similar(name: str, counts: Mapping[str, int]) -> str:
    """Return a question if a class with enough utterances has nearly the same name: one of them may be misspelt."""
    return suggestion(name, [other for other, n in counts.items() if n >= _FEW])


def _counts(corpus: Corpus, target: Target, rows: NDArray[np.bool_]) -> dict[str, int]:
    """Return the number of labelled utterances by class."""
    count = np.bincount(corpus.utterances.labels[target.name][rows].astype(np.int64), minlength=len(target.classes))
    return dict(zip(target.classes, count.tolist(), strict=False))


def _some(names: list[str], limit: int = 12) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def summary_of(corpus: Corpus) -> dict[str, str]:
    """Return facts about a corpus, by heading."""
    u = corpus.utterances
    names = (*SPLITS, "none")
    split = {n: u.split == c for n, c in zip(names, (0, 1, 2, -1), strict=True) if (u.split == c).any()}
    speakers = _distinct(u.speaker, "speaker")
    if speakers_are_local(corpus):
        speakers = "speakers known inside their dialogue only"
    facts = {
        "utterances": f"{len(corpus)} in {_distinct(u.dialogue, 'dialogue')}, {speakers}",
        "splits": ", ".join(f"{n} {int(m.sum())} in {_distinct(u.dialogue[m], 'dialogue')}" for n, m in split.items()),
        "transcripts": f"{sum(bool(t) for t in corpus.transcripts)} of {len(corpus)}",
    }
    if not _in_order(corpus):
        facts["order"] = (
            "dialogues are not sorted by name: another order of rows gives other batches in training, and other scores"
        )
    absences = corpus.absences()
    for modality in corpus.modalities:
        count = corpus.frames[modality.name].count
        lacking = ", ".join(f"{n} {a}" for n, a in absences[modality.name].items() if a)
        frames = f"{many(int(count.max(initial=0)), 'frame')} at most, {int(count.sum())} in all"
        facts[f"modality {modality.name}"] = f"{modality.dim} wide, {frames}; absent: {lacking or 'never'}"
    for target in corpus.targets:
        facts[f"target {target.name}"] = _told(corpus, target, split)
    if not corpus.targets:
        facts["targets"] = "none: the corpus can be predicted, not trained on"
    for number, note in enumerate(corpus.provenance.notes, 1):
        facts[f"note {number}"] = note
    return facts


def _in_order(corpus: Corpus) -> bool:
    """Return whether the dialogues of each split follow each other in the order of their names, numbers by value."""
    u = corpus.utterances
    for split in range(len(SPLITS)):
        codes = u.dialogue[u.split == split]
        first = codes[np.sort(np.unique(codes, return_index=True)[1])]  # (D,) in order of appearance
        names = [natural_key(u.dialogue_names[int(code)].as_py()) for code in first]
        if names != sorted(names):
            return False
    return True


def _distinct(codes: NDArray[Any], noun: str) -> str:
    return many(len(np.unique(codes)), noun)


def _told(corpus: Corpus, target: Target, split: Mapping[str, Any]) -> str:
    values, given = corpus.utterances.labels[target.name], corpus.labelled(target.name)
    parts = [] if given.all() else [f"{int((~given).sum())} of {len(corpus)} utterances unlabelled"]
    for name, mask in split.items():
        split_values = values[mask & given]
        if not len(split_values):
            parts.append(f"{name}: unlabelled")
        elif target.task == "classification":
            count = np.bincount(split_values.astype(np.int64), minlength=len(target.classes))
            parts.append(f"{name}: " + ", ".join(f"{c} {n}" for c, n in zip(target.classes, count, strict=False)))
        elif target.task == "soft":
            shares = split_values.mean(axis=0)
            parts.append(f"{name}: " + ", ".join(f"{c} {n:.2f}" for c, n in zip(target.classes, shares, strict=True)))
        else:
            parts.append(f"{name}: {split_values.min():g} to {split_values.max():g}, mean {split_values.mean():.3g}")
    return f"{target.task}; {'; '.join(parts)}"


def _yaml(name: str, path: Path, importer: str, options: Mapping[str, Any]) -> list[str]:
    lines = ["ingest:", f"  name: {_flow(name)}", f"  path: {_flow(str(path))}", f"  importer: {_flow(importer)}"]
    typed = make_options(importer, importer_class(importer).Options, options)
    return [*lines, *(["  options:", *(f"    {k}: {_flow(getattr(typed, k))}" for k in options)] if options else [])]


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    import yaml  # type: ignore[import-untyped]  # imported here: the help of the command does not need it

    plain = json.loads(json.dumps(value))  # tuples become lists
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=math.inf, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def advice_on(corpus: Corpus, path: Path, importer: str, options: Mapping[str, Any]) -> str:
    """Return the next step for an imported corpus: settings of ``ingest``, with comments on what to change."""
    if _only_predicted(corpus):
        return _predicted(path)
    lines = _yaml(corpus.name, path, importer, options)
    cut, why = _splitting(corpus)
    if cut == "fold":
        lines += ["  split: fold  # splits are missing: split the dialogues into folds", f"  folds: {_folds(corpus)}"]
    elif cut == "carve":
        lines += ["  split: carve  # there is no validation split: take one from train, whole dialogues", "  valid_share: 0.15"]
    elif why:
        lines += ["  # add dialogues before you train: see the warning on splits"]
    lines += _other_targets(corpus)
    if importer == "table" and not options.keys() & {"soft", "targets", "classes"}:
        if votes := likely_votes(path):
            soft = _flow({"soft": votes, "targets": []})
            lines += [f"# if {', '.join(votes)} are votes, read them as one soft target, under `ingest`:", f"#   options: {soft}"]
        elif codes := likely_classes(path):
            lines += [
                f"# {', '.join(codes)}: read as a score; if the numbers are codes of classes, under `ingest`:",
                f"#   options: {_flow({'classes': codes})}",
                f"# on the command line: --option classes={','.join(codes)}",
            ]
    return "\n".join(lines)


def advice_on_own(corpus: Corpus, path: Path) -> str:
    """Return the next step for a stored Lacuna corpus: the command that trains on it."""
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
    return f"a model trained on another corpus can label it: kedro run --pipelines predict --params {given}"


def _folds(corpus: Corpus) -> int:
    return min(5, len(np.unique(corpus.utterances.dialogue)))


def _other_targets(corpus: Corpus) -> list[str]:
    first, *others = corpus.targets
    return [f"# trained on: {first.name}; another target: --params train.target={t.name}" for t in others[:1]] + (
        [f"#   others: {_some([t.name for t in others[1:]])}"] if others[1:] else []
    )


def advice_on_repair(path: Path, importer: str, options: Mapping[str, Any], error: str) -> str:
    """Return the next step for data that an importer refused."""
    if "NaN or inf" not in error:
        return "correct what the error names, then run the doctor again"
    snippet = "\n".join(_yaml(slug(path.stem), path, importer, {**options, "nonfinite": "absent"}))
    return f"repair the features, or choose a policy for such frames: absent, zero, mean or drop\n{snippet}"
