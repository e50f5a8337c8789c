"""The recover pipeline."""

from lacuna.pipelines.recover.pipeline import create_pipeline

__all__ = ["create_pipeline"]
