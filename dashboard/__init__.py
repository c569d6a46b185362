"""The dashboard: leaderboards, coaching, deliveries. It reads, and holds no vendor secret."""
