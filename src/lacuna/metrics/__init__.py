"""Metrics as pure functions of additive counts, used by training and evaluation alike."""
