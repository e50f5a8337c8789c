"""Kedro datasets whose saves are whole or absent."""
