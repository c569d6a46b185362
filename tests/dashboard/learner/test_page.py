"""The page of one learner, as a browser is sent it."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from dashboard.base.pieces import plain
from dashboard.learner import data
from shared import coaching
from shared.facts import Completed, Deprovisioned, Expired, Identified
from shared.models import CoachingCase
from shared.queries.quiz_standings import Taker
from tests import playing
from tests.dashboard.conftest import Open, Send
from tests.hostile import HOSTILE
from tests.pages import rows, written
from tests.shared.tables import V, add, attempts, fold

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
DANA = f"{V}/u-1"
LATELY = ["face", "learner", "gained", "completed", "team_id"]


@pytest.mark.usefixtures("company")
def test_a_learner_has_an_address_that_says_who_it_is_and_where_they_stand(
    open_page: Open, send: Send
) -> None:
    with send.at_once():
        for n, score in enumerate((9, 4)):
            graded = {"score": score, "maxScore": 10, "passed": score > 6}
            send(
                "quiz.submitted",
                {"userId": "u-1", "quizId": f"q-{n}", "quizName": "Q"} | graded,
                2 - n,
            )
    page = open_page("learner", id=DANA)
    assert (
        page.title[0].value
        == f"{plain('dana@acme.example')} is 1st of 3 active learners in the last 7 days"
    )
    said = written(page)
    assert ":gray-badge[west] :gray-badge[rep] :gray-badge[since" in said
    assert ":gray-badge[MindTickle]" in said
    assert "**0 of 1 modules** completed so far, 90 % on average." in said
    assert "**1 of 2 quizzes** low at the latest try." in said
    (module,) = rows(page, "progress_pct")
    assert (module["module_name"], module["progress_pct"]) == ("Discovery calls", 90)
    assert module["time"] == "10 min"
    assert [row["quiz"] for row in rows(page, "result")] == ["Q (q-1)", "Q (q-0)"]


@pytest.mark.usefixtures("company")
def test_of_a_learner_without_a_name_the_page_says_where_to_look_the_id_up(
    open_page: Open, send: Send
) -> None:
    send("module.progress", playing.progress("u-9"))
    page = open_page("learner", id="mindtickle/u-9")
    assert page.title[0].value.startswith(f"{plain('Learner u-9 (no name)')} is ")
    assert "No name was sent yet: an admin can look up this user ID at MindTickle." in written(page)


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("asked", ["mindtickle/absent", "u-1", "/", "%", "mindtickle/\0", HOSTILE])
def test_an_unknown_address_says_so_and_offers_the_search(open_page: Open, asked: str) -> None:
    page = open_page("learner", id=asked)
    assert page.warning[0].value == "No learner with this ID, or not on your teams."
    assert page.title[0].value == "Find a person"
    assert page.text_input[0].label == "Find a learner"
    assert [list(one.value) for one in page.dataframe] == [LATELY]


@pytest.mark.usefixtures("company")
def test_without_an_id_people_who_were_lately_active_are_offered(open_page: Open) -> None:
    page = open_page("learner")
    assert page.title[0].value == "Find a person"
    offered = page.dataframe[0].value[["learner", "team_id"]].itertuples(index=False)
    assert ("dana@acme.example", "west") in map(tuple, offered)


@pytest.mark.usefixtures("company")
def test_who_made_no_progress_in_the_period_has_no_rank_there(open_page: Open) -> None:
    page = open_page("learner", id=DANA, window="today")
    assert page.title[0].value == f"{plain('dana@acme.example')} has no activity today yet"


@pytest.mark.usefixtures("company")
def test_each_figure_of_a_learner_says_of_what_time_it_is(open_page: Open) -> None:
    page = open_page("learner", id=DANA)
    assert [one.label for one in page.metric] == [
        "Points in the last 7 days",
        "Modules completed so far",
        "Quizzes passed so far",
        "Certificates to renew in 30 days",
    ]
    first = datetime.now(UTC) - timedelta(days=6)
    said = [one.value for one in page.caption if one.value.startswith("Rank and points ")]
    assert said[0].startswith(
        f"Rank and points since {first:%a %-d %b}, 00:00 UTC, against the same "
    )
    assert said[0].endswith("All else on this page is as of now, whatever the period.")


@pytest.mark.usefixtures("company")
def test_a_search_leads_to_the_learner(open_page: Open) -> None:
    page = open_page("learner", find="DANA")
    (link,) = page.get("page_link")
    assert link.label == plain("dana@acme.example · west")
    assert "mindtickle%2Fu-1" in link.proto.query_string
    page.text_input[0].set_value("zoe").run()
    assert "No learner with this" in page.info[0].value


@pytest.mark.usefixtures("company")
def test_one_person_of_two_vendors_who_has_left_is_shown_as_that(
    open_page: Open, store: Engine
) -> None:
    mail = "dana@acme.example"
    fold(
        store,
        [
            Identified("lessonly", "7", mail, "Dana Brooks", NOW),
            Deprovisioned(V, "u-1", mail, NOW - 2 * DAY, "moved on"),
        ],
    )
    page = open_page("learner", id="lessonly/7")
    assert page.title[0].value == f"Dana Brooks left on {NOW - 2 * DAY:%-d %B %Y}"
    assert ":orange-badge[:material/logout: left, still learns for no team]" in written(page)
    changes = [(row["kind"], row["team_id"], row["reason"]) for row in rows(page, "reason")]
    assert changes == [("Left", "–", "moved on"), ("Joined or moved", "west", "–")]
    assert [row["user_id"] for row in rows(page, "user_id")] == ["7", "u-1"]


@pytest.mark.usefixtures("company")
def test_certificates_tell_the_days_that_are_left(open_page: Open, store: Engine) -> None:
    fold(
        store,
        [
            Expired(V, "u-1", "late", NOW - 9 * DAY, NOW - 3 * DAY),
            Expired(V, "u-1", "soon", NOW - 9 * DAY, NOW + 12 * DAY),
            Expired(V, "u-1", "far", NOW - 9 * DAY, NOW + 70 * DAY),
            Expired(V, "u-1", "free", NOW - 9 * DAY, None),
        ],
    )
    page = open_page("learner", id=DANA)
    assert [(row["cert_name"], row["stands"]) for row in rows(page, "stands")] == [
        ("late", "⚠ Overdue by 3 days"),
        ("soon", "◔ Due in 12 days"),
        ("far", "○ 70 days left"),
        ("free", "○ No deadline known"),
    ]
    assert "**1 overdue**, 1 due within 30 days." in written(page)


@pytest.mark.usefixtures("company")
def test_open_coaching_is_listed_and_counted(open_page: Open, store: Engine) -> None:
    case = {"vendor": V, "user_id": "u-1", "quiz_id": "q-1", "status": "in_progress",
            "owner": "Lea", "flagged_pct": 40, "opened_at": NOW, "opened_by": "lea",
            "updated_at": NOW, "updated_by": "lea", "version": 1}  # fmt: skip
    attempts(store, {})
    add(store, CoachingCase, [case])
    page = open_page("learner", id=DANA)
    (row,) = rows(page, "owner")
    assert (row["quiz_name"], row["status"], row["owner"]) == ("Pricing", "◑ In progress", "Lea")
    assert "Coaching: **1 open**." in written(page)


@pytest.mark.usefixtures("company")
def test_events_lead_to_their_deliveries_and_say_how_many_there_are(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "EVENTS_SHOWN", 1)
    page = open_page("learner", id=DANA)
    assert [row["delivery"] for row in rows(page, "delivery")] == ["deliveries?delivery=4"]
    assert "The latest 1 of 2 events." in written(page)


@pytest.mark.usefixtures("company")
def test_a_long_list_says_that_it_is_cut_and_its_file_is_whole(
    open_page: Open, store: Engine, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    monkeypatch.setattr(data, "SHOWN", 2)
    attempts(store, *({"submitted_at": NOW - n * DAY} for n in range(3)))
    done = (Completed(V, f"c-{n}", "u-1", f"k-{n}", f"Course {n}", None, NOW) for n in range(4))
    fold(store, list(done))
    page = open_page("learner", id=DANA)
    said = [one.value for one in page.caption]
    assert [one for one in said if one.startswith("The first")] == [
        "The first 2 of 3.", "The first 2 of 4.",
    ]  # fmt: skip
    assert files["attempts.csv"].count(b"Pricing") == 3
    assert files["completions.csv"].count(b"Course ") == 4


@pytest.mark.usefixtures("company")
def test_of_many_quizzes_six_are_drawn_and_others_can_be_chosen(
    open_page: Open, store: Engine
) -> None:
    attempts(
        store,
        *(
            {"quiz_id": f"q-{n}", "quiz_name": f"Quiz {n}", "submitted_at": NOW - n * DAY}
            for n in range(8)
        ),
    )
    page = open_page("learner", id=DANA)
    assert len(page.get("vega_lite_chart")) == 6
    page.multiselect[0].set_value(["Quiz 7"]).run()
    (chart,) = page.get("vega_lite_chart")
    assert chart.proto.alt == "Scores over time: Quiz 7"


def test_hostile_text_of_a_learner_reaches_no_markdown_and_no_link(
    open_page: Open, store: Engine, send: Send
) -> None:
    data = {"userId": HOSTILE, "email": HOSTILE, "role": HOSTILE, "teamId": HOSTILE}
    with send.at_once():
        send("user.provisioned", data, 3)
        send("module.progress", playing.progress(HOSTILE, moduleId=HOSTILE, moduleName=HOSTILE))
    graded = {"score": 1, "maxScore": 10, "passed": False}
    send("quiz.submitted", {"userId": HOSTILE, "quizId": HOSTILE, "quizName": HOSTILE} | graded)
    fold(store, [Completed(V, "c", HOSTILE, HOSTILE, HOSTILE, 1, NOW, "javascript:alert(1)")])
    for page in (open_page("learner", id=f"{V}/{HOSTILE}"), open_page("learner", find="bold")):
        said = written(page)
        assert "onerror" in said
        assert not re.search(r"(?<!\\)(<img|\*\*bold|\[link)", said)
        assert not any("onerror" in one.body for one in page.html)
        assert not [row for row in rows(page, "score") if row.get("report_url")]


@pytest.mark.usefixtures("company")
def test_a_snoozed_case_says_until_when(open_page: Open, send: Send, store: Engine) -> None:
    send("quiz.submitted", {"userId": "u-1", "quizId": "q-1", "quizName": "Q", "quizType": "graded",
                            "score": 4, "maxScore": 10, "passed": False}, 2)  # fmt: skip
    with store.begin() as connection:
        coaching.snooze(connection, "lead", Taker(V, "u-1", "q-1"), date(2035, 1, 2), 70)
    (row,) = rows(open_page("learner", id=DANA), "status")
    assert row["status"] == "◷ Snoozed until 2 Jan"
