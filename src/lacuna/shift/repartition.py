"""Repartitions: an OOD test made from a corpus, measures of its shift, and the file of its lists of ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.atomic import write_json
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.speakers import speakers_are_local
from lacuna.errors import ConfigError, DataError
from lacuna.shift.anneal import units_of
from lacuna.shift.association import strata_of
from lacuna.shift.division import PARTS, codes_of, divide, random_splits
from lacuna.shift.measure import ShiftMeasures, ShiftMeter
from lacuna.shift.resplit import Pool, pool_of
from lacuna.shift.settings import RepartitionConfig
from lacuna.shift.words import UtteranceWords, words_of

Rows = NDArray[np.int64]
VERSION = 1
_HINT = "create it again with `repartition`"


@dataclass(frozen=True, eq=False)
class Repartition:
    """The parts of a corpus as lists of ids, and measures of their shift.

    Attributes:
        corpus: name of the corpus.
        digest: of its files; empty for a corpus in memory.
        target: target whose labels were used.
        config: the settings.
        parts: utterance ids in the corpus's order, by part: ``train``, ``valid``, ``iid``, ``ood`` and ``unused`` (not scored).
        measured: divergences and label shifts.
        notes: sentences for the provenance of the corpus and the report.
    """

    corpus: str
    digest: str
    target: str
    config: RepartitionConfig
    parts: dict[str, tuple[str, ...]]
    measured: ShiftMeasures
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file; :meth:`from_json` reads them back."""
        return {"format": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "repartition") -> Repartition:
        """Return the repartition that :meth:`to_json` wrote.

        Args:
            content: plain values.
            where: name of the file, for messages.

        Raises:
            DataError: the content is not a repartition, or an id occurs twice.
        """
        try:
            if content["format"] != VERSION:
                raise DataError(
                    "the repartition has another format",
                    corpus=where,
                    expected=VERSION,
                    found=content["format"],
                    hint="make it again with this version: kedro run --pipelines ood",
                )
            result = cls(
                corpus=str(content["corpus"]),
                digest=str(content["digest"]),
                target=str(content["target"]),
                config=RepartitionConfig(**content["config"]),
                parts={part: tuple(map(str, content["parts"][part])) for part in PARTS},
                measured=ShiftMeasures.from_json(content["measured"]),
                notes=tuple(content["notes"]),
            )
        except DataError:
            raise
        except Exception as error:  # an edited file may hold anything
            found = f"{type(error).__name__}: {error}"
            raise DataError("this is not a repartition", corpus=where, found=found, hint=_HINT) from error
        n_listed = Counter(i for part in PARTS for i in result.parts[part])
        if repeated := [i for i, n in n_listed.items() if n > 1]:
            raise DataError(
                "an utterance is listed twice",
                corpus=where,
                utterance=repeated[0],
                expected="every id in one part",
                hint="remove the id from one of the parts",
            )
        return result

    def codes(self, corpus: Corpus) -> Rows:
        """Return the part of each utterance of a corpus.

        Args:
            corpus: the corpus that the repartition was made of, the repartitioned one, or a view of either.

        Returns:
            (N,) int64 positions in ``PARTS``.

        Raises:
            DataError: an utterance is in no part.
        """
        code_of = {i: code for code, part in enumerate(PARTS) for i in self.parts[part]}
        codes = np.fromiter((code_of.get(i, -1) for i in corpus.ids), np.int64, len(corpus))
        if (codes < 0).any():
            row = int(np.flatnonzero(codes < 0)[0])
            raise DataError(
                f"{int((codes < 0).sum())} utterances are in no part of the repartition",
                corpus=corpus.name,
                utterance=corpus.ids[row],
                hint="it was made from another corpus: create it again",
            )
        return codes

    def check(self, corpus: Corpus) -> None:
        """Check that the repartition was made of this corpus.

        Raises:
            DataError: the corpus has changed, or corpus and repartition have different ids.
        """
        if self.digest and corpus.digest and self.digest != corpus.digest:
            raise DataError(
                "the repartition was made from another state of the corpus",
                corpus=corpus.name,
                expected=self.digest,
                found=corpus.digest,
                hint=_HINT,
            )
        known = set(corpus.ids)
        unknown = [i for part in PARTS for i in self.parts[part] if i not in known]
        if unknown:
            raise DataError(
                f"the repartition names {len(unknown)} utterances that the corpus does not have",
                corpus=corpus.name,
                utterance=unknown[0],
                hint="it was made from another corpus: create it again",
            )
        self.codes(corpus)


def save_repartition(parts: Repartition, path: Path) -> None:
    """Write a repartition as JSON, atomically."""
    write_json(path, parts.to_json())


