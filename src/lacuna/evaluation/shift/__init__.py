"""Scores on several tests at once: the IID test, shifted and corrupted ones, other corpora."""
