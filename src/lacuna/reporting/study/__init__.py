"""The report on a tuning study."""
