"""One file for each command that needs more than a few lines."""
