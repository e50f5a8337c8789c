"""The clips of a public corpus as downloaded, see :mod:`lacuna.corpus.adapters`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lacuna.corpus.adapters import adapter_of, read_folder
from lacuna.corpus.importers.table import TableOptions
from lacuna.errors import ConfigError, DataError, suggestion
from lacuna.media.clips import Clip, Clips


def is_public(path: Path) -> bool:
    """Return whether a folder is a public corpus of recordings or transcripts."""
    adapter = adapter_of(path)
    return adapter is not None and not adapter.signals


def clips_of_public(path: Path, options: TableOptions | None = None) -> Clips:
    """Return the clips of a public corpus; without any recording, its transcripts.

    Args:
        path: of a folder for which :func:`is_public` holds.
        options: ``targets`` chooses among the targets of the corpus.

    Raises:
        ConfigError: a target is unknown.
        DataError: a label file is malformed, or there is neither a recording nor a transcript.
    """
    annotations = read_folder(path)
    adapter, notes = annotations.adapter, list(annotations.notes)
    rows = [row for row in annotations.rows if row.file is not None or row.text is not None]
    if not rows:
        raise DataError(
            f"{adapter.title}: there is neither a recording nor a transcript",
            corpus=annotations.folder.name,
            expected=adapter.layout,
            hint=f"get the recordings: {adapter.where}",
        )
    if left_out := len(annotations.rows) - len(rows):
        notes.append(f"{left_out} of {len(annotations.rows)} utterances are left out: neither a recording nor a transcript")
    kept, known = replace(annotations, rows=rows), {target.name: target for target in annotations.targets}
    chosen = (options.targets if options else None) or tuple(known)
    if unknown := next((name for name in chosen if name not in known), None):
        raise ConfigError(
            f"{adapter.title} has no target {unknown!r}{suggestion(unknown, known)}; known: {', '.join(known)}\n"
            "  do: correct the name in targets"
        )
    labels = kept.labels()
    return Clips(
        [Clip(row.id, row.file, row.start, row.end, row.text) for row in rows],
        dialogues=[row.dialogue for row in rows],
        turns=[row.turn for row in rows],
        speakers=[row.speaker for row in rows],
        splits=[row.split for row in rows],
        targets=[known[name] for name in chosen],
        labels={name: labels[name] for name in chosen},
        tables=annotations.files,
        licence=adapter.licence,
        notes=[f"{adapter.title}, read by adapter '{adapter.name}'", *notes],
    )
