"""The page of deliveries, as a browser is sent it."""

import re
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import Engine, func, insert, select
from streamlit.testing.v1 import AppTest

from dashboard.base.pieces import NO_LINK, _no_formula, plain
from dashboard.deliveries import data
from receiver.vendors.base import Incoming
from shared.bulk import table_of
from shared.models import (
    AuditLog,
    Event,
    FieldCheckpoint,
    FieldHourly,
    Heartbeat,
    QuizAttempt,
    ReplayRequest,
    UnknownAddress,
    Vendor,
)
from shared.outcomes import STRANGERS_LISTED
from tests import playing, stores
from tests.dashboard.conftest import Open, Send
from tests.holding import take, vendor
from tests.shared import tables

HOSTILE = "<img src=x onerror=alert(1)> **bold** [link](javascript:alert(1)) =1+1"


def said(text: str) -> str:
    """Text as a browser shows it, without the escapes of Markdown."""
    return text.replace("\\", "").replace(NO_LINK, "")


def headline(page: AppTest) -> str:
    return said(page.title[0].value)


def why(page: AppTest) -> str:
    """The sentence under the heading, and the badges in it."""
    return said(page.markdown[0].value)


def causes(page: AppTest) -> list[dict[Hashable, Any]]:
    frames = [one.value for one in page.dataframe]
    return [row for frame in frames if "cure" in frame.columns for row in frame.to_dict("records")]


def listed(page: AppTest) -> Any:
    """The list of deliveries, which stands last."""
    return page.dataframe[-1].value


def refuse(send: Send, times: int) -> None:
    """Deliveries signed with an unknown secret."""
    with send.at_once():
        for _ in range(times):
            send("module.progress", playing.progress("u-1"), secret="rotated")


@pytest.mark.usefixtures("company")
def test_all_accepted_reads_all_well_and_shows_no_amber(open_page: Open) -> None:
    page = open_page("deliveries")
    assert headline(page) == (
        ":green[:material/check_circle:] All well: every delivery accepted in the last 24 hours"
    )
    assert why(page).startswith("100 % of 6 deliveries accepted in the last 24 hours, the latest ")
    assert not [one for one in page.caption if "unknown addresses" in one.value]
    assert not any(":orange" in one.value or ":red" in one.value for one in page.markdown)


@pytest.mark.usefixtures("company")
def test_deliveries_of_vendors_whose_facts_no_receiver_has_written_are_listed(
    open_page: Open, store: Engine
) -> None:
    with store.begin() as connection:
        connection.execute(table_of(Vendor).delete())
    assert len(listed(open_page("deliveries", which="all"))) == 6


@pytest.mark.usefixtures("company")
def test_one_refused_delivery_among_good_ones_is_counted_and_no_alarm(
    open_page: Open, send: Send
) -> None:
    refuse(send, 1)
    page = open_page("deliveries")
    assert "MindTickle: 1 failed event not recovered" in headline(page)
    assert ":red" not in headline(page)
    assert [one["severity"] for one in causes(page)] == ["▲ Check"]


@pytest.mark.usefixtures("company")
def test_strangers_requests_are_one_line_and_no_alarm(open_page: Open, store: Engine) -> None:
    now = datetime.now(UTC)
    sent = STRANGERS_LISTED + 7
    take(store, [Incoming({}, b"%d" % n, "192.0.2.1", now) for n in range(sent)], vendor("any"))
    page = open_page("deliveries")
    assert headline(page).startswith(":green[:material/check_circle:] All well")
    line = f"{sent} requests of strangers refused; 7 of them are only counted, not listed."
    assert any(line in one.value for one in page.caption)


