"""`repboard dashboard`: start the dashboard."""

import os
import sys


def dashboard() -> None:
    """Serve the dashboard until stopped."""
    # In its own process, as the receiver imports nothing of the dashboard.
    os.execv(sys.executable, [sys.executable, "-m", "dashboard"])  # noqa: S606 (no shell)
