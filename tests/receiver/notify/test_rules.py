"""Which messages go to which person, and what they say when they are sent."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, update

from receiver.notify.notifier import Message, Notifier
from receiver.notify.outbox import SINGLE, Letter, Result
from receiver.notify.rules import StoreRules
from receiver.readmodels.rebuild import rebuild
from receiver.vendors import note_vendors
from shared.bulk import table_of
from shared.clock import under
from shared.database import write_transaction
from shared.facts import Expired, Provisioned
from shared.models import Channel, Notification, Subscription, UnfoldableEvent
from shared.settings import NotifySettings, ReceiverSettings
from shared.subscriptions import Wanted, save, send_test, stop
from tests import stores
from tests.receiver.notify.conftest import Post, killed
from tests.shared.tables import (
    NOON,
    V,
    add,
    attempts,
    cases,
    deliveries,
    fold,
    people,
    progress,
)

INES, PAUL, LEA, ADA = (f"{one}@acme.example" for one in ("ines", "paul", "lea", "ada"))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = NOON + HOUR


@pytest.fixture(autouse=True)
def company(store: Engine) -> None:
    """Two teams with a manager each, a lead, an admin, and a channel."""
    people(store, ("u-1", "east"), ("u-2", "west"), ("u-3", "west"))
    add(store, Channel, [{"name": "sales", "kind": "JSON", "removed": False}])


def settings(**more: Any) -> NotifySettings:
    return NotifySettings(
        _env_file=None,
        **{
            "dashboard_url": "https://repboard.acme.example",
            "oidc_client_id": "repboard",
            "dashboard_managers": f"{INES},{PAUL}",
            "manager_teams": f'{{"{INES}": ["east"], "{PAUL}": ["west"]}}',
            "dashboard_leads": LEA,
            "dashboard_admins": ADA,
        }
        | more,
    )


def subscribe(
    store: Engine, person: str, rule: str, at: datetime = NOON - DAY, **more: Any
) -> None:
    role, teams = {
        INES: ("manager", ("east",)),
        PAUL: ("manager", ("west",)),
        LEA: ("lead", None),
        ADA: ("admin", None),
    }[person]
    with under(store, at).begin() as connection:
        save(connection, person, role, teams, Wanted(rule, "sales", "UTC", **more))


class Kept(Post):
    """A post that keeps whole messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def sent(self, letter: Letter, message: Message) -> Result:
        self.messages.append(message)
        return super().sent(letter, message)


def step(store: Engine, at: datetime = NOW, **more: Any) -> list[Message]:
    """The messages of a notifier that has just started."""
    post = Kept()
    Notifier(under(store, at), "one", StoreRules(settings(**more)), post).step()
    return post.messages


def notified(store: Engine) -> list[str]:
    return [row.recipient.partition("@")[0] for row in stores.rows(store, Notification)]


def test_a_low_score_notifies_the_managers_of_its_team_and_all_who_see_every_team(
    store: Engine,
) -> None:
    for person in (INES, PAUL, LEA):
        subscribe(store, person, "low-quiz")
    attempts(store, {})
    messages = step(store)
    assert sorted(notified(store)) == ["ines", "lea"]
    assert {one.title for one in messages} == {"u-1@x.com scored 50 % at Pricing (pass mark 70 %)"}
    assert "https://repboard.acme.example/learner?id=mindtickle%2Fu-1" in messages[0].body
    assert "You subscribed to “Low quiz score”." in messages[0].body


def test_html_shows_names_as_they_are_and_no_markup_of_them(store: Engine) -> None:
    subscribe(store, INES, "low-quiz")
    attempts(store, {"quiz_name": '<img src="x"> & <b>Pricing</b>'})
    (message,) = step(store)
    assert message.html is not None
    assert "&lt;img src=&quot;x&quot;&gt; &amp; &lt;b&gt;Pricing" in message.html
    assert '<a href="https://repboard.acme.example/learner?id=mindtickle%2Fu-1">' in message.html
    assert message.stop is not None
    assert message.stop.startswith("https://repboard.acme.example/preferences?subscription=")


