"""Certificates that have expired, and courses that were completed."""