@pytest.mark.usefixtures("company")
def test_a_rotated_secret_is_the_verdict_and_what_is_in_quarantine_is_no_loss(
    open_page: Open, send: Send
) -> None:
    refuse(send, 6)
    page = open_page("deliveries")
    assert headline(page).startswith(
        ":red[:material/error:] Failing, nothing lost yet: MindTickle has failed for"
    )
    assert "(6 events, 6 attempts): the signing secret was probably rotated" in why(page)
    assert "All 6 are in quarantine, where a replay recovers them once the cause is" in why(page)
    assert "MindTickle's own retries of all 6 end " in why(page)
    assert ":orange-badge[6 events in quarantine, for a replay]" in why(page)
    assert ":red-badge" not in why(page)
    assert [one["loss"] for one in causes(page)] == ["None: in quarantine"]
    assert ":orange-badge[Webhook suspended in 23 h 59 min]" in why(page)


@pytest.mark.usefixtures("company")
def test_the_diagnosis_names_cure_and_consequence(open_page: Open, send: Send) -> None:
    refuse(send, 6)
    page = open_page("deliveries")
    assert "**The signing secret was probably rotated**" in [one.label for one in page.expander]
    shown = page.table[0].value.to_string()
    assert "MINDTICKLE\\_WEBHOOK\\_SECRET" in shown
    assert "replay recovers what is in quarantine" in shown
    (cause,) = causes(page)
    assert "MINDTICKLE_WEBHOOK_SECRET" in cause["cure"]


@pytest.mark.usefixtures("company")
def test_while_no_receiver_is_up_that_is_the_verdict(open_page: Open, store: Engine) -> None:
    seen = datetime.now(UTC) - timedelta(minutes=20)
    run = {"receiver": "a", "started_at": seen - timedelta(hours=1), "seen_at": seen}
    with store.begin() as connection:
        connection.execute(insert(table_of(Heartbeat)), run)
    page = open_page("deliveries")
    assert "No receiver has been up for 20 min" in headline(page)
    assert "repboard serve" in why(page)


@pytest.mark.usefixtures("company")
def test_after_an_outage_the_page_says_how_many_events_arrived(
    open_page: Open, store: Engine, send: Send
) -> None:
    now = datetime.now(UTC)
    began = now - timedelta(hours=3)
    ended = now - timedelta(minutes=1)
    runs = [
        {"receiver": "a", "started_at": began - timedelta(hours=1), "seen_at": began},
        {"receiver": "b", "started_at": ended, "seen_at": now},
    ]
    with store.begin() as connection:
        connection.execute(insert(table_of(Heartbeat)), runs)
    send("module.progress", playing.progress("u-1", progressPct=99), days_ago=1 / 24)
    page = open_page("deliveries")
    assert "Catching up after 2 h 59 min without a receiver" in headline(page)
    captions = " ".join(one.value for one in page.caption)
    assert "No receiver was up for 2 h 59 min" in captions
    assert "1 arrived by retry and 0 by replay; 0 refused since then are still open" in captions


def test_after_an_outage_as_long_as_the_vendor_tolerates_all_parts_say_suspended(
    open_page: Open, store: Engine
) -> None:
    now = datetime.now(UTC)
    began, ended = now - timedelta(hours=29), now - timedelta(hours=1)
    runs = [
        {"receiver": "a", "started_at": began - timedelta(hours=1), "seen_at": began},
        {"receiver": "b", "started_at": ended, "seen_at": now},
    ]
    tables.add(store, Heartbeat, runs)
    tables.deliveries(store, {"received_at": began - timedelta(minutes=5)})
    page = open_page("deliveries", span="7d")
    assert "Losing data: MindTickle has probably suspended the webhook" in headline(page)
    assert "No receiver was up" in why(page)
    assert "re-activate the webhook" in why(page)
    (ledger,) = [one.value for one in page.caption if "No receiver was up" in one.value]
    assert "for 28 h" in ledger
    assert "MindTickle has probably suspended the webhook." in ledger
    labels = [one.label for one in page.expander]
    assert "**MindTickle has probably suspended the webhook**" in labels
    shown = [*page.error, *page.warning, *page.caption, *page.markdown]
    assert not any("no failure suspended" in one.value for one in shown)


