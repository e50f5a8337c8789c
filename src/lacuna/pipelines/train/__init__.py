"""The train pipeline."""

from lacuna.pipelines.train.pipeline import create_pipeline

__all__ = ["create_pipeline"]
