"""Make an OOD test from a corpus, measure how far it is from training, and keep it as lists of ids."""

from __future__ import annotations

import json
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
from lacuna.shift.measure import Measured, Ruler
from lacuna.shift.resplit import Pool, pool_of
from lacuna.shift.settings import RepartitionConfig
from lacuna.shift.words import Spoken, words_of

Rows = NDArray[np.int64]
VERSION = 1


@dataclass(frozen=True, eq=False)
class Repartition:
    """Lists of ids, and what was measured of them.

    Attributes:
        corpus: name of the corpus that was dealt.
        digest: of its files, empty if it was in memory.
        target: whose labels were looked at.
        config: what was asked for.
        parts: by part of ``train``, ``valid``, ``iid``, ``ood`` and ``unused`` (what is in no score), utterance ids in the
            corpus's order.
        measured: divergences and label shifts.
        notes: sentences for the corpus's provenance and the report.
    """

    corpus: str
    digest: str
    target: str
    config: RepartitionConfig
    parts: dict[str, tuple[str, ...]]
    measured: Measured
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file; :meth:`from_json` reads them back."""
        return {"format": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "repartition") -> Repartition:
        """Inverse of :meth:`to_json`.

        Args:
            content: plain values.
            where: name of the file, for messages.

        Raises:
            DataError: it is none, or an id is in two parts or twice in one.
        """
        try:
            if content["format"] != VERSION:
                raise DataError("the repartition has another format", corpus=where, expected=VERSION, found=content["format"])
            made = cls(
                corpus=str(content["corpus"]),
                digest=str(content["digest"]),
                target=str(content["target"]),
                config=RepartitionConfig(**content["config"]),
                parts={part: tuple(map(str, content["parts"][part])) for part in PARTS},
                measured=Measured.from_json(content["measured"]),
                notes=tuple(content["notes"]),
            )
        except (KeyError, TypeError, AttributeError, ConfigError) as error:
            found = f"{type(error).__name__}: {error}"
            raise DataError("this is no repartition", corpus=where, found=found, hint="make it again") from error
        ids = [i for part in PARTS for i in made.parts[part]]
        if len(set(ids)) < len(ids):
            seen: set[str] = set()
            twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise DataError("an utterance is dealt twice", corpus=where, utterance=twice, expected="every id in one part")
        return made

    def codes(self, corpus: Corpus) -> Rows:
        """Which part each utterance of a corpus is in.

        Args:
            corpus: the one that was dealt, the one that was made of it, or a view on either.

        Returns:
            (N,) int64 positions in ``PARTS``.

        Raises:
            DataError: an utterance is in no part.
        """
        place = {i: code for code, part in enumerate(PARTS) for i in self.parts[part]}
        codes = np.fromiter((place.get(i, -1) for i in corpus.ids), np.int64, len(corpus))
        if (codes < 0).any():
            row = int(np.flatnonzero(codes < 0)[0])
            raise DataError(
                f"{int((codes < 0).sum())} utterances are in no part of the repartition",
                corpus=corpus.name,
                utterance=corpus.ids[row],
                hint="it was made for another corpus: make it again",
            )
        return codes

    def check(self, corpus: Corpus) -> None:
        """Check that this is the corpus that was dealt.

        Raises:
            DataError: another state of it, or ids that are unknown on either side.
        """
        if self.digest and corpus.digest and self.digest != corpus.digest:
            raise DataError(
                "the repartition was made for another state of the corpus",
                corpus=corpus.name,
                expected=self.digest,
                found=corpus.digest,
                hint="make it again",
            )
        here = set(corpus.ids)
        unknown = [i for part in PARTS for i in self.parts[part] if i not in here]
        if unknown:
            raise DataError(
                f"the repartition names {len(unknown)} utterances that the corpus does not have",
                corpus=corpus.name,
                utterance=unknown[0],
                hint="it was made for another corpus: make it again",
            )
        self.codes(corpus)


def save_repartition(made: Repartition, path: Path) -> None:
    """Write it as JSON, whole or not at all."""
    write_json(path, made.to_json())


def load_repartition(path: Path) -> Repartition:
    """Read it back; :meth:`Repartition.check` then holds it against the corpus.

    Raises:
        DataError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise DataError("there is no repartition", corpus=path.name, expected="a JSON file of id lists", hint="make one")
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError("this is no JSON", corpus=path.name, found=str(error), hint="make it again") from None
    return Repartition.from_json(content, path.name)


