"""The receiver: verifies each delivery and stores each event exactly once."""
