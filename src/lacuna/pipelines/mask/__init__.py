"""The mask pipeline."""

from lacuna.pipelines.mask.pipeline import create_pipeline

__all__ = ["create_pipeline"]
