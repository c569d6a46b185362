"""What the coaching page shows, and what is done there."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, unquote

import pandas as pd
from sqlalchemy import Connection

from dashboard import access
from dashboard.base import windows
from dashboard.base.filters import calendar
from dashboard.base.paging import WHOLE, Part
from dashboard.base.people import (
    as_signed_in,
    key_at,
    known_as,
    link_to,
    sees_names,
    unnamed_log,
    with_people,
)
from dashboard.base.percent import columns, rounded
from dashboard.base.sent import to
from dashboard.base.store import (
    actor,
    everybody,
    framed,
    local,
    query,
    query_fresh,
    query_now,
    query_rarely,
    settings,
    write,
)
from dashboard.coaching import undo, words
from dashboard.coaching.undo import remembered
from shared import coaching as cases
from shared.coaching import Changed, Conflict, Flagged, Impossible, Taken
from shared.models import UNDONE
from shared.queries import coaching, quizzes as quiz_queries, retakes, sent
from shared.queries.coaching import Case, Counts, Failing, Item, Scores
from shared.queries.coaching_states import OTHER_OWNER
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters, Mark, Taker
from shared.queries.quizzes import Preview, QuizFigures
from shared.queries.windows import days_of, midnight
from shared.wording import number_of

__all__ = ["Changed", "Conflict", "Flagged", "Impossible", "Taken", "Taker"]


class Asked(NamedTuple):
    """What the page is asked for. `today` is the viewer's, in their zone; `who` is limited to their
    teams; `manager` is the viewer, unless they are a lead."""

    window: str
    today: date
    zone: str
    who: Who
    quiz: str | None = None
    owner: str | None = None
    problems: bool = False
    manager: str | None = None

    def since(self) -> datetime | None:
        """The begin of the window; None for all time."""
        if self.window == "all":
            return None
        return midnight(days_of(self.window, self.today, calendar()).first, self.zone)

    def filters(self) -> Filters:
        return Filters(
            who=self.who,
            quiz=quiz_of(self.quiz) if self.quiz else None,
            owner=self.owner,
            since=self.since(),
            default_pct=default_pct(),
            rule=settings().coaching_rule,
            problems=self.problems,
            manager=self.manager,
            today=self.today,
        )


def coaches() -> bool:
    """Whether the viewer is a lead, who works on every case and reads all of it."""
    return access.may("coach")


def manager() -> str | None:
    """The viewer, unless they are a lead."""
    return None if coaches() else actor()


def default_pct() -> float:
    return settings().coaching_threshold_pct


def default_due() -> date:
    return cases.due_from(windows.today())


def quiz_of(name: str) -> tuple[str, str]:
    """Vendor and id of a quiz, as `quiz_key` wrote them."""
    vendor, _, quiz_id = name.partition("/")
    return vendor, quiz_id


class OfQuiz(Protocol):
    """A row of a quiz."""

    @property
    def vendor(self) -> str: ...
    @property
    def quiz_id(self) -> str: ...


def quiz_key(row: OfQuiz) -> str:
    """The quiz of a row, as an address names it: `vendor/quiz id`."""
    return f"{row.vendor}/{row.quiz_id}"


def address(taker: Taker) -> str:
    """What names an item in the page's address."""
    person = link_to(f"{taker.vendor}/{taker.user_id}")
    return f"{quote(person)}/{quote(taker.quiz_id, safe='')}"


def taker_at(address: str) -> Taker | None:
    """The item that an address names; None for one that names none."""
    person, _, quiz = address.rpartition("/")
    vendor, _, user_id = (key_at(unquote(person)) or "").partition("/")
    return Taker(vendor, user_id, unquote(quiz)) if user_id and quiz else None


def queue(asked: Asked, view: str, part: Part) -> pd.DataFrame:
    """A part of the items of a view: the columns of `shared.queries.coaching.Item`, and learner,
    quiz, why (it is in the queue), course (how its scores went), stands (its state in words), lift
    (in words) and trend (the last scores)."""
    return _shown(query(_items, asked.filters(), view, part, marks()), asked)


