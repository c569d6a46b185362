"""Erasing a person: nothing of them is left, and other people's data stays."""

import base64
import json
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.event import listen, remove
from typer.testing import CliRunner

from receiver.__main__ import cli
from receiver.erase import AccountRow, clean, erase_person
from receiver.erase.person import person_of
from receiver.errors import EraseError
from receiver.readmodels.projections import project
from receiver.readmodels.rebuild import fold_all, rebuild
from receiver.traces import ERASED, Account
from receiver.vendors.base import Incoming
from receiver.vendors.standard_webhooks import StandardWebhooks
from shared.audit import note
from shared.bulk import table_of
from shared.database import open_engine
from shared.facts import Acted
from shared.models import (
    Activity,
    AuditLog,
    CertificateRenewal,
    CoachingCase,
    Contest,
    ContestResult,
    Delivery,
    Erased,
    Event,
    Learner,
    Module,
    Notification,
    Quarantine,
    Quiz,
    Subscription,
    Table,
    UnknownAddress,
)
from shared.queries import preferences
from shared.subscriptions import to_tell
from tests import playing
from tests.conftest import FreshStore
from tests.holding import V, assert_totals_are_exact, of_body, take, vendor
from tests.running import Receiver, command
from tests.stores import count, read_models, row, rows

SECRET = "secret-one"
DANA = "dana@acme.example"
TRACES = (DANA, "u-dana", "Dana Brooks")
AT = datetime(2025, 11, 3, 9, 20, tzinfo=UTC)
OURS = vendor(SECRET, past=10**9)
SENDER = StandardWebhooks([base64.b64decode(playing.WHSEC.removeprefix("whsec_"))])
LATER = timedelta(days=1)
GRADED = {"quizId": "q-1", "quizName": "Pricing", "score": 4, "maxScore": 10, "passed": False}


def sent(event_type: str, data: Any, key: str, at: datetime = AT, secret: str = SECRET) -> Incoming:
    """A delivery, signed a while before its arrival."""
    return of_body(playing.body_of(event_type, data), key, secret, at, timedelta(seconds=5))


def provisioned(key: str, user: str, email: str, **more: str) -> Incoming:
    who = {"userId": user, "email": email, "role": "rep", "teamId": "west"} | more
    return sent("user.provisioned", who, key)


DANAS = [
    provisioned("j-1", "u-dana", "Dana@Acme.example"),
    provisioned("j-2", "u-dana-2", f" {DANA} "),
    sent("module.progress", playing.progress("u-dana", moduleId="m-1"), "e-1", AT + LATER),
    sent("module.progress", playing.progress("u-dana-2", moduleId="m-dana"), "e-2"),
    sent("quiz.submitted", {"userId": "u-dana"} | GRADED, "e-3"),
    sent("course.completed", {"userId": "u-dana", "courseId": "c-1", "score": 9}, "e-4"),
    sent("certification.expired", {"userId": "u-dana", "certName": "Sales"}, "e-5"),
    sent("badge.earned", {"badge": "first", "learner": {"id": "u-dana"}}, "e-6"),
    sent("badge.earned", {"of": "dana\u0040ACME.example"}, "e-7"),
    sent("user.deprovisioned", {"userId": "u-dana", "email": DANA, "reason": "left"}, "e-8"),
]
OTHERS = [
    provisioned("j-3", "u-paul", "paul@acme.example", provisionedBy=DANA),
    provisioned("j-4", "u-jordana", f"jor{DANA}", managerId="u-dana"),
    sent("module.progress", playing.progress("u-paul", progressPct=70), "o-1"),
    sent("module.progress", playing.progress("u-jordana", moduleId="m-2"), "o-2"),
    sent("quiz.submitted", {"userId": "u-paul"} | GRADED, "o-3", AT + 2 * LATER),
]


