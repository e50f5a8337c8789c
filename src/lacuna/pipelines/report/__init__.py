"""The report pipeline."""

from lacuna.pipelines.report.pipeline import create_pipeline

__all__ = ["create_pipeline"]
