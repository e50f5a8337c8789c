"""Errors that say what is wrong, where, what was expected, what was found, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class LacunaError(Exception):
    """Base class of every error that Lacuna raises on purpose."""


class ConfigError(LacunaError):
    """A setting is unknown, out of bounds, or does not fit the corpus."""


class TrainingError(LacunaError):
    """Training had to stop: a non-finite loss, or a checkpoint that does not belong to this run.

    Args:
        what: the message.
        utterances: ids of all utterances concerned; the message names a few.
        facts: what else to keep of the moment, by name.

    The last two are kept as attributes of the same names.
    """

    def __init__(self, what: str, utterances: Iterable[str] = (), facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(what)
        self.utterances: tuple[str, ...] = tuple(utterances)
        self.facts: dict[str, Any] = dict(facts or {})


class BusyError(TrainingError):
    """Another process is at it: wait for that one, or do something else first."""


class UnsafePickleError(LacunaError):
    """A pickle asks for something that is not on the allow-list; nothing of it was executed."""


class DataError(LacunaError):
    """Data that cannot be used as it is.

    Args:
        what: one sentence that names the problem.
        corpus: name of the corpus, or the file it is read from.
        utterance: id of the first utterance concerned.
        modality: name of the modality concerned.
        expected: what would have been right.
        found: what is there.
        hint: what to do next.

    The parts are kept as attributes of the same names, and the message holds those that were given.
    """

    def __init__(
        self,
        what: str,
        *,
        corpus: str | None = None,
        utterance: str | None = None,
        modality: str | None = None,
        expected: object = None,
        found: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.corpus = corpus
        self.utterance = utterance
        self.modality = modality
        self.expected = expected
        self.found = found
        self.hint = hint
        where = ", ".join(
            f"{label} '{value}'"
            for label, value in (("corpus", corpus), ("utterance", utterance), ("modality", modality))
            if value is not None
        )
        parts = (("where", where or None), ("expected", expected), ("found", found), ("do", hint))
        lines = [what, *(f"  {label}: {value}" for label, value in parts if value is not None)]
        super().__init__("\n".join(lines))
