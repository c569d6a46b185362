"""How often a page works its board out."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event

from tests.dashboard.conftest import Open, Send
from tests.playing import progress


@pytest.fixture
def boards() -> Iterator[list[str]]:
    """The statements that read what boards are made of. The follower, too, reads standings, but of
    accounts."""
    asked: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT learner.person") and "standing_block" in statement:
            asked.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    yield asked
    event.remove(Engine, "before_cursor_execute", listen)


def test_a_page_works_its_board_out_once(open_page: Open, send: Send, boards: list[str]) -> None:
    with send.at_once():
        for number in range(3):
            send("module.progress", progress(f"u-{number}", progressPct=10 * (number + 1)))
    assert open_page().dataframe
    assert len(boards) == 1


def test_another_viewer_gets_the_board_that_is_there(
    open_page: Open, send: Send, boards: list[str]
) -> None:
    send("module.progress", progress("u-1"))
    open_page()
    open_page(metric="completed")
    assert len(boards) == 1