def load_repartition(path: Path) -> Repartition:
    """Read a repartition; :meth:`Repartition.check` then compares it with the corpus.

    Raises:
        DataError: the file is missing or damaged.
    """
    if not path.is_file():
        raise DataError("there is no repartition", corpus=path.name, expected="a JSON file of id lists", hint=_HINT)
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError("this is not JSON", corpus=path.name, found=str(error), hint=_HINT) from None
    return Repartition.from_json(content, path.name)


def repartition(corpus: Corpus, config: RepartitionConfig | None = None, target: str | None = None) -> Repartition:
    """Re-split a corpus so that its OOD test shifts. The same corpus, settings and seed give the same parts.

    Args:
        corpus: the whole corpus with its own splits.
        config: what shifts, what moves together, and the bounds; by default the association of words with labels.
        target: target whose labels are used; by default the first one.

    Returns:
        Lists of ids, with measures of the shift.

    Raises:
        ConfigError: the corpus is too small, nothing can be held out, or the label shift cannot be kept within the budget.
        DataError: the association is to shift and the corpus has no words, or nothing is labelled.
    """
    config = config or RepartitionConfig()
    chosen = corpus.target(target)
    strata, n_classes = strata_of(chosen, corpus.utterances.labels[chosen.name])
    if not (strata >= 0).any():
        raise DataError(f"no utterance has a label of target '{chosen.name}'", corpus=corpus.name, hint="choose another target")
    pool = pool_of(corpus, config)
    words = _frequent_words(corpus, config, pool)
    units = units_of(pool.unit_of_row, len(pool.names), strata, n_classes, words)
    fixed = np.flatnonzero(corpus.utterances.split == 0) if config.pool == "test" else None
    meter = ShiftMeter(words, strata, n_classes, config.prior)
    split_units, search = divide(corpus, chosen, config, pool, units=units, meter=meter, fixed=fixed)
    codes = codes_of(corpus, config, pool, units, split_units)
    rows = {part: np.flatnonzero(codes == code) for code, part in enumerate(PARTS)}
    if empty := [part for part in ("train", "iid", "ood") if not len(rows[part])]:
        raise ConfigError(f"repartition of '{corpus.name}': nothing is left for '{empty[0]}'; set a smaller size")
    by_chance = random_splits(corpus, config, pool, units, fixed)
    ids = corpus.ids
    return Repartition(
        corpus=corpus.name,
        digest=corpus.digest or "",
        target=chosen.name,
        config=config,
        parts={part: tuple(ids[row] for row in rows[part].tolist()) for part in PARTS},
        measured=meter.measure(rows["train"], rows["iid"], rows["ood"], by_chance, search),
        notes=_notes(corpus, config, rows),
    )


def _frequent_words(corpus: Corpus, config: RepartitionConfig, pool: Pool) -> UtteranceWords | None:
    """Return the words that are frequent enough to be measured in a part of this size, or ``None``.

    Raises:
        DataError: there are none, and the association is to shift.
    """
    try:
        words = words_of(corpus)
    except DataError:
        if config.kind == "association":
            raise
        return None
    least = config.expected * len(corpus) / pool.size
    frequent = words.only(words.counts >= least)
    if config.kind == "association" and not frequent.names:
        raise DataError(
            "no word is frequent enough to measure its association",
            corpus=corpus.name,
            expected=f"words in at least {least:.0f} of {len(corpus)} utterances",
            found=f"at most {int(words.counts.max(initial=0))}",
            hint="set a larger size, or a smaller `expected`",
        )
    return frequent if frequent.names else None


def _notes(corpus: Corpus, config: RepartitionConfig, rows: Mapping[str, Rows]) -> tuple[str, ...]:
    """Return notes on the sizes of the parts, and on the dialogues and speakers that they share."""
    u = corpus.utterances
    sizes = ", ".join(f"{part} {len(rows_of_part)}" for part, rows_of_part in rows.items())
    notes = [f"repartition ({config.kind}, unit {config.unit}, pool {config.pool}, seed {config.seed}): {sizes} utterances"]
    local = speakers_are_local(corpus)
    tests = np.union1d(rows["iid"], rows["ood"])
    groups = {"dialogue": u.dialogue} | ({"speaker": u.speaker} if len(u.speaker_names) > 1 and not local else {})
    for noun, code in groups.items():
        for one, other, where in ((rows["train"], tests, "training and the tests"), (rows["iid"], rows["ood"], "both tests")):
            if n_shared := len(np.intersect1d(code[one], code[other])):
                notes.append(f"{n_shared} {noun}(s) are in {where}")
    if local:
        notes.append("speakers are known inside their dialogue only: whether training and the tests share people is unknown")
    if config.pool == "all" and (u.split == 0).any():
        notes.append("training was re-split: features that were fitted on the original training split have seen test utterances")
    return tuple(notes)
