"""The page of certifications, as a browser is sent it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from dashboard.base.pieces import plain
from dashboard.certifications import marks
from shared.certificates import Expiry, mark_renewed
from shared.facts import Completed, Expired, Provisioned
from shared.models import AuditLog
from tests import stores
from tests.dashboard.conftest import Open, Send
from tests.hostile import HOSTILE
from tests.pages import rows, written
from tests.shared.tables import V, fold, people

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def certified(store: Engine, send: Send) -> None:
    """Ann of west is overdue, Bob of east due soon, Cy of no team has no deadline."""
    send("user.provisioned", {"userId": "cy", "email": "cy@x.com"})
    people(store, ("ann", "west"), ("bob", "east"), ("-gone", "east"))
    fold(
        store,
        [
            Expired(V, "ann", "Expert", NOW - 9 * DAY, NOW - 3 * DAY),
            Expired(V, "bob", "Expert", NOW - 9 * DAY, NOW + 5 * DAY),
            Expired(V, "cy", "Basics", NOW - 9 * DAY, None),
            Expired(V, "gone", "Expert", NOW - 9 * DAY, NOW - 4 * DAY),
            Completed(V, "1", "ann", "c-1", "Basics", 80, NOW - DAY / 4, "https://x.example/1"),
            Completed(V, "2", "bob", "c-1", "Basics", None, NOW - 60 * DAY),
        ],
    )


@pytest.mark.usefixtures("certified")
def test_the_most_urgent_certificates_come_first_with_what_is_left(open_page: Open) -> None:
    page = open_page("certifications")
    assert page.title[0].value == "1 certificate is overdue, 1 is due within 30 days"
    assert f"**{plain('ann@x.com')}** comes first: Expert, overdue by 3 days." in written(page)
    assert "3 expired certificates in all, held by 3 people." in written(page)
    assert [(row["learner"], row["stands"]) for row in rows(page, "stands")] == [
        ("ann@x.com", "⚠ Overdue by 3 days"),
        ("bob@x.com", "◔ Due in 5 days"),
        ("cy@x.com", "○ No deadline known"),
    ]
    teams = [(row["team_id"], row["overdue"], row["due_soon"]) for row in rows(page, "overdue")]
    assert teams[:2] == [("west", 1, 0), ("east", 0, 1)]


@pytest.mark.usefixtures("certified")
def test_how_late_a_renewal_is_stands_beside_the_name_where_a_phone_shows_it(
    open_page: Open,
) -> None:
    table = open_page("certifications").dataframe[0]
    assert list(table.value.columns)[:4] == ["open", "learner", "stands", "cert_name"]


@pytest.mark.usefixtures("certified")
def test_renewed_certificates_are_listed_apart_with_who_or_what_renewed_them(
    open_page: Open, store: Engine
) -> None:
    fold(
        store,
        [
            Completed(V, "3", "bob", "c-2", "EXPERT", None, NOW - DAY),
            Expired(V, "cy", "Expert", NOW + 5.5 * DAY, None, NOW + 5.5 * DAY),
        ],
    )
    with store.begin() as connection:
        mark_renewed(connection, "lea", Expiry(V, "ann", "Expert", NOW - 9 * DAY))
    page = open_page("certifications")
    said = written(page)
    assert page.title[0].value == "1 certificate expires within 30 days"
    assert "1 expired certificate in all, held by 1 person. Renewed, and not counted: 2." in said
    assert "does not report renewals" in said
    listed, renewed = (table.value for table in page.dataframe if "stands" in table.value)
    assert sorted(listed["learner"]) == ["cy@x.com", "cy@x.com"]
    day = f"{NOW - DAY:%-d %b %Y}"
    assert sorted(zip(renewed["learner"], renewed["stands"], renewed["mark"], strict=True)) == [
        ("ann@x.com", f"✓ Marked by lea, {NOW:%-d %b %Y}", "Undo"),
        ("bob@x.com", f"✓ Course completed, {day}", ""),
    ]


@pytest.mark.usefixtures("certified")
def test_a_mark_is_set_and_undone_in_a_dialog_that_names_the_certificate(
    open_page: Open, store: Engine
) -> None:
    page = open_page("certifications")
    page.session_state[marks.ASKED] = page.session_state[marks.LISTED]["Mark renewed"][0]
    page.run()
    assert plain("Expert, ann@x.com") in written(page)
    next(one for one in page.button if one.label == "Mark as renewed").click().run()
    assert page.title[0].value == "1 certificate is due within 30 days"
    page.session_state[marks.ASKED] = page.session_state[marks.LISTED]["Undo"][0]
    page.run()
    next(one for one in page.button if one.label == "Undo").click().run()
    assert page.title[0].value == "1 certificate is overdue, 1 is due within 30 days"
    assert [one.action for one in stores.rows(store, AuditLog)] == ["mark renewed", "undo renewal"]


@pytest.mark.usefixtures("certified")
def test_the_mark_of_an_announced_expiry_is_not_said_to_be_of_an_expired_one(
    open_page: Open, store: Engine
) -> None:
    at = NOW + 5.5 * DAY
    fold(store, [Expired(V, "cy", "Expert", at, None, at)])
    with store.begin() as connection:
        mark_renewed(connection, "lea", Expiry(V, "cy", "Expert", at))
    page = open_page("certifications")
    page.session_state[marks.ASKED] = page.session_state[marks.LISTED]["Undo"][0]
    page.run()
    assert "counts as about to expire again" in written(page)


@pytest.mark.usefixtures("certified")
def test_team_and_leavers_are_filters_in_the_address(open_page: Open) -> None:
    page = open_page("certifications", team="east", leavers="true")
    assert [row["learner"] for row in rows(page, "stands")] == ["gone@x.com", "bob@x.com"]


@pytest.mark.usefixtures("certified")
def test_completions_of_the_window_are_listed_and_counted_by_course(open_page: Open) -> None:
    page = open_page("certifications", view="courses")
    (completion,) = rows(page, "completed_at")
    assert (completion["learner"], completion["course"], completion["score"]) == (
        "ann@x.com",
        "Basics",
        80,
    )
    assert completion["report_url"] == "https://x.example/1"
    page = open_page("certifications", view="courses", window="all")
    (course,) = rows(page, "completions")
    assert (course["course_name"], course["completions"], course["average"]) == ("Basics", 2, 80)


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("view", "said"),
    [("certificates", "certification.expired"), ("courses", "No course completed")],
)
def test_where_there_is_nothing_the_page_says_why(open_page: Open, view: str, said: str) -> None:
    page = open_page("certifications", view=view)
    assert said in page.info[0].value
    assert not page.dataframe


@pytest.mark.usefixtures("company")
def test_hostile_text_stays_in_cells(open_page: Open, store: Engine) -> None:
    fold(
        store,
        [
            Provisioned(V, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, NOW - DAY),
            Expired(V, HOSTILE, HOSTILE, NOW - DAY, NOW),
            Completed(V, "c", HOSTILE, HOSTILE, HOSTILE, 1, NOW - DAY / 4, "javascript:alert(1)"),
        ],
    )
    (row,) = rows(open_page("certifications", view="certificates"), "stands")
    assert row["cert_name"] == HOSTILE
    page = open_page("certifications", view="courses")
    (row,) = rows(page, "completed_at")
    assert "report_url" not in row
    assert not re.search(r"(?<!\\)(<img|\*\*bold|\[link)", written(page))
    assert not any(HOSTILE in one.body for one in page.html)
