"""The read models against a slow fold in plain Python, and a few cases worked out by hand."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Connection, Engine

from receiver.readmodels.projections import READ_MODELS, project
from receiver.readmodels.rebuild import rebuild
from receiver.store import Entry, write_batch
from receiver.vendors.base import Claims, Incoming, VendorEvent
from receiver.vendors.mindtickle import EVENT_ID, TIMESTAMP, MindTickle
from shared.bulk import table_of
from shared.facts import (
    Acted,
    Attempted,
    Completed,
    Deprovisioned,
    Expired,
    Fact,
    Identified,
    Progressed,
    Provisioned,
)
from shared.models import Checkpoint, Delivery, Event, Learner, ModuleProgress
from shared.outcomes import Outcome
from tests import playing
from tests.receiver.readmodels.reference import reference
from tests.stores import follow, read_models

MONDAY = datetime(2025, 11, 17, 22, 0, tzinfo=UTC)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
V = "mindtickle"

quick = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


# Facts that often meet: few people, few moments, many ties

people = st.sampled_from(["u-1", "u-2", "ü-3"])
names = st.none() | st.sampled_from(["a", "B", "é", "🚀", "\ufffd"])
moments = st.sampled_from(
    [
        MONDAY + timedelta(minutes=minutes, microseconds=us)
        for minutes in (-28 * 24 * 60, 0, 14, 15, 120, 49 * 60)
        for us in (0, 1)
    ]
)
percents = st.sampled_from([0.0, 33.3, 33.4, 100.0])
emails = st.sampled_from([None, "a@x.com", " A@x.com", "no address"])
facts = st.one_of(
    st.builds(Provisioned, st.just(V), people, emails, names, names, names, moments),
    st.builds(Deprovisioned, st.just(V), people, emails, moments, names, st.none() | moments),
    st.builds(Identified, st.just(V), people, emails, names, moments),
    st.builds(
        Progressed, st.just(V), people, st.sampled_from(["m-1", "m-2"]), names, percents,
        st.integers(0, 3), moments,
    ),
    st.builds(
        Expired, st.just(V), people, st.just("expert"), moments, st.none() | moments,
        st.none() | moments,
    ),
)  # fmt: skip
once = st.one_of(  # an event key stands for one event, so it is made from the content
    st.builds(
        lambda user, quiz, name, score, passed, at, retake: Attempted(
            V, f"{user}{quiz}{name}{score}{passed}{at}{retake}", user, quiz, name, score, 7, passed,
            score > 0, at, retake,
        ),
        people, st.sampled_from(["q-1", "q-2"]), names, percents, st.none() | st.booleans(),
        moments, st.none() | percents,
    ),
    st.builds(
        lambda user, at: Completed(V, f"{user}{at}", user, "c-1", "Basics", None, at),
        people, moments,
    ),
    st.builds(
        lambda user, at: Acted("crm", f"{user}{at}", f"{user}@x.com", "deal.won", at),
        people, moments,
    ),
)  # fmt: skip


@st.composite
def shuffled_batches(draw: st.DrawFn, things: st.SearchStrategy[Any]) -> list[list[Any]]:
    """Each thing at least once, some repeatedly, in any order and cut anywhere."""
    distinct = draw(st.lists(things, min_size=1, max_size=30))
    again = draw(st.lists(st.sampled_from(distinct), max_size=15))
    order = draw(st.permutations([*distinct, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=5)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@quick
@given(batches=shuffled_batches(facts | once))
def test_any_order_repetition_and_batching_of_facts_gives_the_same_tables(
    store: Engine, batches: list[list[Fact]]
) -> None:
    with store.connect() as connection, connection.begin() as transaction:
        for batch in batches:
            project(connection, batch)
        assert read_models(connection) == reference(fact for batch in batches for fact in batch)
        transaction.rollback()


# The same from deliveries, through the event table

ahead = [MONDAY + timedelta(days=days) for days in (9, 90, 20_000)]  # soon, announced, absurd
stated = (moments | st.sampled_from(ahead)).map(datetime.isoformat)
bodies = st.one_of(
    st.builds(
        lambda **data: ("user.provisioned", data),
        userId=people, email=names, role=names, teamId=names,
    ),
    st.builds(
        lambda at, **data: ("user.deprovisioned", data | {"deprovisionedAt": at}),
        userId=people, email=names, at=stated,
    ),
    st.builds(
        lambda **data: ("module.progress", data),
        userId=people, moduleId=st.just("m-1"), moduleName=names, progressPct=percents,
        timeSpentSec=st.integers(0, 3),
    ),
    st.builds(
        lambda **data: ("quiz.submitted", data),
        userId=people, quizId=st.just("q-1"), score=percents, maxScore=st.just(100),
    ),
    st.builds(
        lambda at, **data: ("course.completed", data | {"completedAt": at}),
        userId=people, courseId=st.just("c-1"), at=stated,
    ),
    st.builds(
        lambda at, **data: ("certification.expired", data | {"expiredAt": at}),
        userId=people, certName=st.just("expert"), at=stated,
    ),
)  # fmt: skip
deliveries = st.tuples(bodies, moments.map(datetime.isoformat))


def event_of(delivery: tuple[tuple[str, dict[str, Any]], str]) -> VendorEvent:
    (event_type, data), signed_at = delivery
    key = f"{event_type} {sorted(data.items(), key=str)} {signed_at}"
    headers = {EVENT_ID: key.encode(), TIMESTAMP: signed_at.encode()}
    body = playing.body_of(event_type, data)
    return MindTickle([b"x"], "acme", 0, 0).parse(Incoming(headers, body, None, WEDNESDAY))


def entry_of(event: VendorEvent) -> Entry:
    claims = Claims(event.event_key, event.type)
    return Entry(V, WEDNESDAY, claims, Outcome.ACCEPTED, None, None, 1, event)


def empty(connection: Connection) -> None:
    for model in (*READ_MODELS, Event, Delivery, Checkpoint):
        connection.execute(table_of(model).delete())


@quick
@given(batches=shuffled_batches(deliveries.map(event_of)))
def test_any_order_repetition_and_batching_of_deliveries_gives_what_a_rebuild_gives(
    store: Engine, batches: list[list[VendorEvent]]
) -> None:
    with store.begin() as connection:
        empty(connection)
        for batch in filter(None, batches):
            write_batch(connection, [entry_of(event) for event in batch])
    follow(store)
    with store.connect() as connection:
        live = read_models(connection)
    rebuild(store)
    with store.connect() as connection:
        rebuilt = read_models(connection)
    assert live == reference(fact for batch in batches for event in batch for fact in event.facts)
    assert rebuilt == live


# Worked out by hand


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.begin() as connection:
        yield connection


def fold(connection: Connection, *facts: Fact) -> None:
    for fact in facts:
        project(connection, [fact])


def only(connection: Connection, model: type[Any]) -> Any:
    return connection.execute(table_of(model).select()).one()


def joined(at: datetime, email: str | None = "dana@x.com", team: str | None = "west") -> Fact:
    return Provisioned(V, "u-1", email, None, "rep", team, at)


def left(at: datetime, email: str | None = "old@x.com") -> Fact:
    return Deprovisioned(V, "u-1", email, at)


def moved(pct: float, seconds: int, at: datetime, name: str | None = "Discovery") -> Fact:
    return Progressed(V, "u-1", "m-1", name, pct, seconds, at)


def test_a_late_retry_never_lowers_progress(connection: Connection) -> None:
    fold(connection, moved(80, 900, TUESDAY), moved(40, 300, MONDAY))
    progress = only(connection, ModuleProgress)
    assert (progress.progress_pct, progress.time_spent_sec) == (80, 900)
    assert progress.updated_at == TUESDAY


def test_a_lower_total_of_a_later_time_does_not_lower_progress_either(
    connection: Connection,
) -> None:
    fold(connection, moved(80, 300, MONDAY), moved(40, 900, TUESDAY))
    progress = only(connection, ModuleProgress)
    assert (progress.progress_pct, progress.time_spent_sec) == (80, 900)


def test_the_name_of_a_module_is_that_of_its_latest_event(connection: Connection) -> None:
    fold(connection, moved(1, 1, TUESDAY, "New name"), moved(90, 900, MONDAY, "Old name"))
    assert only(connection, ModuleProgress).module_name == "New name"


@pytest.mark.parametrize("swapped", [False, True])
def test_what_comes_in_one_batch_merges_as_if_each_came_by_itself(
    connection: Connection, swapped: bool
) -> None:
    facts = [moved(80, 300, TUESDAY, "Aa"), moved(40, 900, TUESDAY, "Zz"), moved(60, 1, MONDAY)]
    project(connection, reversed(facts) if swapped else facts)
    progress = only(connection, ModuleProgress)
    assert (progress.progress_pct, progress.time_spent_sec) == (80, 900)
    assert (progress.module_name, progress.updated_at) == ("Zz", TUESDAY)


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_names_or_teams_at_one_moment_the_same_one_wins_in_either_order(
    connection: Connection, swapped: bool
) -> None:
    both = ("Aa", "Zz")
    for word in reversed(both) if swapped else both:
        fold(connection, moved(40, 1, MONDAY, word), joined(MONDAY, team=word))
    assert only(connection, ModuleProgress).module_name == "Zz"
    assert only(connection, Learner).team_id == "Zz"


@pytest.mark.parametrize("swapped", [False, True])
def test_of_a_start_and_an_end_at_one_moment_the_end_wins(
    connection: Connection, swapped: bool
) -> None:
    both: Sequence[Fact] = (joined(MONDAY), left(MONDAY))
    fold(connection, *(reversed(both) if swapped else both))
    assert only(connection, Learner).active is False


@pytest.mark.parametrize("swapped", [False, True])
def test_a_learner_hired_again_after_leaving_is_active(
    connection: Connection, swapped: bool
) -> None:
    both: Sequence[Fact] = (left(MONDAY), joined(TUESDAY))
    fold(connection, *(reversed(both) if swapped else both))
    learner = only(connection, Learner)
    assert learner.active is True
    assert (learner.deprovisioned_at, learner.provisioned_at) == (MONDAY, TUESDAY)


def test_a_late_retry_of_the_hiring_does_not_bring_a_leaver_back(connection: Connection) -> None:
    fold(connection, left(TUESDAY), joined(MONDAY))
    assert only(connection, Learner).active is False


def test_a_late_retry_of_an_older_hiring_does_not_undo_a_change_of_team(
    connection: Connection,
) -> None:
    fold(connection, joined(TUESDAY, team="east"), joined(MONDAY, team="west"))
    assert only(connection, Learner).team_id == "east"


@pytest.mark.parametrize("swapped", [False, True])
def test_the_email_of_a_leaver_gives_way_to_that_of_a_hiring(
    connection: Connection, swapped: bool
) -> None:
    both: Sequence[Fact] = (joined(MONDAY, "dana@x.com"), left(TUESDAY, "other@x.com"))
    fold(connection, *(reversed(both) if swapped else both))
    assert only(connection, Learner).email == "dana@x.com"


def test_the_email_of_a_leaver_counts_where_no_hiring_was_seen(connection: Connection) -> None:
    fold(connection, left(TUESDAY, "new@x.com"), left(MONDAY, "old@x.com"))
    learner = only(connection, Learner)
    assert (learner.email, learner.active) == ("new@x.com", False)
