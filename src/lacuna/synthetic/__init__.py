"""Generated corpora whose best possible answers are known exactly."""
