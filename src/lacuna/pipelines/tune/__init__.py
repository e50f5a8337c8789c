"""The tune pipeline."""

from lacuna.pipelines.tune.pipeline import create_pipeline

__all__ = ["create_pipeline"]
