"""Lacuna: multimodal emotion recognition that says what was missing."""

__version__ = "0.1.0"
