"""The features pipeline."""

from lacuna.pipelines.features.pipeline import create_pipeline

__all__ = ["create_pipeline"]
