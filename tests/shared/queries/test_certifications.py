"""Certificates and courses, over small tables worked out by hand."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine

from shared.facts import Completed, Expired
from shared.queries import certifications
from shared.queries.people import Who
from shared.queries.windows import Window
from tests.shared.tables import NOON, V, fold, people

DAY = timedelta(days=1)
EVERYBODY = Who()


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


@pytest.fixture
def expiries(store: Engine) -> None:
    people(store, ("a", "west"), ("b", "west"), ("c", "east"), ("-gone", "east"))
    fold(
        store,
        [
            Expired(V, "a", "late", NOON - 9 * DAY, NOON - DAY),
            Expired(V, "a", "soon", NOON - 9 * DAY, NOON + 29 * DAY),
            Expired(V, "b", "far", NOON - 9 * DAY, NOON + 31 * DAY),
            Expired(V, "c", "none", NOON - 9 * DAY, None),
            Expired(V, "gone", "late", NOON - 9 * DAY, NOON - DAY),
        ],
    )


@pytest.mark.usefixtures("expiries")
def test_a_certificate_is_overdue_due_soon_or_expired_the_most_urgent_first(
    connection: Connection,
) -> None:
    rows = certifications.certificates(connection, EVERYBODY, NOON)
    assert [(row.cert_name, row.state) for row in rows] == [
        ("late", "overdue"),
        ("soon", "due soon"),
        ("far", "expired"),
        ("none", "expired"),
    ]


@pytest.mark.usefixtures("expiries")
def test_a_cut_off_list_of_certificates_says_how_many_there_are(connection: Connection) -> None:
    (row,) = certifications.certificates(connection, EVERYBODY, NOON, limit=1)
    assert (row.cert_name, row.of) == ("late", 4)


@pytest.mark.usefixtures("expiries")
def test_certificates_are_counted_by_team(connection: Connection) -> None:
    found = [
        (row.team_id, row.overdue, row.due_soon, row.expired, row.people)
        for row in certifications.by_team(connection, EVERYBODY, NOON)
    ]
    assert found == [("west", 1, 1, 3, 2), ("east", 0, 0, 1, 1)]


@pytest.mark.usefixtures("expiries")
def test_certificates_are_counted_over_all_teams(connection: Connection) -> None:
    counts = certifications.totals(connection, EVERYBODY, NOON)
    assert (counts.overdue, counts.due_soon, counts.expired, counts.people) == (1, 1, 4, 3)


def test_without_certificates_all_counts_are_nought(connection: Connection) -> None:
    assert set(certifications.totals(connection, EVERYBODY, NOON)) == {0}


@pytest.mark.usefixtures("expiries")
def test_certificates_can_be_limited_to_teams(connection: Connection) -> None:
    rows = certifications.certificates(connection, Who(teams=("east",)), NOON)
    assert [row.cert_name for row in rows] == ["none"]


@pytest.fixture
def completions(store: Engine) -> None:
    people(store, ("a", "west"), ("b", "east"))
    fold(
        store,
        [
            Completed(V, "1", "a", "c-1", "Basics", 80, NOON - 9 * DAY),
            Completed(V, "2", "a", "c-1", "Basics", 90, NOON),
            Completed(V, "3", "b", "c-1", "Basics", None, NOON - DAY),
            Completed(V, "4", "b", "c-2", None, None, NOON - DAY),
        ],
    )


@pytest.mark.usefixtures("completions")
def test_completions_of_a_window_come_the_latest_first(connection: Connection) -> None:
    rows = certifications.completions(connection, EVERYBODY, Window(NOON - DAY))
    assert [(row.key, row.course_id, row.score) for row in rows] == [
        (f"{V}/a", "c-1", 90),
        (f"{V}/b", "c-1", None),
        (f"{V}/b", "c-2", None),
    ]


@pytest.mark.usefixtures("completions")
def test_a_course_tells_how_often_and_by_how_many_it_was_completed_and_the_average_score(
    connection: Connection,
) -> None:
    found = [tuple(row)[1:] for row in certifications.courses(connection, EVERYBODY, Window())]
    assert found == [("c-1", "Basics", 3, 2, 85), ("c-2", "c-2", 1, 1, None)]
