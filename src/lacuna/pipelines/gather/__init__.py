"""The gather pipeline."""

from lacuna.pipelines.gather.pipeline import create_pipeline

__all__ = ["create_pipeline"]
