"""Bring results before people."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from lacuna.evaluation import CEILINGS, primary, summarise_recovery
from lacuna.pipelines.checks import check_recovery, check_same_corpus, check_scores
from lacuna.pipelines.parameters import Evaluate
from lacuna.reporting import ModelFacts, Report, RunFacts, curves, subsets
from lacuna.training import TrainedRecognizer

SHOWN = ("lacuna", "torch", "numpy", "pandas", "pyarrow", "kedro", "plotly")


def compose_report(
    *,
    summary: pd.DataFrame,
    areas: pd.DataFrame,
    comparisons: pd.DataFrame,
    confusion: pd.DataFrame,
    scores: pd.DataFrame,
    history: pd.DataFrame,
    recovery: pd.DataFrame,
    points: pd.DataFrame,
    recognizers: list[TrainedRecognizer],
    corpus_facts: dict[str, Any],
    evaluate: Evaluate,
    parameters: dict[str, Any],
) -> Report:
    """All tables of a run with the facts that a reader needs to trust or repeat it."""
    check_same_corpus(recognizers, corpus_facts["digest"], corpus_facts["name"])
    check_scores(scores, recognizers, corpus_facts)
    check_recovery(recovery, points, recognizers)
    by_label: dict[str, list[TrainedRecognizer]] = {}
    for trained in recognizers:
        by_label.setdefault(trained.label, []).append(trained)
    constant = [label for label, own in by_label.items() if own[0].name == "prior"]
    target = recognizers[0].schema.target
    return Report(
        facts=run_facts(recognizers, corpus_facts, evaluate, parameters),
        summary=summary,
        primary=primary(target),
        areas=areas,
        comparisons=comparisons,
        confusion=confusion,
        history=history,
        scores=scores,
        recovery=summarise_recovery(recovery, evaluate.level),
        points=points,
        models={label: ModelFacts.of(own) for label, own in by_label.items()},
        references=tuple(name for name in (*constant, *CEILINGS) if (summary["model"] == name).any()),
    )


def draw_figures(summary: pd.DataFrame) -> tuple[go.Figure, go.Figure]:
    """The two main figures by themselves, for Kedro-Viz: metric against rate, and the subsets of modalities."""
    return curves(summary), subsets(summary)


def run_facts(
    recognizers: list[TrainedRecognizer], corpus_facts: dict[str, Any], evaluate: Evaluate, parameters: dict[str, Any]
) -> RunFacts:
    """What was run, as the recognisers and tables tell it; the parameters may have changed since."""
    target, chosen = recognizers[0].schema.target, [r.selection for r in recognizers]
    settings = json.dumps(_placeless(parameters), sort_keys=True, default=str)
    return RunFacts(
        corpus=corpus_facts["name"],
        command=_command(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        target=target.name,
        classes=target.classes,
        git=_git("rev-parse", "HEAD"),
        dirty=bool(_git("status", "--porcelain", "--untracked-files=no")),
        versions={"python": platform.python_version(), **{n: version(n) for n in SHOWN}, **chosen[0].versions},
        cores=os.cpu_count(),
        threads=chosen[0].threads,
        device=", ".join(dict.fromkeys(s.device for s in chosen)),
        seeds=tuple(sorted({r.seed for r in recognizers})),
        config_digest=hashlib.sha256(settings.encode()).hexdigest()[:12],
        level=evaluate.level,
        resamples=evaluate.replicates,
        splits=corpus_facts["utterances"],
        absences=corpus_facts["absences"],
        source=corpus_facts["source"],
        files=corpus_facts["files"],
        notes=tuple(corpus_facts["notes"]),
        licence=corpus_facts["licence"],
    )


def _placeless(value: Any) -> Any:
    """Parameters without the places of files, which differ from machine to machine and change no result."""
    if isinstance(value, dict):
        return {k: _placeless(v) for k, v in value.items() if k not in ("path", "checkpoints")}
    return value


def _command() -> str:
    """What was typed, without the path of the program."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _git(*arguments: str) -> str | None:
    """What git says of the project's repository; ``None`` outside one or without git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
