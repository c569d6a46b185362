"""Exports of vendors are reconciled with the store: nothing is lost, counted twice or guessed."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, insert, select

from receiver.erase import erase_person
from receiver.prune import prune
from receiver.readmodels.rebuild import rebuild
from receiver.traces import Account
from receiver.vendors.base import Incoming
from receiver.vendors.lessonly import Lessonly
from shared.bulk import table_of
from shared.facts import person_of
from shared.imports import statement
from shared.models import (
    AuditLog,
    CourseCompletion,
    Delivery,
    Event,
    Heartbeat,
    ImportDay,
    ImportFinding,
    ImportRun,
    Learner,
    ModuleProgress,
    QuizAttempt,
    Table,
)
from shared.queries import deliveries, imports, learner
from tests import playing
from tests.exports import AT, LESSONS, MINDTICKLE, progress, reconciled, written
from tests.holding import V, of_body, take, vendor
from tests.programs import Program
from tests.running import ROOT, Receiver, command, environment
from tests.stores import count, follow, read_models, row, rows
from tests.waiting import START_SEC, until

SECRET = "secret-one"
OURS = vendor(SECRET, past=10**9)


def arrived(store: Engine, *keys: str, user: str = "u-1", **data: Any) -> None:
    """Progress that a delivery brought, signed and received at AT."""
    body = playing.body_of("module.progress", playing.progress(user, **data))
    take(store, [of_body(body + b" " * n, key, SECRET, AT) for n, key in enumerate(keys)], OURS)


def contents(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables but for the times of a run, and the follower's lease."""
    with engine.connect() as connection:
        return {
            table.name: sorted(
                tuple(
                    value
                    for column, value in one._mapping.items()
                    if column not in ("started_at", "finished_at")
                )
                for one in connection.execute(select(table))
            )
            for table in Table.metadata.sorted_tables
            if table.name not in ("checkpoint", "vendor")
        }


def test_the_statement_counts_what_arrived_and_what_did_not(store: Engine, tmp_path: Path) -> None:
    arrived(store, "e-1", "e-2")
    export = written(tmp_path, [progress("e-1"), progress("e-2"), progress("e-3")])
    run = reconciled(store, export)
    assert statement(run.counts) == "Of 3 events in the export 2 arrived, 1 did not."
    (found,) = rows(store, ImportFinding)
    assert (found.kind, found.event_key, found.line) == ("missing", "e-3", 4)


def test_a_dry_run_changes_only_its_report(store: Engine, tmp_path: Path) -> None:
    arrived(store, "e-1")
    before = contents(store)
    reconciled(store, written(tmp_path, [progress("e-1"), progress("e-2")]))
    reports = {table_of(one).name for one in (ImportRun, ImportDay, ImportFinding)}
    assert {name for name, one in contents(store).items() if one != before[name]} == reports


def test_missing_events_are_imported_as_the_deliveries_would_have_said(
    store: Engine, tmp_path: Path
) -> None:
    reconciled(store, written(tmp_path, [progress("e-1", pct=85)]), applies=True)
    follow(store)
    made = row(store, ModuleProgress)
    assert (made.user_id, made.module_name, made.progress_pct, made.time_spent_sec) == (
        *("u-1", "Discovery calls"), 85.0, 600)  # fmt: skip
    assert row(store, Event).occurred_at == AT
    assert count(store, Delivery) == 0
    assert row(store, AuditLog).action == "import"


def test_a_rebuild_reads_imported_events(store: Engine, tmp_path: Path) -> None:
    reconciled(store, written(tmp_path, [progress("e-1"), progress("e-2", "u-2")]), applies=True)
    follow(store)
    with store.connect() as connection:
        before = read_models(connection)
    rebuild(store)
    with store.connect() as connection:
        assert read_models(connection) == before


