"""Kedro pipelines: thin, typed nodes over the library."""