def whole_queue(asked: Asked, view: str) -> pd.DataFrame:
    """The same of all items, for a file."""
    return _shown(query_fresh(_items, asked.filters(), view, WHOLE, marks()), asked)


Items = tuple[Sequence[Item], Mapping[Taker, Scores]]


def _items(
    connection: Connection, filters: Filters, view: str, part: Part, known: Sequence[Mark]
) -> Items:
    rows = coaching.items(connection, filters, view, part.limit, part.offset, known)
    return rows, coaching.scores(connection, [row.taker for row in rows])


class First(NamedTuple):
    """The most urgent item, in words as in the queue."""

    learner: str
    quiz: str
    why: str


def first(asked: Asked, part: Part) -> First | None:
    """The first new item; `part` is what the queue lists of them."""
    rows, scores = query(_items, asked.filters(), "new", part, marks())
    if not rows:
        return None
    row = rows[0]
    learner = known_as(row.name, row.email, row.key)
    return First(learner, _names([row])[0], words.why(row, scores.get(row.taker), asked.today))


def _shown(items: Items, asked: Asked) -> pd.DataFrame:
    rows, scores = items
    return framed(
        rows,
        lambda frame: _in_words(frame, rows, asked).assign(
            why=[words.why(row, scores.get(row.taker), asked.today) for row in rows],
            course=[words.course(row, scores.get(row.taker)) for row in rows],
            trend=pd.Series([_trend(row, scores.get(row.taker)) for row in rows]),
        ),
    )


def _trend(row: Item, scores: Scores | None) -> list[float]:
    return [rounded(pct, row.threshold_pct) for pct in scores.trend] if scores else []


def _in_words(frame: pd.DataFrame, rows: Sequence[Item], asked: Asked) -> pd.DataFrame:
    named = local(with_people(frame), asked.zone, "submitted_at", "opened_at", "closed_at")
    return columns(named, "latest_pct", "best_pct", "flagged_pct", limits=["threshold_pct"]).assign(
        quiz=_names(rows),
        stands=[words.stands(row, asked.today) for row in rows],
        lift=pd.Series([words.lift_of(row) for row in rows], dtype=object),
        owner=pd.Series([_owner(row.owner, asked.manager) for row in rows], dtype=object),
    )


def _owner(owner: str | None, manager: str | None) -> str | None:
    return "you" if owner is not None and owner == manager else owner


def _names(rows: Sequence[Item]) -> list[str]:
    """The quizzes of items by name, as all quizzes are distinguished."""
    names = _by_key([mark for mark in marks() if mark.takers])
    return [names.get(quiz_key(row), row.quiz_name) for row in rows]


def counts(asked: Asked) -> Counts:
    """How many items there are of each kind; `fresh` is since yesterday began."""
    yesterday = midnight(asked.today - timedelta(days=1), asked.zone)
    return query(coaching.counts, asked.filters(), yesterday, asked.today, marks())


def quizzes(who: Who) -> pd.DataFrame:
    """The columns of `shared.queries.quizzes.QuizFigures`, and quiz (its name) and key; of every
    graded quiz that learners of the teams of `who` have taken."""
    return _named(_figures(who))


def _figures(who: Who) -> Sequence[QuizFigures]:
    return query(quiz_queries.quizzes, default_pct(), settings().coaching_rule, who, marks())


def marks() -> Sequence[Mark]:
    """Every graded quiz with its pass mark and results."""
    return query(quiz_queries.marks, default_pct(), settings().coaching_rule)


def _named(rows: Sequence[QuizFigures]) -> pd.DataFrame:
    keys = [quiz_key(row) for row in rows]
    return framed(rows, lambda frame: _shares(frame).assign(quiz=_unlike(rows), key=keys))


