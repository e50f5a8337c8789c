"""The evaluate pipeline."""

from lacuna.pipelines.evaluate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
