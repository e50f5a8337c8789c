"""The robustness report: scores by missing rate."""
