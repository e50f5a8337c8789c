"""The project's pipelines. ``kedro run`` is the whole way from a corpus to a report; ``predict`` is for later data."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

MAIN = ("ingest", "preprocess", "train", "evaluate", "report")


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name; ``__default__`` is the main job."""
    pipelines: dict[str, Pipeline] = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum((pipelines[name] for name in MAIN if name in pipelines), Pipeline([]))
    return pipelines
