"""Coaching: whose latest graded score is low, and what was done about it."""
