"""The leaderboard: who is moving, and who is not."""
