"""What a browser says of itself, and what stands in an address: anything at all."""

import pytest

from dashboard.access import PAGES
from dashboard.deep_link import PARAMETERS
from tests.dashboard.conftest import Open, Send

ZONES = [
    "Etc/Unknown", "America", "US/Pacific-New", "+02:00", "GMT+2", "UTC+02:00", "../x",
    "/etc/localtime", "undefined", "", "x" * 10_000, "a\0b", "localtime", "Factory",
    "europe/berlin", "posix/UTC", "dateutil/UTC", "tzlocal()", "**b**", "\u202e",
]  # fmt: skip
UNKNOWN = "Your browser's time zone is unknown: times are in UTC"


def fill(send: Send) -> None:
    """Something on every page that has a time."""
    with send.at_once():
        send("quiz.submitted", {"userId": "u-1", "quizId": "q-1", "score": 3, "maxScore": 10})
        send("course.completed", {"userId": "u-1", "courseId": "c-1", "courseName": "Onboarding"})
        send("certification.expired", {"userId": "u-1", "certName": "Demo"})
        send("quiz.submitted", {"userId": "u-1"}, secret="wrong")


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"wall"}))  # it has a clock and no foot
def test_a_page_is_shown_in_utc_where_the_browsers_time_zone_is_unknown(
    open_page: Open, send: Send, page: str
) -> None:
    fill(send)
    shown = open_page(page, **({"id": "mindtickle/u-1"} if page == "learner" else {}))
    # What a page makes of an unknown zone is one function's work, tried in full on one page.
    for zone in ZONES if page == "audit" else ("Etc/Unknown", "+02:00"):
        shown.context = {"timezone": zone}
        shown.run()
        assert not shown.exception, zone
        assert not shown.error, zone
        assert any(UNKNOWN in line.value for line in shown.caption), zone


@pytest.mark.usefixtures("company")
def test_a_time_zone_that_is_known_is_named(open_page: Open) -> None:
    shown = open_page()
    shown.context = {"timezone": "Asia/Tokyo"}
    shown.run()
    said = [line.value for line in shown.caption]
    assert any("times in Asia/Tokyo" in line for line in said)
    assert not any(UNKNOWN in line for line in said)


ODD = ["", "\0", "x" * 2_000, "-1", "1e999", "nan", "9" * 400, "null", "mindtickle/\0", "//", "٣",
       "2026-99-99", "2026-01-01,0001-01-01", "\u202e", "%", "_"]  # fmt: skip


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("page", PAGES)
def test_no_value_in_an_address_ends_a_page(open_page: Open, send: Send, page: str) -> None:
    fill(send)
    for value in ODD:
        shown = open_page(page, **dict.fromkeys(PARAMETERS, value))
        assert not shown.exception, value