@pytest.mark.usefixtures("company")
def test_a_failed_delivery_is_listed_with_its_reason(open_page: Open, send: Send) -> None:
    refuse(send, 1)
    (row,) = listed(open_page("deliveries")).to_dict("records")
    assert row["words"] == "Wrong signature"
    assert "MINDTICKLE_WEBHOOK_SECRET" in row["reason"]
    assert row["event_type"] == "module.progress"
    assert not row["recovered"]


def test_every_delivery_is_on_one_of_the_pages_and_in_the_file(
    open_page: Open, store: Engine, files: dict[str, bytes]
) -> None:
    now = datetime.now(UTC)
    refused = {"outcome": "bad_signature", "status_code": 403, "reason": "It proves nothing."}
    tables.deliveries(
        store, *(refused | {"received_at": now - timedelta(seconds=n)} for n in range(230))
    )
    last = open_page("deliveries", view="deliveries", page="5")
    assert len(listed(last)) == 30
    assert "201–230 of 230" in [one.value for one in last.caption]
    assert files["deliveries.csv"].count(b"It proves nothing.") == 230


@pytest.mark.usefixtures("company")
def test_causes_count_events_and_attempts_and_give_their_commonest_reason(
    open_page: Open, send: Send
) -> None:
    refuse(send, 3)
    (cause,) = causes(open_page("deliveries"))
    assert (cause["cause"], cause["events"], cause["attempts"]) == ("Wrong signature", 3, 3)
    assert cause["open"] == 3
    assert "Admin > Integrations" in cause["reason"]


@pytest.mark.usefixtures("company")
def test_no_cell_of_an_accepted_delivery_is_unknown(open_page: Open) -> None:
    shown = listed(open_page("deliveries", which="all"))
    assert set(shown["reason"]) == {"–"}
    assert not shown.drop(columns="id", errors="ignore").isna().to_numpy().any()


def linked(page: AppTest) -> list[str]:
    return [one.label for one in page.get("page_link")]


@pytest.mark.usefixtures("company")
def test_the_notice_links_to_exactly_the_events_that_it_counts_until_they_are_dismissed(
    open_page: Open, store: Engine, send: Send
) -> None:
    refuse(send, 2)
    send("module.progress", {"userId": "u-1", "moduleId": "m-1", "progressPct": "odd"})
    assert "3 events missing since" in " ".join(linked(open_page()))
    page = open_page("deliveries", list="missing", since="2000-01-01T00:00:00+00:00")
    shown = listed(page)
    assert len(shown) == 3
    assert set(shown["words"]) == {"Wrong signature", "Not understood"}
    page.button(key="dismiss").click().run()
    assert page.success[-1].value == "No event is known to be missing here."
    assert any("leaves no trace" in one.value for one in page.caption)
    log = [(row.action, row.subject, row.detail) for row in stores.rows(store, AuditLog)]
    assert log == [("dismiss", "mindtickle", "3 missing events")]
    assert not [label for label in linked(open_page()) if "missing" in label]


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("wrong", [{"list": "nothing"}, {"list": "missing", "since": "monday"}])
def test_an_address_of_no_list_or_no_time_says_so(open_page: Open, wrong: dict[str, str]) -> None:
    page = open_page("deliveries", **wrong)
    assert any(one.value.startswith("T") and "address" in one.value for one in page.warning)


@pytest.mark.usefixtures("company")
def test_the_outcome_filter_in_the_address_limits_the_list(open_page: Open, send: Send) -> None:
    refuse(send, 1)
    send("module.progress", {"userId": "u-1"})
    page = open_page("deliveries", view="deliveries", outcome="unreadable")
    assert listed(page)["words"].tolist() == ["Not understood"]


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ines@ACME.example", 2),
        ("u-2", 2),
        ("192.0.2.7", 6),
        ("user.provisioned", 3),
        ("absent", 0),
    ],
)
def test_the_search_finds_deliveries_by_learner_address_or_type(
    open_page: Open, words: str, found: int
) -> None:
    page = open_page("deliveries", view="deliveries", which="all", search=words)
    frames = [one.value for one in page.dataframe if "event_key" in one.value.columns]
    assert sum(map(len, frames)) == found


