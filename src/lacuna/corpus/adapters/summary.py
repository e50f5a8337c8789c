"""What the doctor says about a public corpus, and the table of all adapters for the documentation."""

from __future__ import annotations

from collections import Counter

import numpy as np

from lacuna.corpus.adapters.base import Annotations, adapter_class, list_adapters
from lacuna.corpus.importers.sources import many
from lacuna.corpus.schema import Target
from lacuna.corpus.speakers import LOCAL, UNKNOWN


def summary_of_folder(annotations: Annotations) -> dict[str, str]:
    """Return facts about the corpus in a folder, by heading: counts, labels, licence, and what is missing.

    Raises:
        DataError: a label names no class of its target.
    """
    adapter, rows = annotations.adapter, annotations.rows
    people = {row.speaker for row in rows if LOCAL not in row.speaker and row.speaker != UNKNOWN}
    speakers = many(len(people), "speaker") if people else "speakers known inside their dialogue only or not at all"
    facts = {
        "utterances": f"{len(rows)} in {many(len({row.dialogue for row in rows}), 'dialogue')}, {speakers}",
        "splits": ", ".join(f"{name} {count}" for name, count in annotations.counts().items()),
        "transcripts": f"{sum(row.text is not None for row in rows)} of {len(rows)}",
    }
    if adapter.media:
        facts["recordings"] = f"{annotations.n_recordings} of {len(rows)} found"
    labels = annotations.labels()
    facts |= {f"target {target.name}": _counted(target, labels[target.name]) for target in annotations.targets}
    facts["licence"] = adapter.licence
    facts["layout compared with"] = adapter.verified or "nothing: no description is public"
    if adapter.unverified:
        facts["not compared"] = adapter.unverified
    return facts | {f"note {number}": note for number, note in enumerate(annotations.notes, 1)}


def _counted(target: Target, values: np.ndarray) -> str:
    """Return how many utterances are labelled, and with what."""
    if target.task == "classification":
        counts = Counter(target.classes[int(code)] for code in values if code >= 0)
        return ", ".join(f"{name} {counts[name]}" for name in target.classes if counts[name]) or "no labels"
    given = ~np.isnan(values if values.ndim == 1 else values[:, 0])
    if target.task == "soft":
        return f"votes on {int(given.sum())} of {len(given)} utterances"
    return f"{int(given.sum())} of {len(given)} numbers" + (
        f", {np.nanmin(values):g} to {np.nanmax(values):g}" if given.any() else ""
    )


def adapters_table() -> str:
    """Return the public corpora that can be read, as a table in Markdown."""
    lines = ["| corpus | adapter | labels | licence | where to get it | layout compared with |", "|---|---|---|---|---|---|"]
    for name in list_adapters():
        adapter = adapter_class(name)
        labels = ", ".join(f"{target.name} ({target.task})" for target in adapter.targets)
        compared = adapter.verified or "nothing"
        compared += f"; not: {adapter.unverified}" if adapter.unverified else ""
        cells = (adapter.title, f"`{name}`", labels, adapter.licence, adapter.where, compared)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