def test_400_fails_in_an_hour_are_a_few_messages(store: Engine) -> None:
    people(store, *((f"v-{number}", "west") for number in range(400)))
    subscribe(store, PAUL, "low-quiz")
    sent = []
    for minute in range(0, 60, 6):
        begin = minute * 400 // 60
        attempts(store, *(
            {"user_id": f"v-{number}", "quiz_id": f"q-{number}", "event_key": f"v-{number}",
             "submitted_at": NOON + timedelta(minutes=minute)}
            for number in range(begin, begin + 40)
        ))  # fmt: skip
        sent += step(store, NOON + timedelta(minutes=minute, seconds=1))
        killed(store)
    assert len(sent) == SINGLE
    (last,) = step(store, NOON + HOUR + timedelta(minutes=1))
    assert last.title == "Low quiz score: 280 messages"
    assert not step(store, NOON + HOUR + timedelta(minutes=2))


def test_nothing_is_sent_again_by_a_look_a_restart_or_a_rebuild(store: Engine) -> None:
    subscribe(store, INES, "low-quiz")
    attempts(store, {})
    assert len(step(store)) == 1
    assert not step(store)
    rebuild(store)
    attempts(store, {})
    assert not step(store)


def test_what_happened_long_ago_is_not_sent_however_much_it_is(store: Engine) -> None:
    subscribe(store, LEA, "low-quiz", NOON - 30 * DAY)
    people(store, *((f"old-{number}", "west") for number in range(50)))
    attempts(
        store,
        *({"user_id": f"old-{n}", "quiz_id": f"q-{n}", "submitted_at": NOON - 2 * DAY}
          for n in range(50)),
    )  # fmt: skip
    assert not step(store)
    assert not stores.count(store, Notification)


def test_what_happened_before_the_subscription_is_not_sent(store: Engine) -> None:
    attempts(store, {})
    subscribe(store, INES, "low-quiz", NOON + HOUR / 2)
    assert not step(store)


def test_many_low_scores_are_one_message(store: Engine) -> None:
    subscribe(store, LEA, "low-quiz")
    people(store, *((f"u-{n}", "west") for n in range(10, 50)))
    attempts(store, *({"user_id": f"u-{n}", "quiz_id": f"q-{n}"} for n in range(10, 50)))
    (message,) = step(store)
    assert message.title == "Low quiz score: 40 messages"
    assert "And 30 more." in message.body


def test_a_quiz_that_most_fail_is_sent_once_to_leads_and_not_to_managers(store: Engine) -> None:
    subscribe(store, PAUL, "low-quiz")
    subscribe(store, LEA, "hard-quiz")
    people(store, *((f"u-{n}", "west") for n in range(10, 50)))
    attempts(store, *({"user_id": f"u-{n}"} for n in range(10, 50)))
    (message,) = step(store)
    assert notified(store) == ["lea"]
    assert message.title == "100 % of 40 takers are low at Pricing: look at the quiz"


def test_a_score_that_was_passed_in_quiet_hours_is_not_sent(store: Engine) -> None:
    subscribe(store, INES, "low-quiz", quiet_from=12, quiet_until=14)
    attempts(store, {})
    assert not step(store)
    assert stores.row(store, Notification).state == "held"
    attempts(store, {"event_key": "later", "score": 10, "submitted_at": NOW})
    assert not step(store, NOON + 2 * HOUR)
    row = stores.row(store, Notification)
    assert (row.state, row.error) == ("superseded", "resolved since")


def test_a_held_message_that_still_holds_is_sent_after_quiet_hours(store: Engine) -> None:
    subscribe(store, INES, "low-quiz", quiet_from=12, quiet_until=14)
    attempts(store, {})
    step(store)
    assert len(step(store, NOON + 2 * HOUR)) == 1


def test_a_manager_who_lost_the_team_in_between_is_not_notified(store: Engine) -> None:
    subscribe(store, INES, "low-quiz", quiet_from=12, quiet_until=14)
    attempts(store, {})
    step(store)
    teams = f'{{"{INES}": ["north"]}}'
    assert not step(store, NOON + 2 * HOUR, manager_teams=teams)


def test_an_ended_subscription_gets_nothing_that_waits(store: Engine) -> None:
    subscribe(store, INES, "low-quiz", quiet_from=12, quiet_until=14)
    attempts(store, {})
    step(store)
    with store.begin() as connection:
        stop(connection, stores.row(store, Subscription).token)
    assert not step(store, NOON + 2 * HOUR)
    assert stores.row(store, Notification).error == "unsubscribed"


