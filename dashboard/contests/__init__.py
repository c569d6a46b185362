"""Contests: boards with a start, an end and a result that stays."""
