"""Deliveries: what vendors sent, and what became of it."""
