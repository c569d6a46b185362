"""Start the dashboard: `python -m dashboard`.

Checks settings and store first, so that what is wrong stops the start with one line. It serves
from a process whose environment never held a vendor secret, whatever the start was given.
"""

import os
import sys
from collections.abc import Collection
from typing import NoReturn

from sqlalchemy.exc import SQLAlchemyError

from shared.database import open_engine, require_current
from shared.queries.vendors import vendor_facts
from shared.settings import ReceiverSettings, Settings, SettingsError, misspelt, variables
from shared.store_errors import in_words
from shared.vendors import variable_prefix

CHECK_SEC = 10


def main() -> None:
    """Serve until stopped."""
    from dashboard.server import serve  # noqa: PLC0415 (Streamlit is slow to import)
    from dashboard.settings import DashboardSettings  # noqa: PLC0415

    try:
        settings = DashboardSettings.load()
    except SettingsError as error:
        _fail(str(error))
    _forget_secrets(_check_store(settings.database_url))
    for weakness in (*settings.weaknesses(), *misspelt(variables())):
        sys.stderr.write(f"{weakness}\n")
    serve(settings)


def _check_store(url: str) -> Collection[str]:
    """The slugs of the vendors that the store knows."""
    engine = open_engine(url, answer_sec=CHECK_SEC)
    try:
        require_current(engine)
        with engine.connect() as connection:
            return vendor_facts(connection).keys()
    except SQLAlchemyError as error:
        _fail(in_words(error, engine.url))
    finally:
        engine.dispose()


def _fail(line: str) -> NoReturn:
    sys.stderr.write(f"{line}\n")
    sys.exit(1)


def _forget_secrets(vendors: Collection[str]) -> None:
    """Start again without the receiver's settings: what a process was started with stays visible in
    the system for as long as it runs."""
    own = ReceiverSettings.model_fields.keys() - Settings.model_fields.keys()
    prefixes = tuple(map(variable_prefix, vendors))
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in own and not name.lower().startswith(prefixes)
    }
    if kept.keys() != os.environ.keys():
        command = [sys.executable, "-m", "dashboard"]
        os.execve(sys.executable, command, kept)  # noqa: S606 (our own command, no shell)


if __name__ == "__main__":
    main()
