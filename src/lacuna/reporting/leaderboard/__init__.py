"""The leaderboard over several corpora."""
