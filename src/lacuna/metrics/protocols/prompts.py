"""Prompt files: what to ask a large language model about a corpus, one file for each set of modalities that it is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from lacuna.atomic import write_text
from lacuna.corpus.corpus import Corpus
from lacuna.errors import ConfigError, suggestion

SHOWABLE = ("text", "audio", "vision")
INSTRUCTION = "Which emotion does the speaker express? Answer with one word of this list: {classes}."
_SHOWN = {
    frozenset({"audio"}): "You hear the recording, without its picture.",
    frozenset({"vision"}): "You see the recording, without its sound.",
    frozenset({"audio", "vision"}): "You see and hear the recording.",
}


def modality_subsets(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all non-empty sets of modalities, the small ones first.

    Example:
        >>> modality_subsets(["text", "audio"])
        [('text',), ('audio',), ('text', 'audio')]
    """
    return list(chain.from_iterable(combinations(modalities, size) for size in range(1, len(modalities) + 1)))


def prompts_of(
    corpus: Corpus,
    subsets: Sequence[Sequence[str]] | None = None,
    *,
    target: str | None = None,
    media: str = "{id}",
    instruction: str = INSTRUCTION,
) -> dict[str, list[dict[str, Any]]]:
    """Return what to ask about each labelled utterance, by set of modalities (``text+audio``).

    An utterance that lacks a modality of a set is asked with the rest of it, in the file of that smaller set, so that the answers
    fit the masks of a sweep; see :func:`lacuna.evaluation.sweep_answers`.

    Args:
        corpus: usually a view on the test split.
        subsets: sets of modalities to show; by default all sets.
        target: whose classes are allowed; by default the first.
        media: path of the recording of an utterance, with ``{id}`` and ``{dialogue}``.
        instruction: with ``{classes}``.

    Returns:
        Rows with ``id``, ``modalities``, ``transcript`` (if text is shown), ``media`` and ``use`` (``sound``, ``picture`` or
        ``sound and picture``; if audio or vision is shown), ``allowed`` (classes) and ``instruction``.

    Raises:
        ConfigError: a modality is unknown or cannot be shown, there are no transcripts, or the target has no classes.
    """
    chosen, names = corpus.target(target), [m.name for m in corpus.modalities]
    if chosen.task == "regression":
        raise ConfigError(f"target '{chosen.name}' is a value and has no classes to choose from; name a target with classes")
    wanted = [tuple(subset) for subset in subsets] if subsets is not None else modality_subsets(names)
    transcripts = corpus.transcripts
    for name in dict.fromkeys(name for subset in wanted for name in subset):
        if name not in names:
            raise ConfigError(
                f"corpus '{corpus.name}' has no modality {name!r}{suggestion(name, names)}; it has: {', '.join(names)}"
            )
        if name not in SHOWABLE:
            raise ConfigError(f"modality '{name}' cannot be shown to a language model; name sets of {', '.join(SHOWABLE)}")
        if name == "text" and not any(transcripts):
            raise ConfigError(f"corpus '{corpus.name}' has no transcripts to show; name sets without text")
    u = corpus.utterances
    ids, dialogues, labelled = corpus.ids, u.dialogue_names.to_pylist(), corpus.labelled(chosen.name)
    observed = {name: corpus.frames[name].any_observed for name in names}
    prompts: dict[str, dict[str, dict[str, Any]]] = {"+".join(subset): {} for subset in wanted}
    for subset in wanted:
        for row, item in enumerate(ids):
            shown = [name for name in names if name in subset and observed[name][row]]
            if not (labelled[row] and shown):
                continue
            prompt: dict[str, Any] = {"id": item, "modalities": "+".join(shown)}
            if "text" in shown:
                prompt["transcript"] = transcripts[row] or ""
            recorded = frozenset(shown) - {"text"}
            if recorded:
                prompt["media"] = media.format(id=item, dialogue=dialogues[u.dialogue[row]])
                prompt["use"] = " and ".join(w for m, w in (("audio", "sound"), ("vision", "picture")) if m in recorded)
            parts = [_SHOWN[recorded]] if recorded else []
            parts += ["You read what is said."] if "text" in shown else []
            prompt["allowed"] = list(chosen.classes)
            prompt["instruction"] = " ".join([*parts, instruction.format(classes=", ".join(chosen.classes))])
            prompts.setdefault("+".join(shown), {})[item] = prompt
    return {subset: list(rows.values()) for subset, rows in prompts.items() if rows}


def write_prompts(folder: Path, prompts: dict[str, list[dict[str, Any]]]) -> list[Path]:
    """Write one JSONL file for each set of modalities, and ``map.toml``, a map of answers to the classes to begin with.

    Args:
        folder: created if needed; gets ``<modalities>.jsonl``.
        prompts: of :func:`prompts_of`, at least one row.

    Returns:
        Paths of the JSONL files.
    """
    paths = []
    for subset, rows in prompts.items():
        write_text(path := folder / f"{subset}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        paths.append(path)
    classes = next(rows[0]["allowed"] for rows in prompts.values())
    write_text(folder / "map.toml", f"classes = {json.dumps(classes, ensure_ascii=False)}\n")
    return paths