def _shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Beside the share from which a quiz is a problem."""
    return columns(frame, "share", "all_share", fixed=[100 * quiz_queries.PROBLEM_SHARE])


def _unlike(rows: Sequence[Mark] | Sequence[QuizFigures]) -> list[str]:
    """Quizzes by name; of two with one name, each with its id, or with its vendor too."""
    names = [row.quiz_name for row in rows]
    with_ids = [f"{row.quiz_name} ({row.quiz_id})" for row in rows]
    in_full = [f"{row.quiz_name} ({quiz_key(row)})" for row in rows]
    same, still_same = Counter(names), Counter(with_ids)
    return [
        name if same[name] == 1 else with_id if still_same[with_id] == 1 else full
        for name, with_id, full in zip(names, with_ids, in_full, strict=True)
    ]


def quiz_names(who: Who) -> dict[str, str]:
    """Names of graded quizzes by vendor and id."""
    return _by_key(_figures(who))


def _by_key(rows: Sequence[Mark] | Sequence[QuizFigures]) -> dict[str, str]:
    return dict(zip(map(quiz_key, rows), _unlike(rows), strict=True))


def people_failing(asked: Asked) -> pd.DataFrame:
    """People who are low at several quizzes: learner, team_id, low, new, lowest_pct, quizzes (their
    names), takers (their items that are not flagged)."""
    rows, items = query(_failing, asked.filters(), marks())
    names = {one.taker: name for one, name in zip(items, _names(items), strict=True)}

    def of(person: str) -> list[Item]:
        return [item for item in items if item.person == person]

    return framed(
        rows,
        lambda frame: with_people(columns(frame, "lowest_pct")).assign(
            quizzes=pd.Series([[names[one.taker] for one in of(row.person)] for row in rows]),
            takers=pd.Series(
                [[one.taker for one in of(row.person) if one.state == "new"] for row in rows]
            ),
        ),
    )


def _failing(
    connection: Connection, filters: Filters, known: Sequence[Mark]
) -> tuple[Sequence[Failing], Sequence[Item]]:
    rows = coaching.people_failing(connection, filters, known=known)
    return rows, coaching.low_of(connection, filters, [row.person for row in rows], known)


def achieved(asked: Asked) -> pd.DataFrame:
    """Results of retakes: the columns of `shared.queries.retakes.Retakes`. Not asked with every
    delivery, as it reads the attempts of all learners who tried again."""
    # Results move with each attempt; with them an answer would be asked for as often.
    alone = [one._replace(problem=False, takers=0, low=0, share=None) for one in marks()]
    return framed(query_rarely(retakes.achieved, asked.filters(), alone))


def owners() -> list[str]:
    """Everyone who owns or owned a case, and the viewer. A manager reads no other owner."""
    if not coaches():
        return [actor(), OTHER_OWNER]
    return sorted({*query_fresh(coaching.owners), actor()})


def can_own() -> list[str]:
    """All of `owners`, and the configured managers, leads and admins: these may be learners too, so
    only where full names are shown."""
    if not sees_names():
        return list(owners())
    config = settings()
    return sorted({*owners(), *config.dashboard_managers, *config.dashboard_leads,
                   *config.dashboard_admins})  # fmt: skip


def owner_of(typed: str | None) -> str | None:
    """An owner as their sign-in spells them, so that the case reaches them; a name as it is."""
    owner = (typed or "").strip()
    return (as_signed_in(owner) if "@" in owner else owner) or None


# One item


class Detail(NamedTuple):
    """All that one item has, as of now: its row, learner and quiz in words, its attempts
    (submitted_at, score, pct, passed, result; newest first), and for leads its rounds and their
    log (at, actor, action, subject, detail)."""

    row: Item
    learner: str
    quiz: str
    attempts: pd.DataFrame
    rounds: Sequence[Case]
    history: pd.DataFrame


def item(taker: Taker, zone: str) -> Detail | None:
    """None if there is no graded attempt, or the viewer may not see the learner."""
    rule = settings().coaching_rule
    asked = Filters(
        everybody(),
        default_pct=default_pct(),
        rule=rule,
        manager=manager(),
        today=windows.today(),
    )
    row = query_fresh(coaching.item, asked, taker, marks())
    if row is None:
        return None
    rounds = query_fresh(coaching.rounds, taker) if coaches() else []
    history = query_fresh(coaching.history, [case.id for case in rounds])
    attempts = query_fresh(coaching.attempts, taker, row.threshold_pct, rule=rule)
    return Detail(
        row,
        known_as(row.name, row.email, row.key),
        _names([row])[0],
        framed(
            attempts,
            lambda tried: columns(
                local(tried, zone, "submitted_at"), "pct", fixed=[row.threshold_pct]
            ),
        ),
        [one for one in rounds if one.status != UNDONE],
        framed(history, lambda log: unnamed_log(local(log, zone, "at"))),
    )


def flag(
    takers: Sequence[Taker], owner: str | None, due: date | None, notes: str | None
) -> Flagged:
    rule = settings().coaching_rule
    with write("coach") as connection, remembered(connection, takers):
        return cases.flag(connection, actor(), takers, default_pct(), owner, due, notes, rule)


def decline(taker: Taker) -> bool:
    """Note that a low score needs no coaching; False if there is nothing to decline any more."""
    rule = settings().coaching_rule
    with write("coach") as connection, remembered(connection, [taker]):
        return cases.decline(connection, actor(), taker, default_pct(), rule)


def snoozed_until() -> date:
    """The day on which a learner who is snoozed today is in the queue again."""
    return windows.today() + timedelta(days=cases.SNOOZED_DAYS)


def snooze(taker: Taker) -> bool:
    """Take a low score out of the queue for a week; False if there is none any more."""
    rule, until = settings().coaching_rule, snoozed_until()
    with write("coach") as connection, remembered(connection, [taker]):
        return cases.snooze(connection, actor(), taker, until, default_pct(), rule)


def take(takers: Sequence[Taker]) -> Taken:
    """Make the viewer the owner of these cases, of learners of their teams."""
    rule, who = settings().coaching_rule, everybody()
    with write("take_case") as connection, remembered(connection, takers):
        return cases.take(connection, actor(), takers, windows.today(), who, default_pct(), rule)


def change(case_id: int, version: int, wanted: Mapping[str, Any]) -> None:
    """A lead changes any case, a manager one that they own. Raises Conflict or Impossible, as
    `shared.coaching.change` does."""
    (_change if coaches() else change_own)(case_id, version, wanted)


def _change(case_id: int, version: int, wanted: Mapping[str, Any]) -> None:
    rule = settings().coaching_rule
    with write("coach") as connection, _remembered(connection, [case_id]):
        cases.change(connection, actor(), case_id, version, wanted, default_pct(), rule)


def change_own(case_id: int, version: int, wanted: Mapping[str, Any]) -> None:
    rule, who = settings().coaching_rule, everybody()
    with write("take_case") as connection, _remembered(connection, [case_id]):
        cases.change_own(connection, actor(), case_id, version, wanted, who, default_pct(), rule)


def change_all(seen: Mapping[int, int], wanted: Mapping[str, Any]) -> Changed:
    rule = settings().coaching_rule
    with write("coach") as connection, _remembered(connection, seen):
        return cases.change_all(connection, actor(), seen, wanted, default_pct(), rule)


def _remembered(connection: Connection, case_ids: Iterable[int]) -> AbstractContextManager[None]:
    return remembered(connection, undo.takers_of(connection, case_ids))


def undo_last() -> Changed:
    """Take back the last action of the viewer."""
    return _undo_as_lead() if coaches() else _undo_own()


def _undo_as_lead() -> Changed:
    with write("coach") as connection:
        return undo.undo(connection)


def _undo_own() -> Changed:
    with write("take_case") as connection:
        return undo.undo(connection)


# Messages


def messages(taker: Taker) -> str:
    """Who got the latest message about this item, and when; empty without one."""
    rows = query_now(sent.at_quiz, taker)
    if not rows:
        return ""
    latest = rows[0]
    others = f", and {number_of(len(rows) - 1, 'other message')}" if len(rows) > 1 else ""
    return f"Sent to {to(latest.recipient)} {windows.ago(latest.sent_at)}{others}"


# Pass marks


def preview(quiz: str, pct: float | None) -> Preview:
    rule = settings().coaching_rule
    return query_fresh(quiz_queries.preview, default_pct(), quiz_of(quiz), pct, rule)


def set_threshold(quiz: str, pct: float | None) -> None:
    with write("set_threshold") as connection:
        cases.set_threshold(connection, actor(), *quiz_of(quiz), pct)