def test_a_second_run_changes_nothing(store: Engine, tmp_path: Path) -> None:
    arrived(store, "e-1", progressPct=30)
    export = written(tmp_path, [progress("e-1"), progress("e-2"), progress("e-2")])
    first = reconciled(store, export, applies=True)
    follow(store)
    before = contents(store)
    second = reconciled(store, export, applies=True)
    follow(store)
    assert contents(store) == before
    assert second.counts == first.counts == (1, 1, 1, 1, 1)


def test_a_killed_run_goes_on_where_it_was(store_url: str, store: Engine, tmp_path: Path) -> None:
    number = 20_000
    export = written(tmp_path, (progress(f"e-{n}", f"u-{n}") for n in range(number)))
    (tmp_path / "mapping.toml").write_text(MINDTICKLE)
    asked = ("import", str(export), "--vendor", V, "--mapping", "mapping.toml", "--apply")
    with TemporaryFile() as out:
        env = environment(DATABASE_URL=store_url)
        killed = Program("receiver", *asked, cwd=tmp_path, env=env, stdout=out, stderr=out)
        until(lambda: count(store, Event) > 0)
        killed.send_signal(signal.SIGKILL)
        killed.wait(START_SEC)
    stored = count(store, Event)
    assert 0 < stored < number
    assert row(store, ImportRun).position == stored
    ended = command(*asked, folder=tmp_path, DATABASE_URL=store_url)
    assert (ended.returncode, count(store, Event)) == (0, number), ended.stderr
    assert f"Of {number:,} events in the export 0 arrived, {number:,} did not." in ended.stdout
    assert f"{number:,} of the missing ones are imported." in ended.stdout


def test_differing_values_are_listed_with_both(store: Engine, tmp_path: Path) -> None:
    arrived(store, "e-1", progressPct=30)
    late = (*progress("e-1", pct="40")[:2], "2025-11-03T11:20:00Z", *progress("e-1")[3:])
    run = reconciled(store, written(tmp_path, [late]))
    assert run.counts.differing == 1
    (found,) = rows(store, ImportFinding, kind="differing")
    assert json.loads(found.detail) == [["progressed.progress_pct", "40.0", "30.0"]]


def test_equal_values_in_other_spellings_do_not_differ(store: Engine, tmp_path: Path) -> None:
    arrived(store, "e-1", progressPct=87.5)
    export = written(tmp_path, [progress("e-1", pct="87,5 %")], separator=";")
    assert reconciled(store, export).counts.differing == 0


def lessonly(store: Engine, *bodies: bytes) -> None:
    header = {"authorization": playing.AUTHORIZATION.encode()}
    at = datetime(2025, 11, 22, 9, tzinfo=UTC)
    served = Lessonly([playing.AUTHORIZATION.encode()])
    take(store, [Incoming(header, body, "::1", at) for body in bodies], served)


def lesson_row(body: bytes, at: str) -> str:
    sent = json.loads(body)
    user, lesson = sent["user"]["id"], sent["lesson"]
    return f"{user},{lesson['id']},{lesson['title']},{sent['score_percent']},{at}"


@pytest.mark.parametrize(
    "at", ["2025-11-22T08:30:07Z", "22.11.2025 08:30", "1763800207", "2025-11-22 09:30:07+01:00"]
)
def test_an_export_without_event_ids_is_matched_by_learner_lesson_and_time(
    store: Engine, tmp_path: Path, at: str
) -> None:
    body = playing.lesson(completed_at="2025-11-22T08:30:07Z")
    lessonly(store, body)
    export = tmp_path / "export.csv"
    export.write_text(f"User,Lesson,Title,Score,Completed\n{lesson_row(body, at)}\n")
    run = reconciled(store, export, LESSONS, "lessonly")
    assert run.counts == (1, 0, 0, 0, 0), rows(store, ImportFinding)


def test_another_time_is_another_event_and_one_within_the_tolerance_is_not(
    store: Engine, tmp_path: Path
) -> None:
    body = playing.lesson(completed_at="2025-11-22T08:30:07Z")
    lessonly(store, body)
    export = tmp_path / "export.csv"
    text = lesson_row(body, "2025-11-22T08:30:12Z")
    export.write_text(f"User,Lesson,Title,Score,Completed\n{text}\n")
    assert reconciled(store, export, LESSONS, "lessonly").counts.missing == 1
    tolerant = f"match_within = 10\n{LESSONS}"
    assert reconciled(store, export, tolerant, "lessonly").counts.missing == 0