def fill(engine: Engine) -> None:
    """Dana with two accounts, Paul and Jordana, and what people and strangers did about them."""
    assert {one.outcome for one in take(engine, DANAS + OTHERS, OURS)} == {"accepted"}
    take(engine, [DANAS[2]], OURS)
    refused = [
        sent("module.progress", playing.progress("u-dana"), "h-1", secret="another"),
        of_body(f"?user={DANA.replace('@', '%40')}".encode(), "h-2", "another"),
        of_body(DANA.encode("utf-16"), "h-3", "another"),
        of_body(b"{}", DANA, SECRET),
        sent(f"made up: {DANA}", {}, "h-5", secret="another"),
    ]
    take(engine, refused, OURS)
    take(engine, [sent("module.progress", playing.progress("u-paul"), "h-6", secret="no")], OURS)
    with engine.begin() as connection:
        connection.execute(insert(table_of(CoachingCase)), [
            case(1, "u-dana", owner="lead@acme.example", notes="Dana Brooks was ill"),
            case(2, "u-paul", owner=DANA, notes=f"Ask {DANA} or jor{DANA}."),
        ])  # fmt: skip
        connection.execute(insert(table_of(CertificateRenewal)), [
            {"vendor": V, "user_id": "u-dana", "cert_name": "Sales", "expired_at": AT,
             "renewed_at": AT, "renewed_by": "lead@acme.example"},
        ])  # fmt: skip
        connection.execute(insert(table_of(ContestResult)), [
            {"contest_id": 1, "place": 1, "rank": 1, "vendor": V, "user_id": "u-dana",
             "team_id": "west", "value": 40.0},
        ])  # fmt: skip
        connection.execute(insert(table_of(Contest)), [
            {"name": f"Beat {DANA}", "board": "learners", "metric": "points", "zone": "UTC",
             "first_day": AT.date(), "last_day": AT.date(), "all_teams": True, "hidden": False,
             "created_at": AT, "created_by": "lead@acme.example"},
        ])  # fmt: skip
        connection.execute(insert(table_of(Subscription)), [
            {"person": person, "rule": "low-quiz", "channel": "sales", "role": "lead",
             "zone": "UTC", "hour": 9, "token": person[0], "created_at": AT}
            for person in (DANA, "paul@acme.example")
        ])  # fmt: skip
        for to in preferences.every(connection):
            for about in ("u-dana", "u-paul"):
                subject = f"{V}/{about}/q-1"
                told_of = to_tell(to, to.rule, subject, "1", AT, vendor=V, user_id=about)
                connection.execute(insert(table_of(Notification)), [told_of])
        connection.execute(insert(table_of(UnknownAddress)), [
            {"hour": AT, "requests": 1, "latest_at": AT, "latest_path": f"/webhooks/x?by={DANA}"},
        ])  # fmt: skip
        note(connection, "lead@acme.example", "mark renewed", "renewal 1", "Sales of Dana Brooks")
        note(connection, "lead@acme.example", "flag", "case 1", "Pricing of Dana Brooks at 40 %")
        note(connection, "lead@acme.example", "change", "case 2", f"owner none → {DANA}")


def case(id_: int, user: str, **more: Any) -> dict[str, Any]:
    usual = {"id": id_, "vendor": V, "user_id": user, "quiz_id": "q-1", "status": "open",
             "opened_at": AT, "opened_by": "lead@acme.example", "updated_at": AT,
             "updated_by": "lead@acme.example", "version": 1}  # fmt: skip
    return usual | more


@pytest.fixture
def company(store: Engine) -> Engine:
    fill(store)
    return store


@pytest.fixture
def filled(sqlite_url: str) -> Iterator[Engine]:
    engine = open_engine(sqlite_url)
    fill(engine)
    yield engine
    engine.dispose()


