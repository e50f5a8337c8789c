"""The quarantine table: one row for each thing that is wrong with a clip, and the bound on how many clips may fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lacuna.errors import DataError
from lacuna.media.clips import Clip
from lacuna.media.encode import ClipResult

if TYPE_CHECKING:
    import pandas as pd

FILE = "quarantine.csv"
MAX_FAILED = 0.5  # share of clips without any usable modality above which an extraction fails, unless another one is chosen
COLUMNS = ("id", "file", "modality", "outcome", "kind", "reason")


def quarantine_table(clips: Sequence[Clip], results: Sequence[ClipResult]) -> pd.DataFrame:
    """Return one row a problem.

    Args:
        clips: N clips.
        results: N results.

    Returns:
        ``id``, ``file`` (last part of the path), ``modality``, ``kind``, ``reason``, and ``outcome``: ``partly`` (the rest of
        the modality is used), ``absent`` (the modality is absent), ``quarantined`` (the clip has no modality at all and is
        not in the corpus).
    """
    import pandas as pd

    rows = []
    for clip, done in zip(clips, results, strict=True):
        for modality, problems in done.problems.items():
            outcome = "quarantined" if not done.files else "partly" if modality in done.files else "absent"
            name = "" if clip.path is None else clip.path.name
            rows += [(clip.id, name, modality, outcome, problem.kind, problem.reason) for problem in problems]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def check_share(corpus: str, clips: Sequence[Clip], results: Sequence[ClipResult], most: float) -> None:
    """Check how many clips have no modality at all.

    Args:
        corpus: its name, for the message.
        clips: N clips.
        results: N results.
        most: the largest share that may fail, in [0, 1].

    Raises:
        DataError: all of them fail, or more than that.
    """
    failed = [(clip, done) for clip, done in zip(clips, results, strict=True) if not done.files]
    if failed and (len(failed) == len(clips) or len(failed) > most * len(clips)):
        kinds = Counter(problem.kind for _, done in failed for problems in done.problems.values() for problem in problems)
        reason = next((p.reason for problems in failed[0][1].problems.values() for p in problems), "nothing to encode")
        raise DataError(
            f"{len(failed)} of {len(clips)} clips have no modality that can be used: "
            + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()),
            corpus=corpus,
            utterance=failed[0][0].id,
            expected=f"at most {most:.0%}",
            found=reason,
            hint="repair or leave out these files, or raise the share that may fail (max_failed)",
        )


def notes_of(table: pd.DataFrame) -> list[str]:
    """Return the counts of the table for the notes of the corpus, one sentence a modality, outcome and kind."""
    clips = table.drop_duplicates(["id", "modality", "outcome", "kind"])
    counts = Counter(zip(clips["modality"], clips["outcome"], clips["kind"], strict=True))
    return [f"{modality} {outcome} in {count} clips: {kind}" for (modality, outcome, kind), count in sorted(counts.items())]