def test_a_late_delivery_of_an_imported_event_is_a_duplicate(store: Engine, tmp_path: Path) -> None:
    body = playing.lesson(completed_at="2025-11-22T08:30:07Z")
    export = tmp_path / "export.csv"
    text = lesson_row(body, "2025-11-22T08:30:07Z")
    export.write_text(f"User,Lesson,Title,Score,Completed\n{text}\n")
    reconciled(store, export, LESSONS, "lessonly", applies=True)
    lessonly(store, body)
    assert count(store, QuizAttempt) == count(store, Event) == 1
    late = row(store, Delivery)
    assert late.outcome == "duplicate"
    with store.connect() as connection:
        shown = deliveries.detail(connection, late.id)
        assert shown is not None
        assert shown.brought_by == -1
        (source,) = imports.sources(connection)
    assert (source.id, source.file_name) == (1, "export.csv")


def test_an_imported_event_is_no_sign_of_life_of_its_vendor(store: Engine, tmp_path: Path) -> None:
    reconciled(store, written(tmp_path, [progress("e-1")]), applies=True)
    follow(store)
    with store.connect() as connection:
        assert deliveries.last(connection, V) is None
        assert deliveries.totals(connection, AT, V).all == 0
        (event,) = learner.events(connection, person_of(V, "u-1", None))
    assert event.delivery_id == -1


def test_why_an_event_is_missing(store: Engine, tmp_path: Path) -> None:
    times = [AT, AT + timedelta(hours=1), AT + timedelta(hours=3), AT + timedelta(hours=5)]
    with store.begin() as connection:
        runs = [{"receiver": "a", "started_at": times[0], "seen_at": times[1]},
                {"receiver": "b", "started_at": times[2], "seen_at": times[3]}]  # fmt: skip
        connection.execute(insert(table_of(Heartbeat)), runs)
    arrived(store, "e-0")
    body = playing.body_of("module.progress", playing.progress())
    take(store, [of_body(body, "e-refused", "another secret", times[3])], OURS)
    at = {"e-before": AT - timedelta(days=30), "e-down": AT + timedelta(hours=2),
          "e-refused": AT + timedelta(hours=4), "e-unknown": AT + timedelta(hours=4)}  # fmt: skip
    export = written(tmp_path, [progress(key, at=one.isoformat()) for key, one in at.items()])
    reconciled(store, export)
    found = {one.event_key.removeprefix("e-"): one.cause for one in rows(store, ImportFinding)}
    assert found == {cause: cause for cause in ("before", "down", "refused", "unknown")}
    by_day = [(one.day.isoformat(), one.cause, one.events) for one in rows(store, ImportDay)]
    assert by_day == [
        ("2025-10-04", "before", 1),
        *(("2025-11-03", cause, 1) for cause in ("down", "refused", "unknown")),
    ]


def test_erasing_a_learner_removes_their_findings_and_an_import_does_not_bring_them_back(
    store: Engine, tmp_path: Path
) -> None:
    arrived(store, "e-1", user="u-dana", progressPct=30)
    sent = [progress("e-1", "u-dana"), progress("e-2", "u-dana"), progress("e-3", "u-paul")]
    export = written(tmp_path, sent)
    reconciled(store, export, applies=True)
    follow(store)
    erase_person(store, account=Account(V, "u-dana"))
    assert {one.user_id for one in rows(store, ImportFinding)} == {"u-paul"}
    reconciled(store, export, applies=True)
    follow(store)
    assert {one.user_id for one in rows(store, ModuleProgress)} == {"u-paul"}
    assert "u-dana" not in str(contents(store))