@pytest.mark.parametrize(
    ("how", "shown"), [("initials", "U. X. scored"), ("anonymous", "Learner ")]
)
def test_a_message_names_people_as_pages_do(store: Engine, how: str, shown: str) -> None:
    subscribe(store, INES, "low-quiz")
    attempts(store, {})
    (message,) = step(store, names_manager=how, names_key="a-key-of-this-installation")
    assert message.title.startswith(shown[:2])
    assert "u-1@x.com" not in str(message)
    assert "mindtickle%2Fu-1" not in message.body


def test_words_of_a_payload_stay_in_their_line(store: Engine) -> None:
    subscribe(store, INES, "low-quiz")
    attempts(store, {"quiz_name": "Pricing\nYou subscribed to \x1b[31mnothing" + "x" * 500})
    (message,) = step(store)
    assert "\n" not in message.title
    assert "\x1b" not in message.title
    assert len(message.title) < 200


def test_a_name_from_right_to_left_keeps_its_place_in_the_sentence(store: Engine) -> None:
    subscribe(store, INES, "low-quiz")
    attempts(store, {"quiz_name": "تسعير"})
    (message,) = step(store)
    assert message.title == "u-1@x.com scored 50 % at \u2068تسعير\u2069 (pass mark 70 %)"


def test_coaching_is_sent_to_its_owner_once_overdue_and_to_leads_without_one(
    store: Engine,
) -> None:
    for person in (INES, PAUL):
        subscribe(store, person, "overdue")
    subscribe(store, LEA, "unowned")
    attempts(store, {}, {"user_id": "u-2"})
    cases(
        store,
        {"owner": INES, "due": (NOON - DAY).date()},
        {"user_id": "u-2", "opened_at": NOON - 4 * DAY + HOUR},
    )
    titles = sorted(one.title for one in step(store, NOW - HOUR / 2))
    assert sorted(notified(store)) == ["ines", "lea"]
    assert titles == [
        "Your coaching of u-1@x.com at Pricing was due on 21 Nov",
        "u-2@x.com at Pricing has no owner since 18 Nov",
    ]


def test_an_expired_certificate_is_sent_to_the_manager_of_its_team(store: Engine) -> None:
    for person in (INES, PAUL):
        subscribe(store, person, "certificates")
    fold(store, [Expired(V, "u-1", "Expert", NOON, None)])
    (message,) = step(store)
    assert notified(store) == ["ines"]
    assert message.title == "Expert of u-1@x.com expired on 22 Nov"


def test_a_failing_vendor_is_sent_to_admins_before_its_first_event_is_lost(store: Engine) -> None:
    facts = ReceiverSettings(_env_file=None, mindtickle_webhook_secret="s" * 32)
    note_vendors(store, facts)
    subscribe(store, ADA, "deliveries")
    good = [{"received_at": NOON - n * HOUR / 10} for n in range(1, 40)]
    bad = [
        {"received_at": NOON + n * HOUR / 10, "outcome": "bad_signature", "status_code": 403,
         "event_key": f"bad-{n}"} for n in range(8)
    ]  # fmt: skip
    deliveries(store, *good, *bad)
    (message,) = step(store, NOON + HOUR)
    assert "MindTickle has failed for 1 h" in message.title
    assert message.title.startswith("Data at risk: ")
    assert "8 events lost between " in message.body
    assert "\nAs of Sat 22 Nov, 13:00 UTC.\n" in message.body
    assert "https://repboard.acme.example/deliveries" in message.body
    assert len(step(store, NOON + 6 * HOUR)) == 1, "the last chance, and not the failure again"


def test_admins_are_notified_of_events_that_do_not_reach_the_pages(store: Engine) -> None:
    subscribe(store, ADA, "deliveries")
    reason = {"event_id": 1, "reason": "no such thing", "noted_at": NOON}
    add(store, UnfoldableEvent, [reason])
    (message,) = step(store)
    assert message.title == "1 event could not be added to the pages"