@pytest.mark.usefixtures("company")
def test_a_long_list_of_chains_says_that_it_is_cut(
    open_page: Open, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "CHAINS_SHOWN", 2)
    refuse(send, 3)
    page = open_page("deliveries", view="chains")
    assert "The first 2 of 3." in [one.value for one in page.caption]


@pytest.mark.usefixtures("company")
def test_a_refused_event_is_in_the_chains_until_it_is_recovered(
    open_page: Open, send: Send
) -> None:
    refuse(send, 1)
    (row,) = listed(open_page("deliveries", view="chains")).to_dict("records")
    assert (row["attempt"], row["state"]) == ("1 of 5", "waiting for a retry")


@pytest.mark.usefixtures("company")
def test_a_delivery_has_an_address_that_shows_the_request_and_the_answer(
    open_page: Open, store: Engine, send: Send
) -> None:
    refuse(send, 1)
    page = open_page("deliveries", delivery="7")
    assert page.subheader[0].value == "Wrong signature, answered 403"
    headers, body = (block.value for block in page.code[-2:])
    assert '"x-mt-webhook-signature": "••••"' in headers
    assert '"moduleName": "Discovery calls"' in body
    assert any("Attempt 1 of 5 by MindTickle" in one.value for one in page.caption)


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("asked", ["9999", "-1", "x", "²", "9" * 40])
def test_an_address_of_no_delivery_breaks_nothing(open_page: Open, asked: str) -> None:
    page = open_page("deliveries", delivery=asked)
    assert not page.subheader


@pytest.mark.usefixtures("company")
def test_asking_for_a_replay_writes_a_request_for_a_receiver_and_an_entry_in_the_audit_log(
    open_page: Open, store: Engine, send: Send
) -> None:
    refuse(send, 2)
    page = open_page("deliveries", view="quarantine")
    page.button(key="dry_mindtickle").click().run()
    request = stores.row(store, ReplayRequest)
    assert (request.vendor, request.outcome, request.dry_run, request.state) == (
        "mindtickle",
        "bad_signature",
        True,
        "requested",
    )
    assert any("Dry run of wrong signature" in one.value for one in page.caption)
    assert page.button(key="do_mindtickle").disabled
    entry = stores.row(store, AuditLog)
    assert (entry.action, entry.subject, entry.detail) == (
        "ask for replay dry run",
        "mindtickle",
        "bad_signature",
    )


@pytest.mark.usefixtures("company")
def test_the_cure_is_steps_of_which_a_click_does_the_dry_run(
    open_page: Open, store: Engine, send: Send
) -> None:
    refuse(send, 6)
    page = open_page("deliveries")
    steps = [one.value for one in page.markdown if "Restart the receiver:" in one.value]
    assert "Set the new secret: then restart the receiver" in steps[0]
    assert "Replay: after a dry run" in steps[0]
    assert page.button(key="step_replay_mindtickle_bad_signature").disabled
    page.button(key="step_dry run_mindtickle_bad_signature").click().run()
    request = stores.row(store, ReplayRequest)
    assert (request.outcome, request.dry_run, request.state) == ("bad_signature", True, "requested")
    assert any("Dry run: requested: 0 events" in said(one.value) for one in page.markdown)


