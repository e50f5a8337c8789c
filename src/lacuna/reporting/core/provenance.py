"""Where numbers come from: command, commit, versions and settings, gathered once for every page that tells of them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
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
    """What was run, as the recognisers and tables tell it; the parameters may have changed since.

    Args:
        recognizers: of all models and seeds.
        corpus_facts: what the ingest pipeline tells of the corpus.
        parameters: all settings; places of files are left out of their digest.
        level: of the intervals.
        resamples: of the bootstrap.
        command: what a reader types to get the same; by default what was typed.
    """
    target, chosen = recognizers[0].schema.target, [r.selection for r in recognizers]
    settings = json.dumps(_placeless(parameters), sort_keys=True, default=str)
    return RunFacts(
        corpus=corpus_facts["name"],
        command=command or typed(),
        created=now(),
        target=target.name,
        classes=target.classes,
        git=git("rev-parse", "HEAD"),
        dirty=bool(git("status", "--porcelain", "--untracked-files=no")),
        versions={**versions(), **chosen[0].versions},
        cores=os.cpu_count(),
        threads=chosen[0].threads,
        device=", ".join(dict.fromkeys(s.device for s in chosen)),
        seeds=tuple(sorted({r.seed for r in recognizers})),
        config_digest=hashlib.sha256(settings.encode()).hexdigest()[:12],
        level=level,
        resamples=resamples,
        splits=corpus_facts["utterances"],
        absences=corpus_facts["absences"],
        source=corpus_facts["source"],
        files=corpus_facts["files"],
        notes=tuple(corpus_facts["notes"]),
        licence=corpus_facts["licence"],
    )


def versions() -> dict[str, str]:
    """Of Python and of the packages that numbers and pages depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in SHOWN}}


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def typed() -> str:
    """What was typed, without the path of the program."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def git(*arguments: str) -> str | None:
    """What git says of the project's repository; ``None`` outside one or without git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _placeless(value: Any) -> Any:
    """Parameters without the places of files, which differ from machine to machine and change no result."""
    if isinstance(value, BaseModel):  # as Kedro hands on what it validated
        return _placeless(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {k: _placeless(v) for k, v in value.items() if k not in ("path", "checkpoints")}
    return value
