"""Metrics of recovered values against the true ones."""