def dry_run(store: Engine, taken: int, refused: int = 0, **more: Any) -> None:
    """A dry run that a receiver has done."""
    row = {
        "vendor": "mindtickle", "outcome": "bad_signature", "dry_run": True, "requested_by": "ada",
        "requested_at": datetime.now(UTC), "state": "done", "taken": taken, "already_delivered": 0,
        "still_refused": refused, "refused_as": f'{{"bad_signature": {refused}}}',
    }  # fmt: skip
    tables.add(store, ReplayRequest, [row | more])


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("query", "key"),
    [
        ({}, "step_replay_mindtickle_bad_signature"),
        ({"view": "quarantine"}, "do_mindtickle"),
    ],
)
def test_a_replay_is_confirmed_by_the_number_of_its_dry_run_and_the_audit_log_has_it(
    open_page: Open, store: Engine, send: Send, query: dict[str, str], key: str
) -> None:
    refuse(send, 6)
    dry_run(store, 5, refused=1)
    page = open_page("deliveries", **query)
    shown = [said(one.value) for one in (*page.markdown, *page.success)]
    assert any(
        "5 events would be accepted, 1 delivery still refused (1 wrong signature)" in one
        for one in shown
    )
    assert page.button(key=key).label == "Replay 5 events"
    page.button(key=key).click().run()
    latest = stores.rows(store, ReplayRequest)[-1]
    assert (latest.dry_run, latest.outcome, latest.state) == (False, "bad_signature", "requested")
    entry = stores.row(store, AuditLog)
    assert (entry.action, entry.detail) == (
        "ask for replay",
        "bad_signature; 5 confirmed after a dry run",
    )
    assert page.button(key=key).disabled


@pytest.mark.usefixtures("company")
def test_a_dry_run_that_accepts_nothing_confirms_no_replay(
    open_page: Open, store: Engine, send: Send
) -> None:
    refuse(send, 6)
    dry_run(store, 0, refused=6)
    page = open_page("deliveries", view="quarantine")
    assert "Fix the cause first" in page.warning[0].value
    assert page.button(key="do_mindtickle").disabled


@pytest.mark.usefixtures("company")
def test_a_dry_run_from_before_the_receivers_last_start_confirms_no_replay(
    open_page: Open, store: Engine, send: Send
) -> None:
    refuse(send, 6)
    now = datetime.now(UTC)
    dry_run(store, 5, requested_at=now - timedelta(minutes=5))
    run = {"receiver": "b", "started_at": now - timedelta(minutes=1), "seen_at": now}
    tables.add(store, Heartbeat, [run])
    assert open_page("deliveries", view="quarantine").button(key="do_mindtickle").disabled


@pytest.mark.usefixtures("company")
def test_a_replay_confirmed_by_an_older_dry_run_is_not_asked_for(
    open_page: Open, store: Engine, send: Send
) -> None:
    refuse(send, 6)
    dry_run(store, 5)
    page = open_page("deliveries", view="quarantine")
    dry_run(store, 4)
    page.button(key="do_mindtickle").click().run()
    assert len(stores.rows(store, ReplayRequest)) == 2
    assert "out of date" in page.toast[0].value


@pytest.mark.usefixtures("company")
def test_a_finding_is_in_the_card_of_its_severity_and_information_is_folded_away(
    open_page: Open, send: Send, store: Engine
) -> None:
    now = datetime.now(UTC)
    take(store, [Incoming({}, b"1", "192.0.2.1", now)], vendor("any"))
    refuse(send, 6)
    page = open_page("deliveries")
    badges = [one.value for one in page.markdown if " · " in one.value and "badge" in one.value]
    assert any("Act now · 1" in one for one in badges), badges
    (folded,) = [one for one in page.expander if one.label.startswith("For information · ")]
    assert not folded.proto.expanded
    assert "**1 requests of strangers refused**" in [one.label for one in folded.expander]


@pytest.mark.usefixtures("company")
def test_a_card_of_a_vendor_has_its_standing_rate_last_delivery_and_suspension(
    open_page: Open, send: Send
) -> None:
    refuse(send, 6)
    page = open_page("deliveries")
    (rate,) = page.metric
    assert (rate.value, rate.delta) == ("50 %", "6 of 12 deliveries")
    written = " ".join(one.value for one in page.markdown)
    assert "Failing" in written
    assert re.search(r"Last delivery \d+ s ago, failed", written)
    (clock,) = page.get("progress")
    assert "Suspended in 23 h 59 min" in clock.proto.text


@pytest.mark.usefixtures("company")
def test_a_filter_that_matches_nothing_can_be_cleared(open_page: Open) -> None:
    page = open_page("deliveries", outcome="too_large")
    assert "No matching deliveries" in page.info[0].value
    page.button(key="clear").click().run()
    assert "outcome" not in page.query_params


