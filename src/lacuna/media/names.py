"""What the file names of well-known corpora say: speaker, emotion, dialogue and turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class NamePattern:
    """The naming rule of a corpus.

    Attributes:
        corpus: its name.
        pattern: with groups among ``speaker``, ``emotion``, ``dialogue``, ``turn``.
        emotions: class names by code, in the order of the classes.
        person: the name of the speaker, made from the groups; a code alone may be another person in another session.
    """

    corpus: str
    pattern: re.Pattern[str]
    emotions: dict[str, str]
    person: str = "{speaker}"


_EMODB = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
_CREMA = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
_RAVDESS = dict(
    zip(
        ("01", "02", "03", "04", "05", "06", "07", "08"),
        ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"),
        strict=True,
    )
)
PATTERNS = (
    NamePattern("crema-d", re.compile(r"(?P<speaker>\d{4})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_[A-Z]{2}"), _CREMA),
    NamePattern("ravdess", re.compile(r"\d\d-\d\d-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)"), _RAVDESS),
    NamePattern("emodb", re.compile(r"(?P<speaker>\d\d)[ab]\d\d(?P<emotion>[WLEAFTN])[a-z]?"), _EMODB),
    NamePattern("meld", re.compile(r"(?P<dialogue>dia\d+)_utt(?P<turn>\d+)"), {}),
    NamePattern(
        "iemocap",
        re.compile(r"(?P<dialogue>(?P<session>Ses0\d)[FM]_\w+)_(?P<speaker>[FM])(?P<turn>\d{3})"),
        {},
        "{session}_{speaker}",
    ),
)


def recognise_names(stems: Sequence[str]) -> tuple[NamePattern, list[dict[str, str]]] | None:
    """Return the rule that all names follow, and what each name says; ``None`` if there is no such rule.

    >>> recognise_names(["1001_DFA_ANG_XX"])[1]
    [{'speaker': '1001', 'emotion': 'ANG'}]
    """
    for rule in PATTERNS:
        matches = [rule.pattern.fullmatch(stem) for stem in stems]
        groups = [match.groupdict() for match in matches if match is not None]
        known = all(not rule.emotions or group["emotion"] in rule.emotions for group in groups)
        if stems and known and len(groups) == len(stems):
            return rule, [
                {**group, **({"speaker": rule.person.format(**group)} if "speaker" in group else {})} for group in groups
            ]
    return None
