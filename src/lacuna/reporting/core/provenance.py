"""Provenance of a run: command, commit, versions and settings."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lacuna.reporting.robustness.facts import RunFacts
from lacuna.training.trained import TrainedRecognizer

SHOWN = ("lacuna", "torch", "numpy", "pandas", "pyarrow", "kedro", "plotly")


def run_facts(
    recognizers: Sequence[TrainedRecognizer],
    corpus_facts: Mapping[str, Any],
    parameters: Mapping[str, Any],
    *,
    level: float,
    resamples: int,
    command: str | None = None,
) -> RunFacts:
    """Return the facts of a run from its recognisers; parameters may have changed since training.

    Args:
        recognizers: trained recognisers of all models and seeds.
        corpus_facts: output of the ingest pipeline.
        parameters: all settings; file paths are left out of their digest.
        level: confidence level of the intervals.
        resamples: number of bootstrap resamples.
        command: command that reproduces the run; default: the command line of this process.
    """
    target, selections = recognizers[0].schema.target, [r.selection for r in recognizers]
    settings = json.dumps(_without_paths(parameters), sort_keys=True, default=str)
    return RunFacts(
        corpus=corpus_facts["name"],
        command=command or command_line(),
        created=now(),
        target=target.name,
        classes=target.classes,
        git=git("rev-parse", "HEAD"),
        dirty=bool(git("status", "--porcelain", "--untracked-files=no")),
        versions={**versions(), **selections[0].versions},
        cores=os.cpu_count(),
        threads=selections[0].threads,
        device=", ".join(dict.fromkeys(s.device for s in selections)),
        seeds=tuple(sorted({r.seed for r in recognizers})),
        config_digest=hashlib.sha256(settings.encode()).hexdigest()[:12],
        level=level,
        resamples=resamples,
        splits=corpus_facts["utterances"],
        dialogues=corpus_facts.get("dialogues", {}),
        class_counts=corpus_facts.get("class_counts", {}).get(target.name, {}),
        absences=corpus_facts["absences"],
        cautions=tuple(corpus_facts.get("cautions", ())),
        source=corpus_facts["source"],
        files=corpus_facts["files"],
        notes=tuple(corpus_facts["notes"]),
        licence=corpus_facts["licence"],
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers and pages depend on."""
    found = {"python": platform.python_version()}
    for name in SHOWN:
        with suppress(PackageNotFoundError):  # of an extra that is not installed
            found[name] = version(name)
    return found


def now() -> str:
    """Return the current time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def command_line() -> str:
    """Return the command line of this process without the path of the program."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def git(*arguments: str) -> str | None:
    """Return the output of a git command, or ``None`` outside a repository or without git."""
    try:
        completed = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return completed.stdout.strip()


def _without_paths(value: Any) -> Any:
    """Return parameters without file paths, which differ between machines and change no result."""
    if isinstance(value, BaseModel):  # Kedro passes validated parameters as models
        return _without_paths(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {k: _without_paths(v) for k, v in value.items() if k not in ("path", "checkpoints")}
    return value