def test_payload_text_reaches_no_markdown_and_no_html(
    open_page: Open, store: Engine, send: Send
) -> None:
    with send.at_once():
        send("user.provisioned", {"userId": HOSTILE, "email": HOSTILE, "teamId": HOSTILE})
        send("module.progress", playing.progress(HOSTILE, moduleId=HOSTILE, moduleName=HOSTILE))
    graded = {"score": 1, "maxScore": 10, "passed": False}
    with send.at_once():
        send("quiz.submitted", {"userId": HOSTILE, "quizId": HOSTILE, "quizName": HOSTILE} | graded)
        send(HOSTILE, {"userId": HOSTILE}, secret="wrong")
    assert stores.count(store, QuizAttempt) == 1
    pages = [open_page(name) for name in ("leaderboard", "coaching")]
    pages += [
        open_page("deliveries", view=view, delivery=delivery)
        for view in ("chains", "deliveries", "quarantine", "missing", "strangers")
        for delivery in ("1", "4")
    ]
    for page in pages:
        rendered = [*page.markdown, *page.caption, *page.success, *page.warning, *page.info]
        rendered += [*page.error, *page.subheader, *page.title]
        texts = [element.value for element in rendered]
        texts += [str(cell) for table in page.table for cell in table.value.to_numpy().ravel()]
        assert not any(re.search(r"(?<!\\)<img", text) for text in texts)
        (style,) = page.html
        assert re.fullmatch(r"<style>[^<]*</style>", style.proto.body)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1"])
def test_a_cell_that_a_spreadsheet_would_run_is_downloaded_as_text(cell: str) -> None:
    assert _no_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["\t=1", "\r=1", "\n=1", "unknown (\t=1)"])
def test_a_cell_of_a_download_has_one_line_and_no_tab(cell: str) -> None:
    assert not re.search(r"[\t\r\n]", _no_formula(cell))
    assert not _no_formula(cell).startswith("=")


def test_a_harmless_cell_is_downloaded_as_it_is() -> None:
    assert _no_formula("dana@acme.example") == "dana@acme.example"


@pytest.fixture
def two_vendors(store: Engine) -> None:
    """MindTickle is refused for its signature, Lessonly for its credential."""
    usual = {"received_at": datetime.now(UTC), "event_key": None, "status_code": 403,
             "reason": "It proves nothing."}  # fmt: skip
    tables.deliveries(
        store,
        usual | {"outcome": "bad_signature"},
        usual | {"outcome": "wrong_credentials", "vendor": "lessonly"},
    )


@pytest.mark.usefixtures("two_vendors")
def test_with_several_vendors_each_delivery_and_finding_names_its_vendor(open_page: Open) -> None:
    page = open_page("deliveries")
    assert set(listed(page)["vendor"]) == {"MindTickle", "Seismic Learning (Lessonly)"}
    titles = [said(one.label) for one in page.expander]
    assert any(title.endswith("** · Seismic Learning (Lessonly)") for title in titles)


@pytest.mark.usefixtures("two_vendors")
def test_findings_that_lose_events_come_first_of_all_vendors(open_page: Open, send: Send) -> None:
    refuse(send, 6)
    shown = open_page("deliveries")
    titles = [one.label for one in shown.expander if one.label.startswith("**")]
    assert titles[0] == "**The signing secret was probably rotated** · MindTickle"
    assert any("Seismic Learning" in title for title in titles[1:])


@pytest.mark.usefixtures("two_vendors")
def test_each_cause_has_its_vendor_and_each_finding_links_to_its_deliveries_of_the_window(
    open_page: Open,
) -> None:
    page = open_page("deliveries", span="7d")
    assert sorted((row["vendor"], row["cause"]) for row in causes(page)) == [
        ("MindTickle", "Wrong signature"),
        ("Seismic Learning (Lessonly)", "Wrong credentials"),
    ]
    links = [dict(parse_qsl(one.proto.url[1:])) for one in page.get("link_button")]
    assert {(one["vendor"], one["span"]) for one in links} == {
        ("mindtickle", "7d"),
        ("lessonly", "7d"),
    }