def repartition(corpus: Corpus, config: RepartitionConfig | None = None, target: str | None = None) -> Repartition:
    """Deal a corpus so that its OOD test shifts as asked for; the same ids for the same corpus, settings and seed.

    Args:
        corpus: whole, with its own splits.
        config: what shifts, what moves together, and by how much.
        target: whose labels count; the first one by default.

    Raises:
        ConfigError: the corpus is too small, nothing can be held out, or the label shift cannot be kept within the budget.
        DataError: the shift is one of words and the corpus tells none, or nothing is labelled.
    """
    config = config or RepartitionConfig()
    chosen = corpus.target(target)
    strata, classes = strata_of(chosen, corpus.utterances.labels[chosen.name])
    if not (strata >= 0).any():
        raise DataError(f"nothing is labelled for target '{chosen.name}'", corpus=corpus.name)
    pool = pool_of(corpus, config)
    spoken = _words(corpus, config, pool)
    units = units_of(pool.of, len(pool.names), strata, classes, spoken)
    fixed = np.flatnonzero(corpus.utterances.split == 0) if config.pool == "test" else None
    ruler = Ruler(spoken, strata, classes, config.prior)
    dealt, told = divide(corpus, chosen, config, pool, units=units, ruler=ruler, fixed=fixed)
    codes = codes_of(corpus, config, pool, units, dealt)
    rows = {part: np.flatnonzero(codes == code) for code, part in enumerate(PARTS)}
    if empty := [part for part in ("train", "iid", "ood") if not len(rows[part])]:
        raise ConfigError(f"repartition of '{corpus.name}': nothing is left for '{empty[0]}'; set a smaller size")
    others = random_splits(corpus, config, pool, units, fixed)
    ids = corpus.ids
    return Repartition(
        corpus=corpus.name,
        digest=corpus.digest or "",
        target=chosen.name,
        config=config,
        parts={part: tuple(ids[row] for row in own.tolist()) for part, own in rows.items()},
        measured=ruler.measure(rows["train"], rows["iid"], rows["ood"], others, told),
        notes=_notes(corpus, config, rows),
    )


def _words(corpus: Corpus, config: RepartitionConfig, pool: Pool) -> Spoken | None:
    """The words that are frequent enough to be measured in a part of this size."""
    try:
        spoken = words_of(corpus)
    except DataError:
        if config.kind == "association":
            raise
        return None
    least = config.expected * len(corpus) / pool.size
    frequent = spoken.only(spoken.counts >= least)
    if config.kind == "association" and not frequent.names:
        raise DataError(
            "no word is frequent enough to measure its association",
            corpus=corpus.name,
            expected=f"words in at least {least:.0f} of {len(corpus)} utterances",
            found=f"at most {int(spoken.counts.max(initial=0))}",
            hint="set a larger size, or a smaller `expected`",
        )
    return frequent if frequent.names else None


def _notes(corpus: Corpus, config: RepartitionConfig, rows: Mapping[str, Rows]) -> tuple[str, ...]:
    u = corpus.utterances
    sizes = ", ".join(f"{part} {len(own)}" for part, own in rows.items())
    notes = [f"repartition ({config.kind}, unit {config.unit}, pool {config.pool}, seed {config.seed}): {sizes} utterances"]
    local = speakers_are_local(corpus)
    named = len(u.speaker_names) > 1 and not local
    for what, code in (("dialogue", u.dialogue), *((("speaker", u.speaker),) if named else ())):
        tested = np.union1d(rows["iid"], rows["ood"])
        for one, other, told in ((rows["train"], tested, "training and the tests"), (rows["iid"], rows["ood"], "both tests")):
            if len(other) and (both := len(np.intersect1d(code[one], code[other]))):
                notes.append(f"{both} {what}(s) are in {told}")
    if local:
        notes.append("speakers are known inside their dialogue only: whether training and the tests share people is unknown")
    if config.pool == "all" and (u.split == 0).any():
        notes.append(
            "training was dealt anew: features that were fitted on the original training split have seen test utterances"
        )
    return tuple(notes)
