"""The preprocess pipeline."""

from lacuna.pipelines.preprocess.pipeline import create_pipeline

__all__ = ["create_pipeline"]
