"""Start the dashboard: `python -m dashboard`.

Checks the settings first, so that a wrong one stops the start with one line. It serves from a
process whose environment never held a vendor secret, whatever the start was given.
"""

import os
import sys

from shared.settings import ReceiverSettings, Settings, SettingsError


def main() -> None:
    """Serve until stopped."""
    _forget_vendor_secrets()
    from dashboard.server import serve  # noqa: PLC0415 (Streamlit is slow to import)
    from dashboard.settings import DashboardSettings  # noqa: PLC0415

    try:
        settings = DashboardSettings.load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    for weakness in settings.weaknesses():
        sys.stderr.write(f"{weakness}\n")
    serve(settings)


def _forget_vendor_secrets() -> None:
    """Start anew without them: they stay in what the system shows of this process's start."""
    receivers_own = ReceiverSettings.model_fields.keys() - Settings.model_fields.keys()
    kept = {name: value for name, value in os.environ.items() if name.lower() not in receivers_own}
    if kept.keys() != os.environ.keys():
        command = [sys.executable, "-m", "dashboard"]
        os.execve(sys.executable, command, kept)  # noqa: S606 (our own command, no shell)


if __name__ == "__main__":
    main()
