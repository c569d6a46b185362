"""The dashboard's pages by their names."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

DASHBOARD = Path(__file__).parents[1] / "dashboard"
PAGES = sorted(path.parent.name for path in DASHBOARD.glob("*/page.py"))


def go_to(page: AppTest, name: str) -> None:
    """Have the next run show this page. AppTest's own `switch_page` looks at the name of the file
    until a first run has shown it the addresses, and the first run of a test is the page."""
    page._page_hash = calc_hash(name)
