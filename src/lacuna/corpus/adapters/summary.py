"""What the doctor says about a public corpus, and the page about all adapters in the documentation."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.adapters.base import Adapter, Annotations, adapter_class, list_adapters
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
    facts |= {"published size": adapter.published} if adapter.published else {}
    facts["licence"] = adapter.licence
    facts["layout compared with"] = adapter.verified or "nothing: no description is public"
    if adapter.unverified:
        facts["not compared"] = adapter.unverified
    return facts | {f"note {number}": note for number, note in enumerate(annotations.notes, 1)}


def _counted(target: Target, values: NDArray[np.float64]) -> str:
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


def adapters_markdown() -> str:
    """Return the public corpora that can be read, in Markdown: a table, and a section for each corpus."""
    adapters = [adapter_class(name)() for name in list_adapters()]
    lines = ["| corpus | adapter | language | holds | layout compared with |", "|---|---|---|---|---|"]
    for adapter in adapters:
        anchor = re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", adapter.title.lower()))
        cells = (
            f"[{adapter.title}](#{anchor})",
            f"`{adapter.name}`",
            adapter.language,
            _holds(adapter),
            adapter.verified or "nothing",
        )
        lines.append("| " + " | ".join(cells) + " |")
    for adapter in adapters:
        facts = {
            "where to ask for it": adapter.where,
            "licence": adapter.licence,
            "paper": adapter.paper,
            "files": f"`{adapter.layout}`",
            "targets": "; ".join(map(_described, adapter.targets)),
            "splits": adapter.splits,
            "published size": adapter.published,
            "compared with": adapter.verified or "nothing",
            "not compared": adapter.unverified,
        }
        lines += ["", f"## {adapter.title}", "", *(f"- {key}: {value}" for key, value in facts.items() if value)]
    return "\n".join(lines)


def _holds(adapter: Adapter) -> str:
    return "signals" if adapter.signals else "recordings" if adapter.media else "transcripts"


def _described(target: Target) -> str:
    """Return a target with its classes or its range."""
    if target.task == "regression":
        return f"`{target.name}`, {target.low:g} to {target.high:g}"
    classes = ", ".join(target.classes)
    return f"`{target.name}`, shares of votes for {classes}" if target.task == "soft" else f"`{target.name}`: {classes}"