@pytest.mark.usefixtures("two_vendors")
def test_only_a_vendor_that_suspends_has_a_bar_for_it(open_page: Open) -> None:
    page = open_page("deliveries", vendor="lessonly")
    assert not page.get("progress")
    assert any("Never suspends" in one.value for one in page.markdown)


@pytest.mark.usefixtures("two_vendors")
def test_the_vendor_filter_limits_verdict_and_list(open_page: Open) -> None:
    page = open_page("deliveries", view="deliveries", vendor="lessonly")
    assert "of 1 delivery accepted" in why(page)
    assert listed(page)["words"].tolist() == ["Wrong credentials"]


@pytest.mark.usefixtures("company")
def test_requests_to_unknown_addresses_are_one_line_with_their_latest_path_as_text(
    open_page: Open, store: Engine
) -> None:
    at = datetime.now(UTC)
    hour = at.replace(minute=0, second=0, microsecond=0)
    path = "/webhooks/**x**[a](http://evil.example)"
    unknown = {"hour": hour, "requests": 1_200, "latest_at": at, "latest_path": path}
    tables.add(store, UnknownAddress, [unknown])
    page = open_page("deliveries")
    (line,) = [one.value for one in page.caption if "unknown addresses" in one.value]
    assert "1,200 requests to unknown addresses below /webhooks/ in the last 24 " in line
    assert path not in line
    assert plain(path) in line


@pytest.mark.parametrize(
    ("outcome", "says", "body"),
    [
        ("bad_signature", "Body", "(not stored)"),
        ("too_large", "Body", "(not stored)"),
        ("duplicate", "Body of delivery 1, of which this is a duplicate", "{}"),
        ("accepted", "Body", "{}"),
    ],
)
def test_a_delivery_shows_its_own_body_or_says_whose_it_is_or_that_it_is_not_stored(
    open_page: Open, store: Engine, outcome: str, says: str, body: str
) -> None:
    tables.deliveries(store, {"event_key": "e-1"}, {"event_key": "e-1", "outcome": outcome})
    tables.event(store, "e-1", delivery_id=2 if outcome == "accepted" else 1)
    page = open_page("deliveries", delivery="2")
    assert says in [one.value for one in page.caption]
    assert page.code[-1].value == body


@pytest.mark.usefixtures("company")
def test_a_type_that_no_longer_arrives_is_the_headline(open_page: Open, store: Engine) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    days = [(hour - timedelta(days=day), day) for day in range(13)]
    rows = [
        {
            "vendor": "mindtickle",
            "event_type": name,
            "hour": at,
            "field": "",
            "shape": "",
            "events": 9,
        }
        for at, day in days
        for name in ("module.progress", "quiz.submitted")
        if name == "module.progress" or day > 3
    ]
    with store.begin() as connection:
        newest = connection.scalar(select(func.max(table_of(Event).c.id)))
        connection.execute(insert(table_of(FieldHourly)), rows)
        connection.execute(insert(table_of(FieldCheckpoint)).values(id=1, event_id=newest))
    page = open_page("deliveries")
    assert headline(page).endswith("Check MindTickle: quiz.submitted no longer arrives")


@pytest.mark.usefixtures("company")
def test_the_checklist_says_what_is_set_up_of_each_vendor_and_has_a_test(
    open_page: Open, store: Engine
) -> None:
    with store.begin() as connection:
        only = table_of(Vendor).update().where(table_of(Vendor).c.slug == "mindtickle")
        connection.execute(only.values(configured=True))
    page = open_page("deliveries", view="checklist")
    assert not page.exception
    assert any("**Next:**" in one.value for one in page.markdown)
    cells = " ".join(str(cell) for one in page.table for cell in one.value.to_numpy().ravel())
    assert "Done. MINDTICKLE_WEBHOOK_SECRET is set." in said(cells)
    assert "accepted." in said(cells)
    assert [one.key for one in page.button if str(one.key).startswith("test_")] == [
        "test_mindtickle"
    ]
