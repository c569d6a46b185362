"""Deliveries: the vendors' requests and their outcomes."""
