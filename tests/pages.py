"""The dashboard's pages by their names, and what one of them says."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

DASHBOARD = Path(__file__).parents[1] / "dashboard"
PAGES = sorted(path.parent.name for path in DASHBOARD.glob("*/page.py"))


def go_to(page: AppTest, name: str) -> None:
    """Have the next run show this page. AppTest's own `switch_page` looks at the name of the file
    until a first run has shown it the addresses, and the first run of a test is the page."""
    page._page_hash = calc_hash(name)


def written(page: AppTest) -> str:
    """All text that is rendered as Markdown."""
    parts = [*page.markdown, *page.caption, *page.header, *page.subheader, *page.title]
    parts += [*page.success, *page.warning, *page.info, *page.error]
    return "\n".join([one.value for one in parts] + [one.label for one in page.get("page_link")])


def rows(page: AppTest, column: str) -> list[dict[str, object]]:
    """The rows of the table that has this column."""
    for table in page.dataframe:
        if column in table.value:
            return list(table.value.to_dict("records"))
    return []
