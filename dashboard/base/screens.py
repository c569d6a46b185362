"""The token by which a wall display is known."""

import re
import secrets

SCREEN = "repboard_screen"
"""The cookie that holds it. No script reads it, and it is in no address."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)
