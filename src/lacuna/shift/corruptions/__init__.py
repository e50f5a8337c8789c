"""Corruptions, one small class each."""
