"""Missingness patterns: one file for one pattern or for a few that are close."""