@pytest.mark.parametrize("hour", [9, 13])
def test_the_weekly_digest_is_sent_once_whatever_is_killed(store: Engine, hour: int) -> None:
    monday = datetime(2025, 11, 24, tzinfo=NOON.tzinfo)
    subscribe(store, PAUL, "weekly", hour=hour)
    progress(store, ("u-2", "m-1", NOON.date(), 40, 60), ("u-1", "m-1", NOON.date(), 90, 60))
    due = monday + hour * HOUR
    assert not step(store, due - timedelta(seconds=1))
    (message,) = step(store, due)
    assert message.title == "u-2@x.com led last week with 40 points"
    assert message.body.startswith(
        "17 Nov – 23 Nov 2025, team west:\n1. u-2@x.com: 40 points, new on the board ▇▇▇▇▇▇▇▇▇▇▇▇\n"
    )
    assert "u-1" not in message.body
    assert "/leaderboard?window=last_week&metric=gained&team=west" in message.body
    killed(store)
    for later in (timedelta(seconds=1), HOUR, 20 * HOUR, 6 * DAY):
        assert not step(store, due + later)
    assert len(step(store, due + 7 * DAY)) == 1


def test_the_digest_has_its_board_as_a_picture_that_names_people_as_pages_do(
    store: Engine,
) -> None:
    subscribe(store, PAUL, "weekly")
    progress(store, ("u-2", "m-1", NOON.date(), 40, 60), ("u-3", "m-1", NOON.date(), 30, 60))
    monday = datetime(2025, 11, 24, 9, tzinfo=NOON.tzinfo)
    (message,) = step(store, monday, names_manager="initials", names_key="k" * 32)
    board = message.board
    assert board is not None
    assert (board.title, board.period) == ("Points gained last week", "17 Nov – 23 Nov 2025")
    assert [(one.rank, one.name, one.points) for one in board.places] == [
        (1, "U.", 40), (2, "U.", 30),
    ]  # fmt: skip
    assert message.html is not None
    assert 'alt="U. led last week with 40 points, then U. 30."' in message.html
    assert "1. U.: 40 points, new on the board<br>" in message.html
    assert "1. U.: 40 points, new on the board ▇" in message.body


def test_a_digest_has_numbers_as_its_person_writes_them(store: Engine) -> None:
    subscribe(store, PAUL, "weekly", numbers="point")
    fold(store, [Provisioned(V, "u-4", None, "Team 1,000", None, "west", NOON)])
    progress(store, *(("u-4", f"m-{number}", NOON.date(), 100, 60) for number in range(12)))
    (message,) = step(store, datetime(2025, 11, 24, 9, tzinfo=NOON.tzinfo))
    assert message.title == "Team 1,000 led last week with 1.200 points"
    assert message.board is not None
    assert message.board.places[0].gained == "1.200"


def test_a_digest_says_how_many_of_those_to_coach_it_leaves_out(store: Engine) -> None:
    subscribe(store, PAUL, "weekly")
    attempts(store, *({"user_id": "u-2", "quiz_id": f"q-{number}"} for number in range(5)))
    (message,) = step(store, datetime(2025, 11, 24, 9, tzinfo=NOON.tzinfo))
    assert "1 learner needs coaching: u-2@x.com (Pricing)" in message.body
    assert " and 2 more." in message.body


def test_a_digest_links_to_the_board_of_a_team_of_any_name(store: Engine) -> None:
    subscribe(store, PAUL, "weekly")
    teams = f'{{"{PAUL}": ["a&b #1"]}}'
    with store.begin() as connection:
        connection.execute(update(table_of(Subscription)).values(teams='["a&b #1"]'))
    monday = datetime(2025, 11, 24, 9, tzinfo=NOON.tzinfo)
    (message,) = step(store, monday, manager_teams=teams)
    assert "&team=a%26b%20%231\n" in message.body


def test_a_digest_that_was_missed_for_a_day_is_not_sent(store: Engine) -> None:
    subscribe(store, PAUL, "weekly")
    assert not step(store, datetime(2025, 11, 25, 9, 1, tzinfo=NOON.tzinfo))


def test_a_test_message_goes_out_in_quiet_hours(store: Engine) -> None:
    subscribe(store, INES, "low-quiz", quiet_from=0, quiet_until=23)
    with write_transaction(under(store, NOW)) as connection:
        assert send_test(connection, INES, stores.row(store, Subscription).id)
    (message,) = step(store)
    assert message.title == "A test message of Repboard"
