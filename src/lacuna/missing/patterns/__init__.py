"""Missingness patterns: one file for one pattern, or for a few that share code.

In the drawings ``#`` is a frame that is kept and ``.`` one that is removed.
"""
