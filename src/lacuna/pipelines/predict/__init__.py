"""The predict pipeline."""

from lacuna.pipelines.predict.pipeline import create_pipeline

__all__ = ["create_pipeline"]
