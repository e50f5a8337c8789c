"""The ood pipeline."""

from lacuna.pipelines.ood.pipeline import create_pipeline

__all__ = ["create_pipeline"]