def everything(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Each row of each table."""
    with engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in Table.metadata.sorted_tables
        }


def found(engine: Engine) -> list[tuple[str, str]]:
    """Every place that mentions Dana, in any column of any table."""
    cells = [
        (table, cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell))
        for table, held in everything(engine).items()
        for one in held
        for cell in one
    ]
    cleared = [
        (table, text.replace("\0", "").replace("%40", "@").replace("\\u0040", "@").lower())
        for table, text in cells
    ]
    return [
        (table, text)
        for table, text in cleared
        if any(trace.lower() in text.replace(f"jor{DANA}", "") for trace in TRACES)
    ]


def of_others(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """The read models without the rows that only Dana's events gave."""
    with engine.connect() as connection:
        models = read_models(connection)
    hers = {"u-dana", "u-dana-2", "m-dana", "c-1", DANA}
    return {name: [one for one in held if not hers & set(one)] for name, held in models.items()}


def test_nothing_of_them_is_found_in_any_column_of_any_table(company: Engine) -> None:
    assert {table for table, _ in found(company)} >= {
        "event", "delivery", "quarantine", "learner", "roster_change", "module_progress",
        "module_standing", "learner_standing", "quiz_attempt", "quiz_standing",
        "course_completion", "certification", "certificate_renewal", "coaching_case",
        "contest", "contest_result", "unknown_address", "audit_log",
    }  # fmt: skip
    gone = erase_person(company, DANA)
    assert found(company) == []
    assert gone == (2, 10, 16, 5, 1, 7)


def test_events_that_score_for_them_are_erased_and_those_of_others_stay(company: Engine) -> None:
    with company.begin() as connection:
        acted = (Acted("standard-webhooks", who, who, "deal.won", AT) for who in (DANA, "p@x.com"))
        project(connection, acted)
    erase_person(company, DANA)
    assert [one.person for one in rows(company, Activity)] == ["p@x.com"]


def meeting(key: str, owner: str, **more: Any) -> Incoming:
    data = {"type": "meeting.held", "data": {"owner": owner} | more}
    body = json.dumps(data, ensure_ascii=False).encode()
    headers = {name: value.encode() for name, value in playing.standard(body, AT, key).items()}
    return Incoming(headers, body, "192.0.2.1", AT)


def test_what_another_person_did_with_them_stays_and_only_the_mention_goes(store: Engine) -> None:
    take(store, [meeting("w-1", "bob@x.example", attendees=[DANA]), meeting("w-2", DANA)], SENDER)
    erase_person(store, DANA)
    with store.connect() as connection:
        fold_all(connection)
        connection.commit()
    assert [one.event_key for one in rows(store, Activity)] == ["w-1"]
    held = {one.event_key: one.payload for one in rows(store, Event)}
    assert json.loads(held["w-1"])["data"] == {"owner": "bob@x.example", "attendees": [ERASED]}
    assert held["w-2"] == ""


@pytest.mark.parametrize(
    "stored", [None, unicodedata.normalize("NFD", "josé@acme.example"), "mailto:josé@acme.example"]
)
def test_what_they_did_goes_with_its_event_in_any_spelling_of_the_owner(
    store: Engine, stored: str | None
) -> None:
    """Versions before stored the owner as sent."""
    owner = "josé@acme.example"
    take(store, [meeting("w-1", stored or owner), meeting("w-2", "bob@x.example")], SENDER)
    assert {one.person for one in rows(store, Activity)} == {owner, "bob@x.example"}
    if stored:
        with store.begin() as connection:
            of_event = table_of(Activity).c.event_key == "w-1"
            connection.execute(update(table_of(Activity)).where(of_event).values(person=stored))
    erase_person(store, owner)
    assert [one.person for one in rows(store, Activity)] == ["bob@x.example"]


def test_the_read_models_of_other_people_are_unchanged(company: Engine) -> None:
    before = of_others(company)
    erase_person(company, DANA)
    after = of_others(company)
    said_at = AT - timedelta(seconds=5)
    named = [(V, module, "Discovery calls", said_at) for module in ("m-1", "m-2")]
    assert after.pop("module") == named
    assert before.pop("module") != []
    assert after == before
    assert [one.user_id for one in rows(company, Learner)] == ["u-jordana", "u-paul"]


def test_a_rebuild_afterwards_changes_nothing(company: Engine) -> None:
    erase_person(company, DANA)
    with company.connect() as connection:
        before = read_models(connection)
    assert rebuild(company) == len(OTHERS)
    with company.connect() as connection:
        assert read_models(connection) == before


def test_a_name_from_their_event_gives_way_to_the_earlier_one(store: Engine) -> None:
    named = {"moduleId": "m-1", "moduleName": "Objections, by Dana"}
    take(store, [*OTHERS, DANAS[0]], OURS)
    hers = sent("module.progress", playing.progress("u-dana", **named), "e-n", AT + 3 * LATER)
    take(store, [hers], OURS)
    assert row(store, Module, module_id="m-1").module_name == "Objections, by Dana"
    erase_person(store, DANA)
    assert row(store, Module, module_id="m-1").module_name == "Discovery calls"


@pytest.mark.parametrize("quiz_id", ["q%_1", 7, 'q \u00e9 "1'])
def test_names_come_back_without_folding_all_events(store: Engine, quiz_id: str | int) -> None:
    def quizzed(key: str, user: str, name: str, days: int, id_: str | int = quiz_id) -> Incoming:
        scored = {"userId": user} | GRADED | {"quizId": id_, "quizName": name}
        return sent("quiz.submitted", scored, key, AT + days * LATER)

    hers = [quizzed("q-4", "u-dana", "Of Dana", 9), quizzed("q-5", "u-dana", "Hers", 9, "hers")]
    names = [quizzed("q-1", "u-paul", "Old", 1), quizzed("q-2", "u-paul", "New", 2)]
    other = quizzed("q-3", "u-paul", "Another", 3, "another")
    take(store, [*OTHERS, DANAS[0], *names, other, *hers], OURS)
    with counted(store, "DELETE FROM learner_standing") as emptied:
        erase_person(store, DANA)
    assert all(" WHERE " in statement for statement in emptied)
    kept = {one.quiz_id: one.quiz_name for one in rows(store, Quiz)}
    assert kept == {str(quiz_id): "New", "another": "Another", "q-1": "Pricing"}
    with store.connect() as connection:
        before = read_models(connection)
    rebuild(store)
    with store.connect() as connection:
        assert read_models(connection) == before


@contextmanager
def counted(engine: Engine, begin: str) -> Iterator[list[str]]:
    """The statements of this kind while the block runs."""
    seen: list[str] = []

    def note_it(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(begin):
            seen.append(statement)

    listen(engine, "before_cursor_execute", note_it)
    yield seen
    remove(engine, "before_cursor_execute", note_it)


def test_a_module_named_after_them_is_replaced_in_every_table(store: Engine) -> None:
    named = playing.progress("u-paul", moduleName=f"One-to-one with {DANA}")
    take(store, [DANAS[0], OTHERS[0], sent("module.progress", named, "o-9")], OURS)
    erase_person(store, DANA)
    assert found(store) == []
    assert row(store, Module).module_name == f"One-to-one with {ERASED}"
    with store.connect() as connection:
        before = read_models(connection)
    rebuild(store)
    with store.connect() as connection:
        assert read_models(connection) == before


def test_a_redelivery_is_a_duplicate_and_does_not_bring_them_back(company: Engine) -> None:
    erase_person(company, DANA)
    signed_again = [one._replace(received_at=AT + 5 * LATER) for one in DANAS]
    signed_again += [
        of_body(one.body, one.headers["x-mt-event-id"].decode(), SECRET, AT + 5 * LATER)
        for one in DANAS
    ]
    again = take(company, signed_again, OURS)
    assert {one.outcome for one in again} == {"duplicate"}
    assert not rows(company, Learner, user_id="u-dana")


def test_another_id_on_the_same_bytes_does_not_bring_them_back_either(company: Engine) -> None:
    erase_person(company, DANA)
    headers = DANAS[2].headers | {"x-mt-event-id": b"another"}
    (again,) = take(company, [DANAS[2]._replace(headers=headers)], OURS)
    assert again.outcome == "duplicate"


def test_a_new_event_about_them_is_accepted(company: Engine) -> None:
    erase_person(company, DANA)
    new = sent("module.progress", playing.progress("u-dana"), "new", AT + 9 * LATER)
    (taken,) = take(company, [new], OURS)
    assert taken.outcome == "accepted"
    assert row(company, Learner, user_id="u-dana").email is None


def test_a_key_made_from_the_user_id_is_removed_and_the_digest_finds_duplicates(
    store: Engine,
) -> None:
    take(store, DANAS[:3], OURS)
    event, delivery = table_of(Event), table_of(Delivery)
    key = "u-dana:12:2025-11-03T09:20:00+00:00"
    with store.begin() as connection:
        connection.execute(update(event).where(event.c.id == 3).values(event_key=key))
        connection.execute(update(delivery).where(delivery.c.id == 3).values(event_key=key))
    erase_person(store, DANA)
    assert found(store) == []
    assert row(store, Event, id=3).event_key == f"erased:{row(store, Event, id=3).digest}"
    assert take(store, [DANAS[2]], OURS)[0].outcome == "duplicate"


NEIGHBOURS = (
    "xdana@acme.example", "x.dana@acme.example", "o'dana@acme.example", "dana+x@acme.example",
    "dana@acme.example.org", "dana@acme.examples", "dana@xacme.example", "da_na@acme.example",
    "da%na@acme.example", "danaXacme.example@b.example", "dana@acme.example, boss@acme.example",
    "dana @acme.example", "d\u0430na@acme.example", "dana@acme.example/dana", "dana@acme_example",
)  # fmt: skip


@pytest.mark.parametrize(
    "sought", [DANA, *NEIGHBOURS, "d_na@acme.example", "%@acme.example", "_ana@acme.example"]
)
def test_an_address_that_contains_theirs_or_fits_it_as_a_pattern_is_a_neighbours(
    store: Engine, sought: str
) -> None:
    addresses = (DANA, *NEIGHBOURS)
    take(store, [provisioned(f"n-{n}", f"u-{n}", who) for n, who in enumerate(addresses)], OURS)
    before = rows(store, Learner)
    theirs = [one for one in before if one.email == sought]
    with store.connect() as connection:
        found, _ = person_of(connection, sought, None)
    assert found == [Account(V, one.user_id) for one in theirs]
    if theirs:
        assert erase_person(store, sought).accounts == 1
    assert {one.user_id for one in rows(store, Learner)} == {
        one.user_id for one in before if one not in theirs
    }


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_spelling_of_the_address_is_theirs(store: Engine, form: Any) -> None:
    who = "jos\u00e9@acme.example"
    spelled = [
        who,
        f" {who.upper()} ",
        unicodedata.normalize("NFD", who),
        f"{who}\u200b",
        f"{who}\n",
    ]
    joined = [provisioned(f"s-{n}", f"u-{n}", email) for n, email in enumerate(spelled)]
    take(store, [*joined, provisioned("s-9", "u-9", "jose@acme.example")], OURS)
    erase_person(store, unicodedata.normalize(form, who))
    assert [one.user_id for one in rows(store, Learner)] == ["u-9"]


def test_an_account_names_the_person_as_well_as_the_address_does(company: Engine) -> None:
    assert erase_person(company, account=Account(V, "u-dana-2")).accounts == 2
    assert found(company) == []


def test_a_person_without_an_address_is_erased_by_account_and_similar_ids_are_not(
    store: Engine,
) -> None:
    both = [sent("module.progress", playing.progress(one), f"e-{one}") for one in ("7", "77")]
    scored = sent("quiz.submitted", {"userId": "77"} | GRADED | {"score": 7}, "e-score")
    held = sent("quiz.submitted", {"userId": "77"} | GRADED | {"score": 7}, "h", secret="no")
    take(store, [*both, scored, held], OURS)
    payload = rows(store, Event)[2].payload
    assert erase_person(store, account=Account(V, "7")) == (1, 1, 1, 0, 0, 0)
    assert [one.user_id for one in rows(store, Learner)] == ["77"]
    assert rows(store, Event)[2].payload == payload
    assert count(store, Quarantine) == 1


def test_totals_of_quarantine_stay_exact_and_other_bodies_stay(company: Engine) -> None:
    erase_person(company, DANA)
    assert_totals_are_exact(company)
    assert b"u-paul" in row(company, Quarantine).body


def test_their_deliveries_keep_only_the_facts_of_the_request(company: Engine) -> None:
    before = {one.id: one for one in rows(company, Delivery)}
    erase_person(company, DANA)
    after = rows(company, Delivery)
    assert len(after) == len(before)
    changed = [one for one in after if one != before[one.id]]
    assert {(one.event_key, one.remote_ip) for one in changed} == {(None, None)}
    assert [one.outcome for one in after] == [one.outcome for one in before.values()]


def test_it_is_counted_and_noted_without_saying_who(company: Engine) -> None:
    gone = erase_person(company, DANA, actor="admin@acme.example")
    kept = row(company, Erased)
    assert tuple(kept)[2:] == ("admin@acme.example", *gone)
    entry = rows(company, AuditLog)[-1]
    assert (entry.actor, entry.action, entry.subject) == ("admin@acme.example", "erase", "person 1")
    assert entry.detail == gone.in_words()


def test_their_actions_on_the_dashboard_stay_in_the_audit_log(company: Engine) -> None:
    with company.begin() as connection:
        note(connection, DANA, "export", "csv", "everything")
    erase_person(company, DANA)
    assert row(company, AuditLog, action="export").actor == DANA


def test_their_case_is_removed_and_cases_that_they_own_lose_their_owner(company: Engine) -> None:
    erase_person(company, DANA)
    other = row(company, CoachingCase)
    assert (other.id, other.owner, other.version) == (2, None, 2)
    assert other.notes == f"Ask {ERASED} or jor{DANA}."
    assert row(company, AuditLog, subject="case 1").detail is None
    assert row(company, AuditLog, subject="case 2").detail == f"owner none → {ERASED}"


def test_what_was_told_of_them_or_to_them_is_removed(company: Engine) -> None:
    erase_person(company, DANA)
    kept = row(company, Notification)
    assert (kept.user_id, kept.recipient) == ("u-paul", "paul@acme.example via sales")
    assert row(company, Subscription).person == "paul@acme.example"


def test_a_dry_run_prints_the_same_and_changes_nothing(company: Engine) -> None:
    before = everything(company)
    would = erase_person(company, DANA, dry_run=True)
    assert everything(company) == before
    assert erase_person(company, DANA) == would


@pytest.mark.parametrize("who", [{"email": "no@acme.example"}, {"account": Account(V, "u-no")}])
def test_an_unknown_person_is_an_error_and_changes_nothing(
    company: Engine, who: dict[str, Any]
) -> None:
    before = everything(company)
    with pytest.raises(EraseError, match="does not know this person"):
        erase_person(company, **who)
    assert everything(company) == before


def test_a_store_without_a_single_account_of_them_is_searched_all_the_same(store: Engine) -> None:
    take(store, [of_body(DANA.encode(), "h", "another")], OURS)
    assert erase_person(store, DANA) == (0, 0, 1, 1, 0, 0)


def test_a_body_that_a_replay_has_locked_stops_the_erasure_and_nothing_is_changed(
    fresh_store: FreshStore,
) -> None:
    with fresh_store("postgres") as url:
        engine = open_engine(url)
        fill(engine)
        before = everything(engine)
        with engine.begin() as replaying:
            replaying.execute(select(table_of(Quarantine)).with_for_update())
            with pytest.raises(EraseError, match="A replay"):
                erase_person(engine, DANA)
        assert everything(engine) == before
        assert erase_person(engine, DANA).held == 5
        engine.dispose()


def test_what_arrives_between_the_search_and_the_lock_is_found_too(sqlite_url: str) -> None:
    store, other = open_engine(sqlite_url), open_engine(sqlite_url)
    fill(store)
    arrived: list[int] = []

    def arrive(*_connection: Any) -> None:
        if not arrived:
            arrived.append(1)
            mention = {"userId": "u-late", "moduleId": f"with {DANA}", "progressPct": 5}
            late = playing.body_of("module.progress", mention)
            take(other, [of_body(late, "late", SECRET), of_body(DANA.encode(), "h-2", "x")], OURS)

    listen(store, "checkin", arrive)  # the connection of the search
    erase_person(store, DANA)
    assert arrived
    assert [
        one for one in everything(store).values() if DANA in str(one).replace("jordana", "")
    ] == []
    store.dispose()
    other.dispose()


def test_a_new_account_that_arrives_after_the_search_is_searched_for_too(sqlite_url: str) -> None:
    store, other = open_engine(sqlite_url), open_engine(sqlite_url)
    fill(store)
    mentions = playing.body_of("module.progress", {"userId": "u-x", "manager": "u-dana-3"})
    take(store, [of_body(mentions, "mentions", SECRET)], OURS)
    arrived: list[int] = []

    def arrive(*_connection: Any) -> None:
        if not arrived:
            arrived.append(1)
            take(other, [provisioned("late", "u-dana-3", DANA)], OURS)

    listen(store, "checkin", arrive)  # the connection of the search
    assert erase_person(store, DANA).accounts == 3
    assert "u-dana-3" not in str(everything(store))
    store.dispose()
    other.dispose()


# The bytes of deleted rows


def files_of(url: str) -> bytes:
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}*")))


def test_the_bytes_of_a_sqlite_file_and_its_log_do_not_mention_them(
    filled: Engine, sqlite_url: str
) -> None:
    engine = filled
    erase_person(engine, DANA)
    left = files_of(sqlite_url).replace(f"jor{DANA}".encode(), b"")
    assert DANA.encode() in left  # deleted rows alone are no proof
    assert clean(engine)
    left = files_of(sqlite_url).replace(f"jor{DANA}".encode(), b"")
    assert [one for one in TRACES if one.lower().encode() in left.lower()] == []


def test_the_planner_of_postgres_forgets_them_too(fresh_store: FreshStore) -> None:
    with fresh_store("postgres") as url:
        engine = open_engine(url)
        fill(engine)

        def noted() -> str:
            with engine.connect() as connection:
                return str(connection.exec_driver_sql("SELECT * FROM pg_stats").all())

        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
        assert "u-dana" in noted()
        erase_person(engine, DANA)
        assert clean(engine)
        assert "u-dana" not in noted()
        engine.dispose()


def test_a_reader_that_keeps_old_bytes_in_the_sqlite_log_is_reported(filled: Engine) -> None:
    with filled.connect() as reading:
        reading.execute(select(table_of(Learner))).all()
        erase_person(filled, DANA)
        assert not clean(filled)
    assert clean(filled)


# The command


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(filled: Engine, sqlite_url: str, tmp_path: Path) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        ended = command("erase", *arguments, folder=tmp_path, DATABASE_URL=sqlite_url)
        return ended.returncode, ended.stdout, ended.stderr

    return run


COUNTS = (
    "2 accounts, 10 events, 16 deliveries, 5 quarantined bodies, 1 coaching cases, "
    "7 mentions elsewhere\n"
)


ACCOUNTS = (
    "mindtickle/u-dana: Dana@Acme.example, 6 events\n"
    "mindtickle/u-dana-2: dana@acme.example, 2 events\n"
)


def test_the_command_erases_and_prints_the_counts(run: Run, filled: Engine) -> None:
    assert run("--email", DANA, "--dry-run") == (0, f"{ACCOUNTS}Dry run: {COUNTS}", "")
    assert found(filled)
    assert run("--email", f" {DANA.upper()}", "--yes") == (0, f"Erased: {COUNTS}", "")
    assert found(filled) == []
    assert run("--email", DANA, "--yes")[0] == 1


def test_without_a_yes_it_asks_and_nothing_happens(run: Run, filled: Engine) -> None:
    code, said, _ = run("--user", f"{V}/u-dana")
    assert code == 1
    assert said.startswith(f"{ACCOUNTS}Erase this permanently?")
    assert "u-jordana" not in said
    assert count(filled, Erased) == 0


def test_with_a_yes_to_the_question_the_work_is_done_once(
    store: Engine, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    monkeypatch.setenv("DATABASE_URL", store_url)
    with counted(Engine, "DELETE FROM coaching_case") as deleted:  # type: ignore[arg-type]
        ended = CliRunner().invoke(cli, ["erase", "--email", DANA], input="y\n")
    assert (ended.exit_code, ended.output.count("permanently?")) == (0, 1)
    assert ended.output.endswith(f"Erased: {COUNTS}")
    assert len(deleted) == 1
    assert found(store) == []


def test_what_steers_a_terminal_is_not_in_the_list() -> None:
    listed = AccountRow(Account(V, "u\x1b[2J\n"), "dana\u202e@acme.example", 2).in_words()
    assert listed.isprintable()
    assert listed.endswith(", 2 events")


def test_the_list_says_that_a_person_has_no_account(run: Run) -> None:
    _, said, _ = run("--email", "no@acme.example")
    assert said.startswith("No account is known.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give either --email or --user."),
        (("--email", DANA, "--user", "mindtickle/u-1"), "Give either --email or --user."),
        (("--user", "u-1"), "--user: "),
        (("--user", "/u-1"), "--user: "),
        (("--email", "dana"), "--email: "),
        (("--email", "a b@acme.example"), "--email: "),
        (("--email", "no@acme.example", "--yes"), "The store does not know"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_failure(
    sqlite_url: str, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    ended = command("erase", *arguments, folder=tmp_path, DATABASE_URL=sqlite_url)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(said)


def test_a_running_receiver_goes_on_and_answers_their_redelivery(
    receiver: Receiver, store_url: str, tmp_path: Path
) -> None:
    who = {"userId": "u-dana", "email": DANA}
    assert receiver.deliver("user.provisioned", who, "evt-1").json() == {"received": True}
    ended = command("erase", "--email", DANA, "--yes", folder=tmp_path, DATABASE_URL=store_url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert receiver.deliver("user.provisioned", who, "evt-1").json() == {"duplicate": True}
    assert receiver.deliver("module.progress", playing.progress("u-x")).json() == {"received": True}
    assert DANA not in json.dumps(receiver.log_lines())
