"""Preferences of the company: how it scores."""
