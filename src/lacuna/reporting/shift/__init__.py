"""The report on shifted tests."""
