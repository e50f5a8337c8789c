"""The pipelines of the project: ``kedro run`` runs those of ``MAIN``; ``--pipelines`` runs others, such as ``ood``."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

MAIN = ("features", "ingest", "preprocess", "mask", "train", "recover", "evaluate", "report")


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name; ``__default__`` is the main job."""
    pipelines: dict[str, Pipeline] = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum((pipelines[name] for name in MAIN if name in pipelines), Pipeline([]))
    return pipelines
