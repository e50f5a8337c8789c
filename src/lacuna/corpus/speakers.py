"""Names of speakers: people, or codes that are valid only inside one dialogue.

Pickles of this field often number the speakers of each dialogue anew (MELD, COSMIC) or give their sex only (IEMOCAP): the same
code is another person elsewhere. Importers therefore qualify codes. ``Ses01_F`` is one person, because a session of IEMOCAP
has one woman and one man. ``12::speaker_0`` is somebody in dialogue 12, and nothing tells whether the same person speaks in
another dialogue. The separator ``::`` marks such names in every corpus: they keep the speakers of a dialogue apart, and must
not be used to split or compare by person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from lacuna.corpus.corpus import Corpus

LOCAL = "::"
UNKNOWN = "unknown"
_CODE = re.compile(r"(?:(?:speaker|spk|person|party|role|user)[ _-]?)?(?:\d+|[a-z])|(?:fe)?male|(?:wo)?man", re.IGNORECASE)
_SEXES = ({"M", "F"}, {"M"}, {"F"})
_SEX_OF = {"m": "M", "male": "M", "man": "M", "f": "F", "female": "F", "woman": "F"}
_SESSION = re.compile(r"(Ses\d+)[MF]_.*")


def qualify(speakers: Sequence[str | int | None], dialogues: Sequence[str]) -> tuple[list[str], str | None]:
    """Return speaker names that mean the same person wherever they are equal, and a note if names were codes.

    Args:
        speakers: N names or codes, also whole numbers; empty or ``None`` = unknown.
        dialogues: N dialogue names.

    Returns:
        N names, and a note if codes were qualified. Names of people are returned unchanged.

    Example:
        >>> qualify(["M", "F"], ["Ses01F_impro01", "Ses01F_impro01"])[0]
        ['Ses01_M', 'Ses01_F']
        >>> qualify(["0", "1"], ["d7", "d7"])[0]
        ['d7::0', 'd7::1']
    """
    names = [UNKNOWN if s is None or s == "" else str(s) for s in speakers]
    codes = set(names) - {UNKNOWN}
    if not codes or not all(_CODE.fullmatch(code) for code in codes):
        return names, None
    names = sexes_of(names) or names
    codes = set(names) - {UNKNOWN}
    sessions = [_SESSION.fullmatch(d) for d in dialogues]
    if codes in _SEXES and all(sessions):
        people = [n if n == UNKNOWN or m is None else f"{m[1]}_{n}" for n, m in zip(names, sessions, strict=True)]
        return people, "speakers are given by sex: named <session>_<sex>, because a session has one woman and one man"
    local = [n if n == UNKNOWN else f"{d}{LOCAL}{n}" for n, d in zip(names, dialogues, strict=True)]
    return local, (
        f"speaker codes are valid inside their dialogue only: named <dialogue>{LOCAL}<code>; they are not people, so no test of"
        " unseen speakers can be made from them"
    )


def sexes_of(names: Sequence[str]) -> list[str] | None:
    """Return ``M``, ``F`` and unknown for names of sexes in any spelling; ``None`` if a name is no sex."""
    sexes = [name if name == UNKNOWN else _SEX_OF.get(name.lower(), "") for name in names]
    return None if "" in sexes else sexes


def speakers_are_local(corpus: Corpus) -> bool:
    """Return whether a speaker of the corpus is known inside a dialogue only."""
    names = corpus.utterances.speaker_names.to_pylist()
    return any(LOCAL in names[code] for code in np.unique(corpus.utterances.speaker).tolist())
