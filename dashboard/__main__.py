"""Start the dashboard: `python -m dashboard`.

Checks the settings first, so that a wrong one stops the start with one line, and hands
Streamlit an environment without vendor secrets, whatever the process was started with.
"""

import os
import sys
from pathlib import Path

from shared.settings import ReceiverSettings, Settings, SettingsError

APP = Path(__file__).parent / "app.py"


def main() -> None:
    """Replace this process with Streamlit."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    receivers_own = ReceiverSettings.model_fields.keys() - Settings.model_fields.keys()
    for name in receivers_own:
        os.environ.pop(name.upper(), None)
    command = [sys.executable, "-m", "streamlit", "run", str(APP)]
    command += ["--server.address", settings.dashboard_host]
    command += ["--server.port", str(settings.dashboard_port)]
    # Started in another folder, Streamlit does not find .streamlit/config.toml.
    command += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command += ["--client.showErrorDetails", "none", "--client.disableDataExport", "true"]
    os.execv(sys.executable, command)  # noqa: S606 (our own command, no shell)


if __name__ == "__main__":
    main()
