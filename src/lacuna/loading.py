"""Open any corpus: a generated one by its name, a folder in Lacuna's format, or anything that an importer reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lacuna.corpus import SPLITS, Corpus, open_corpus
from lacuna.corpus.cautions import class_cautions, data_cautions, split_cautions
from lacuna.corpus.contamination import check_contamination
from lacuna.corpus.importers import import_corpus, recognise
from lacuna.corpus.splits import by_speaker, carve_valid, fold
from lacuna.corpus.storage.format import MANIFEST
from lacuna.errors import ConfigError, DataError
from lacuna.missing import Thin
from lacuna.missing import thin as remove
from lacuna.synthetic import duet, wrist

SplitRule = Literal["auto", "given", "carve", "fold", "speaker"]
GENERATORS: dict[str, Callable[[str, dict[str, Any]], Corpus]] = {
    "duet": lambda preset, options: duet.generate(duet.preset(preset, **options)),
    "wrist": lambda preset, options: wrist.generate(wrist.preset(preset, **options)),
}
RECORDINGS = "recordings"
_log = logging.getLogger(__name__)


def load_corpus(
    source: str | Path,
    *,
    preset: str = "demo",
    importer: str | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    encode: Mapping[str, Any] | None = None,
    split: SplitRule = "auto",
    valid_share: float = 0.15,
    folds: int = 5,
    test_fold: int = 0,
    test_speakers: Sequence[str] = (),
    seed: int = 0,
    thin: Mapping[str, Any] | None = None,
) -> Corpus:
    """Return the corpus that a name or a path stands for.

    Args:
        source: ``duet`` or ``wrist`` for a generated corpus; or a path to a corpus folder of Lacuna, to recordings or to anything
            that ``lacuna doctor PATH`` recognises. A path with the name of a generated corpus is written as ``./duet``.
        preset: size of a generated corpus: ``tiny``, ``demo`` (300 dialogues, 15 people) or ``bench``.
        importer: read the path with this importer instead of the one that recognises it; ``recordings`` reads recordings.
        name: of the corpus in tables; by default the importer chooses one.
        options: of the importer, of :func:`lacuna.media.extract`, or settings of the generated corpus that differ from the
            preset.
        encode: by modality, the encoder of recordings, see :func:`lacuna.media.extract`. For any other corpus: ``text`` names
            the encoder of its transcripts, which replaces the text features that it has; a modality with ``None`` is left out.
        split: ``given`` keeps the splits of the source. ``carve`` moves whole dialogues from training to a new validation
            split. ``fold`` cuts all dialogues into folds, one of them the test. ``speaker`` does so with speakers, see
            :func:`lacuna.corpus.splits.by_speaker`. ``auto`` keeps what there is, carves
            a validation split if only that is missing, and makes folds if there is no test split.
        valid_share: share of the training utterances that ``carve`` and ``speaker`` move to validation, in (0, 1).
        folds: number of folds, at least 3.
        test_fold: the fold that becomes the test split, from 0.
        test_speakers: speakers of the test for ``speaker``, instead of a fold.
        seed: decides which dialogues are moved; it changes nothing else.
        thin: ``{"pattern": "rmm", "rate": 0.5, "seed": 0}`` removes this share of the training and validation data for good, see
            :func:`lacuna.missing.thin`; the test split stays.

    Returns:
        The corpus, with its splits. What was decided on the way is in ``corpus.provenance.notes``.

    Raises:
        DataError: nothing is at the path, it cannot be read, or it breaks a rule of a corpus.
        ConfigError: an unknown preset, importer or option, or splits that cannot be made.

    Example:
        >>> corpus = load_corpus("duet", preset="tiny")
        >>> len(corpus.only("train")) > 0
        True
    """
    removal = None if thin is None else Thin.of(thin)  # a wrong setting is refused before anything is read
    corpus = _read(source, preset, importer, name, options or {}, encode=encode or {})
    rule: dict[str, Any] = {"folds": folds, "test_fold": test_fold, "test_speakers": test_speakers, "seed": seed}
    corpus = with_splits(corpus, split, valid_share=valid_share, **rule)
    return corpus if removal is None else remove(corpus, removal)


def with_splits(
    corpus: Corpus,
    split: SplitRule = "auto",
    *,
    valid_share: float = 0.15,
    folds: int = 5,
    test_fold: int = 0,
    test_speakers: Sequence[str] = (),
    seed: int = 0,
) -> Corpus:
    """Return the corpus with the splits that a rule of :func:`load_corpus` makes; see there."""
    if split == "auto":
        split = _split_rule(corpus)
        if split != "given":
            _log.info("%s: no %s split; split=%r made it", corpus.name, "test" if split == "fold" else "validation", split)
    if split == "carve":
        corpus = carve_valid(corpus, valid_share, seed)
    elif split == "fold":
        corpus = fold(corpus, folds, test_fold, seed)
    elif split == "speaker":
        corpus = by_speaker(corpus, test_speakers, share=valid_share, folds=folds, test_fold=test_fold, seed=seed)
    elif test_speakers:
        raise ConfigError(f"test_speakers is for split 'speaker', not for '{split}'\n  do: say split: speaker")
    for caution in (*split_cautions(corpus), *class_cautions(corpus)):
        _log.warning("%s: %s", corpus.name, caution)
    return _noting_contamination(corpus)


def _noting_contamination(corpus: Corpus) -> Corpus:
    """Return a corpus in memory with a note on each modality that looks fitted on the training labels, and log the note.

    A corpus on disk got its notes when it was read from its source; a generated one was fitted on nothing.
    """
    if corpus.digest is not None or corpus.provenance.importer in GENERATORS:
        return corpus
    notes = [check.warning().splitlines()[0] for check in check_contamination(corpus) if check.fitted]
    new = [note for note in notes if note not in corpus.provenance.notes]
    for note in new:
        _log.warning("%s: %s", corpus.name, note)
    return replace(corpus, provenance=corpus.provenance.noting(*new)) if new else corpus


def _read(
    source: str | Path,
    preset_name: str,
    importer: str | None,
    name: str | None,
    options: dict[str, Any],
    *,
    encode: Mapping[str, Any],
) -> Corpus:
    if (
        source not in GENERATORS
        and Path(source).exists()
        and (importer == RECORDINGS or (not importer and reads_recordings(Path(source))))
    ):
        from lacuna.media import extract

        return extract(source, encode, name=name, **options).corpus
    corpus = _read_features(source, preset_name, importer, name, options)
    if unknown := next((key for key, encoder in encode.items() if key != "text" and encoder is not None), None):
        raise ConfigError(f"corpus '{corpus.name}' has no recordings to encode; encode.{unknown} needs them")
    corpus = corpus.without(*(key for key, encoder in encode.items() if encoder is None))
    if encode.get("text") is None:
        return corpus
    from lacuna.media import encode_texts

    return encode_texts(corpus, encode["text"])


def _read_features(
    source: str | Path, preset_name: str, importer: str | None, name: str | None, options: dict[str, Any]
) -> Corpus:
    if source in GENERATORS:
        if Path(source).exists():
            _log.warning("'%s' is the generated corpus, not the file or folder here; that one is ./%s", source, source)
        return GENERATORS[str(source)](preset_name, options)
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"there is no file or folder {path}",
            expected=f"a path, or the name of a generated corpus: {' or '.join(GENERATORS)}",
            hint="check the spelling; a relative path starts at the current folder",
        )
    if (path / MANIFEST).is_file():
        return open_corpus(path, verify=True)
    return import_corpus(path, importer=importer, name=name, **options)


def reads_recordings(path: Path) -> bool:
    """Return whether a path holds recordings or a public corpus of them, and neither a corpus nor what an importer recognises."""
    if (path / MANIFEST).is_file():
        return False
    from lacuna.media.clips import is_recordings
    from lacuna.media.public import is_public

    return is_public(path) or (is_recordings(path) and not recognise(path))


def _split_rule(corpus: Corpus) -> SplitRule:
    """The rule that completes the splits of a corpus."""
    has = {name: bool((corpus.utterances.split == code).any()) for code, name in enumerate(SPLITS)}
    if not has["test"] or not has["train"]:
        return "fold"
    return "given" if has["valid"] else "carve"


def corpus_facts(corpus: Corpus) -> dict[str, Any]:
    """Return what a reader of a report should know of a corpus, as JSON values.

    Returns:
        ``name``, ``digest``; by split ``utterances`` and ``dialogues``; ``modalities``, ``targets``, ``class_counts``,
        ``absences``; and where it comes from: ``source``, ``importer``, ``licence``, ``files``, ``notes``.
    """
    utterances = corpus.utterances
    splits = {name: code for code, name in enumerate(SPLITS) if (utterances.split == code).any()}

    def counts(target: str, n_classes: int) -> dict[str, list[int]]:
        codes, labelled = utterances.labels[target], corpus.labelled(target)
        return {
            name: np.bincount(codes[(utterances.split == code) & labelled], minlength=n_classes).tolist()
            for name, code in splits.items()
        }

    return {
        "name": corpus.name,
        "digest": corpus.digest or "",
        "utterances": {name: int((utterances.split == code).sum()) for name, code in splits.items()},
        "dialogues": {name: len(np.unique(utterances.dialogue[utterances.split == code])) for name, code in splits.items()},
        "modalities": {m.name: {"dim": m.dim, "extractor": m.extractor} for m in corpus.modalities},
        "targets": {t.name: {"task": t.task, "classes": list(t.classes)} for t in corpus.targets},
        "cautions": data_cautions(corpus),
        "class_counts": {t.name: counts(t.name, len(t.classes)) for t in corpus.targets if t.task == "classification"},
        "absences": {name: dict(by_split) for name, by_split in corpus.absences().items()},
        "source": corpus.provenance.source,
        "importer": corpus.provenance.importer,
        "licence": corpus.provenance.licence,
        "files": corpus.provenance.files,
        "notes": list(corpus.provenance.notes),
    }
