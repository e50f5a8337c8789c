"""Blocks that two or more recognisers share."""