def test_retention_removes_findings_and_keeps_counts(store: Engine, tmp_path: Path) -> None:
    reconciled(store, written(tmp_path, [progress("e-1")]))
    prune(store, 1)
    assert count(store, ImportFinding) == 1
    with store.begin() as connection:
        old = datetime.now(UTC) - timedelta(days=2)
        connection.execute(table_of(ImportRun).update().values(started_at=old))
    prune(store, 1)
    assert (count(store, ImportFinding), row(store, ImportRun).missing) == (0, 1)


# The proof

EVENTS, EACH = 400, 100


@contextmanager
def losing(target: str, lost: Callable[[int], bool]) -> Iterator[str]:
    """The address of a proxy that answers 200 to all, and passes on all but the lost requests."""
    requests = iter(range(10**9))

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = 200
            if not lost(next(requests)):
                headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                status = client.post(
                    f"{target}{self.path}", content=body, headers=headers
                ).status_code
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """No word on standard error."""

    with (
        httpx.Client(timeout=30, verify=False, trust_env=False) as client,
        ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server,
    ):
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_export_finds_each_event_that_a_proxy_lost_and_imports_it(
    receiver: Receiver, store: Engine, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    exported = []
    with (
        losing(receiver.url, lambda number: number % EACH == EACH // 2) as address,
        httpx.Client(base_url=address, verify=False, trust_env=False) as sender,
    ):
        for n in range(EVENTS):
            key, user = f"e-{n}", f"u-{n}"
            body = playing.body_of("module.progress", playing.progress(user))
            headers = playing.signed(body, now, key)
            assert sender.post(f"/webhooks/{V}", content=body, headers=headers).status_code == 200
            exported.append(progress(key, user, at=now.isoformat()))
    export = written(tmp_path, exported)
    lost = EVENTS // EACH
    run = reconciled(store, export, applies=True)
    assert run.counts == (EVENTS - lost, lost, lost, 0, 0)
    missing = [one.event_key for one in rows(store, ImportFinding)]
    assert missing == [f"e-{EACH // 2 + EACH * n}" for n in range(lost)]
    receiver.followed()
    assert count(store, ModuleProgress) == EVENTS
    assert count(store, Delivery) == EVENTS - lost


# The guide

GUIDE = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
WEBHOOK_LIKE, LESSONLY_LIKE = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)


def test_the_mapping_of_the_guide_for_mindtickle_works(store: Engine, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text(
        "Event ID;Event;User ID;Occurred at;Module ID;Module;Progress;Seconds spent;Quiz ID;Quiz;"
        "Score;Maximum\n"
        "e-1;module.progress;u-1;03.11.2025 10:20;m-1;Discovery;87,5;600;;;;\n"
        "e-2;quiz.submitted;u-1;03.11.2025 10:25;;;;;q-1;Pricing;7;10\n"
        "e-3;badge.earned;u-1;03.11.2025 10:25;;;;;;;;\n"
    )
    run = reconciled(store, export, WEBHOOK_LIKE, applies=True)
    follow(store)
    assert run.counts == (0, 2, 2, 0, 1)
    assert row(store, ModuleProgress).progress_pct == 87.5
    attempt = row(store, QuizAttempt)
    assert (attempt.score, attempt.max_score, attempt.submitted_at.hour) == (7, 10, 9)


def test_the_mapping_of_the_guide_for_lessonly_works(store: Engine, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text(
        "User ID,Name,Email,Lesson ID,Lesson,Score,Completed at\n"
        "7,Dana,dana@acme.example,l-1,Calls,80%,11/22/2025 8:30:07 AM\n"
        "7,Dana,dana@acme.example,l-2,Read me,,11/22/2025 8:31:00 AM\n"
    )
    assert reconciled(store, export, LESSONLY_LIKE, "lessonly", applies=True).imported == 2
    follow(store)
    assert (count(store, CourseCompletion), row(store, QuizAttempt).score) == (2, 80)
    assert row(store, Learner).email == "dana@acme.example"
    keys = {one.event_key for one in rows(store, Event)}
    assert "7:l-1:2025-11-22T08:30:07+00:00" in keys
