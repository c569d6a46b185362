"""The figures of a company, worked out slowly from what is stored as it came: events and their raw
payloads. Plain Python that shares no code with the product, so that the two can only agree where
both are right.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

Account = tuple[str, str]
"""Vendor and user id."""
Span = tuple[datetime, datetime]
"""From a moment to before another."""
ALWAYS: Span = (datetime(1971, 1, 1, tzinfo=UTC), datetime(2150, 1, 1, tzinfo=UTC))
NEVER: Span = (ALWAYS[0], ALWAYS[0])
QUARTER = timedelta(minutes=15)


class Stored(NamedTuple):
    """A row of `event`."""

    id: int
    vendor: str
    event_key: str
    type: str
    occurred_at: datetime
    received_at: datetime
    payload: str


# What payloads say


class Joined(NamedTuple):
    account: Account
    at: datetime
    email: str | None
    role: str | None
    team: str | None


class Left(NamedTuple):
    account: Account
    said: datetime
    at: datetime


class Named(NamedTuple):
    account: Account
    at: datetime
    email: str | None
    name: str | None


class Step(NamedTuple):
    account: Account
    at: datetime
    module: str
    pct: float
    seconds: int


class Tried(NamedTuple):
    account: Account
    at: datetime
    key: str
    quiz: str
    pct: float | None
    passed: bool | None
    graded: bool
    retake: float | None


class Done(NamedTuple):
    account: Account
    at: datetime
    key: str
    course: str
    name: str


class Lapsed(NamedTuple):
    account: Account
    said: datetime
    at: datetime
    certificate: str
    deadline: datetime | None


class Deed(NamedTuple):
    person: str
    at: datetime
    key: str
    kind: str


@dataclass
class Said:
    """What all payloads say, by kind."""

    joined: list[Joined] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    named: list[Named] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    lapsed: list[Lapsed] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)


def read(events: Iterable[Stored]) -> Said:
    said = Said()
    readers: Mapping[str, Callable[[Said, Stored, Any], None]] = {
        "mindtickle": _mindtickle,
        "lessonly": _lessonly,
        "innovative-educators": _course,
        "standard-webhooks": _deed,
    }
    for event in events:
        readers[event.vendor](said, event, json.loads(event.payload))
    return said


def account_of(event: Stored) -> Account | None:
    """The account that an event names; a Standard Webhook names none."""
    body = json.loads(event.payload)
    match event.vendor:
        case "mindtickle":
            return event.vendor, body["data"]["userId"]
        case "lessonly":
            return event.vendor, str(body["user"]["id"])
        case "innovative-educators":
            return event.vendor, body["userDetail"]["id"] or body["user"].lower()
    return None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _announced(event: Stored, text: str) -> datetime:
    """When something happens. More than two years ahead is a mistake: then it has happened."""
    at = _time(text)
    return at if at - event.received_at <= timedelta(days=730) else event.received_at


def _mindtickle(said: Said, event: Stored, body: Any) -> None:
    data, at = body["data"], event.occurred_at
    account = (event.vendor, data["userId"])
    match body["event"]:
        case "user.provisioned":
            said.joined.append(Joined(account, at, data["email"], data["role"], data["teamId"]))
        case "user.deprovisioned":
            then = _announced(event, data["deprovisionedAt"])
            said.left.append(Left(account, min(then, event.received_at), then))
        case "module.progress":
            said.steps.append(
                Step(account, at, data["moduleId"], data["progressPct"], data["timeSpentSec"])
            )
        case "quiz.submitted":
            said.tried.append(_tried(account, at, event.event_key, data))
        case "course.completed":
            then = _time(data["completedAt"])
            said.done.append(
                Done(account, then, event.event_key, data["courseId"], data["courseName"])
            )
        case "certification.expired":
            then, deadline = _announced(event, data["expiredAt"]), data.get("renewalDeadline")
            said.lapsed.append(
                Lapsed(account, min(then, event.received_at), then, data["certName"],
                       _time(deadline) if deadline else None)
            )  # fmt: skip


def _tried(account: Account, at: datetime, key: str, data: Any) -> Tried:
    score, most = data.get("score"), data.get("maxScore")
    pct = round(100 * score / most, 6) if score is not None and most else None
    practice = "practice" in data.get("quizType", "").lower()
    tells = "passed" in data or (score is not None and most != 0)
    return Tried(account, at, key, data["quizId"], pct, data.get("passed"),
                 tells and not practice, None)  # fmt: skip


def _lessonly(said: Said, event: Stored, body: Any) -> None:
    user, lesson, at = body["user"], body["lesson"], _time(body["completed_at"])
    account = (event.vendor, str(user["id"]))
    said.named.append(Named(account, at, user["email"], user["name"]))
    said.done.append(Done(account, at, event.event_key, lesson["id"], lesson["title"]))
    if (pct := body.get("score_percent")) is not None:
        said.tried.append(Tried(account, at, event.event_key, lesson["id"], pct, None, True,
                                lesson["retake_score"]))  # fmt: skip


def _course(said: Said, event: Stored, body: Any) -> None:
    detail, at = body["userDetail"], _time(body["timestamp"])
    account = (event.vendor, detail["id"] or body["user"].lower())
    name = f"{detail['firstName']} {detail['lastName']}"
    said.named.append(Named(account, at, body["user"], name))
    said.done.append(Done(account, at, event.event_key, body["notifiableId"], body["title"]))


def _deed(said: Said, event: Stored, body: Any) -> None:
    data = body["data"]
    named = [data.get("owner"), data.get("ownerEmail"), data.get("user"), data.get("email")]
    texts = [one["email"] if isinstance(one, dict) else one for one in named]
    if person := next((text.strip().lower() for text in texts if text), None):
        said.deeds.append(Deed(person, _time(body["timestamp"]), event.event_key, body["type"]))


# Who a person is


class Person(NamedTuple):
    """A person, as the pages show them."""

    accounts: frozenset[Account]
    team: str | None
    role: str | None
    name: str | None
    active: bool
    left_at: datetime | None


class Gains(NamedTuple):
    """What a period brought; `average` is as of its end."""

    moved: bool
    gained: float
    completed: int
    time: int
    average: float | None
    score: float


class Members(NamedTuple):
    """A team in a period: who was in it, who moved for it, and what they gained together."""

    members: frozenset[str]
    moved: frozenset[str]
    total: float


class Scored(NamedTuple):
    """Something that scores beside progress."""

    person: str
    at: datetime
    points: float


class Company:
    """All figures of the events, as of `clock`."""

    def __init__(
        self,
        events: Iterable[Stored],
        clock: datetime,
        weights: Mapping[str, float] | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        self._events = list(events)
        self.said = read(self._events)
        self.clock = clock
        self.weights = weights or {"progress": 1}
        self.thresholds = thresholds or {}

    @cached_property
    def by_progress(self) -> "Company":
        """The same with the score that a company has without weights of its own."""
        return Company(self._events, self.clock, None, self.thresholds)

    @cached_property
    def accounts(self) -> Mapping[Account, str]:
        """Each account with its person."""
        facts = (self.said.joined, self.said.left, self.said.named, self.said.steps,
                 self.said.tried, self.said.done, self.said.lapsed)  # fmt: skip
        found = {}
        for account in {one.account for kind in facts for one in kind}:
            known = self._joined(account) or _latest(self.said.named, account)
            email = ((known and known.email) or "").strip().lower()
            found[account] = email or " ".join(account)
        return found

    def _joined(self, account: Account) -> Joined | None:
        found: Joined | None = _latest(self.said.joined, account)
        return found

    def _left(self, account: Account) -> Left | None:
        return max((one for one in self.said.left if one.account == account),
                   key=lambda one: one.said, default=None)  # fmt: skip

    def _is_active(self, account: Account) -> bool:
        joined, left = self._joined(account), self._left(account)
        if left is None or left.at > self.clock:
            return True
        return joined is not None and joined.at > left.said

    @cached_property
    def people(self) -> Mapping[str, Person]:
        by_person: dict[str, set[Account]] = defaultdict(set)
        for account, person in self.accounts.items():
            by_person[person].add(account)
        return {person: self._person(accounts) for person, accounts in by_person.items()}

    def _person(self, accounts: set[Account]) -> Person:
        entries = [joined for one in accounts if (joined := self._joined(one))]
        entry = max(entries, key=lambda one: (self._is_active(one.account), one.at), default=None)
        named = [one for one in self.said.named if one.account in accounts and one.name]
        listed = [one for one in accounts if self._joined(one) or self._left(one)]
        active = not listed or any(map(self._is_active, listed))
        ends = [left.at for one in accounts if (left := self._left(one))]
        return Person(
            frozenset(accounts),
            entry and entry.team,
            entry and entry.role,
            max(named, key=lambda one: one.at).name if named else None,
            active,
            None if active else max(ends),
        )

    def asked(self, teams: Sequence[str] | None = None, *, leavers: bool = False) -> set[str]:
        """The people of a page."""
        return {
            key
            for key, one in self.people.items()
            if (leavers or one.active) and (teams is None or one.team in teams)
        }

    # Progress

    @cached_property
    def _steps(self) -> Mapping[str, Mapping[tuple[Account, str], Sequence[Step]]]:
        found: dict[str, dict[tuple[Account, str], list[Step]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for one in self.said.steps:
            found[self.accounts[one.account]][one.account, one.module].append(one)
        return found

    def gains(self, person: str, span: Span) -> Gains:
        """Of a person in a period."""
        since, until = span
        modules = self._steps.get(person, {}).values()
        ends = [_totals(steps, until) for steps in modules]
        begins = [_totals(steps, since) for steps in modules]
        pcts = [pct for pct, _, begun in ends if begun]
        gained = sum(pct for pct, *_ in ends) - sum(pct for pct, *_ in begins)
        completed = sum(pct == 100 for pct, *_ in ends) - sum(pct == 100 for pct, *_ in begins)
        scored = [one for one in self.scored[person] if since <= one.at < until]
        progress = self._points("progress") * gained + self._points("module") * completed
        return Gains(
            any(since <= one.at < until for steps in modules for one in steps) or bool(scored),
            round(gained, 6),
            completed,
            sum(sec for _, sec, _ in ends) - sum(sec for _, sec, _ in begins),
            round(sum(pcts) / len(pcts), 6) if pcts else None,
            round(progress + sum(one.points for one in scored), 6),
        )

    # Teams

    @cache  # noqa: B019 (a company lives as long as a test)
    def _history(self, person: str) -> Sequence[tuple[datetime, str, Account, str | None]]:
        """(at, kind, account, team) of the roster, without departures that were put off."""
        own = self.people[person].accounts
        entries = [(one.at, "joined", one.account, one.team)
                   for one in self.said.joined if one.account in own]  # fmt: skip
        words = [(one.account, one.at) for one in self.said.joined]
        words += [(one.account, one.said) for one in self.said.left]
        for one in self.said.left:
            later = any(account == one.account and one.said < at <= one.at for account, at in words)
            if one.account in own and not (one.said < one.at and later):
                entries.append((one.at, "left", one.account, None))
        return sorted(entries, key=lambda entry: entry[:3])

    def team_at(self, person: str, moment: datetime) -> str | None:
        """The team of the latest entry among the accounts that are active then."""
        history = self._history(person)
        if not history:
            return None
        teams: dict[Account, tuple[datetime, str | None]] = {}
        for at, kind, account, team in history:
            if at > max(moment, history[0][0]):
                break
            if kind == "left":
                teams.pop(account, None)
            else:
                teams[account] = (at, team)
        return max(teams.values(), key=lambda one: one[0])[1] if teams else None

    def teams_then(self, metric: str, span: Span) -> Mapping[str, Members]:
        """Each gain for the team that the person was in at its time."""
        since, until = span
        total: dict[str, float] = defaultdict(float)
        members, moved = defaultdict(set), defaultdict(set)
        for person in self.people:
            for team in self._teams_during(person, span):
                members[team].add(person)
            for at, value in self._gained_at(person, metric):
                team_then = self.team_at(person, at)
                if team_then and since <= at < until:
                    total[team_then] += value
                    members[team_then].add(person)
                    moved[team_then].add(person)
        return {
            team: Members(frozenset(members[team]), frozenset(moved[team]), round(total[team], 6))
            for team in members
        }

    def _teams_during(self, person: str, span: Span) -> set[str]:
        history = self._history(person)
        if not history:
            return set()
        moments = {at for at, *_ in history if span[0] <= at < span[1]}
        if history[0][0] <= span[0] < span[1]:
            moments.add(span[0])
        return {team for at in moments if (team := self.team_at(person, at))}

    def _gained_at(self, person: str, metric: str) -> Iterable[tuple[datetime, float]]:
        """What each quarter hour brought, and what else scored."""
        for steps in self._steps.get(person, {}).values():
            before = (0.0, 0, False)
            for slot in sorted({_quarter_hour(one.at) for one in steps}):
                now = _totals(steps, slot + QUARTER)
                finished = float(now[0] == 100) - float(before[0] == 100)
                gained = {"gained": now[0] - before[0], "completed": finished,
                          "time": float(now[1] - before[1])}  # fmt: skip
                gained["score"] = (
                    self._points("progress") * gained["gained"] + self._points("module") * finished
                )
                yield slot, gained[metric]
                before = now
        if metric == "score":
            yield from ((one.at, one.points) for one in self.scored[person])

    # The score

    def _points(self, kind: str) -> float:
        return self.weights.get(kind, 0)

    @cached_property
    def scored(self) -> Mapping[str, Sequence[Scored]]:
        """Courses completed and quizzes passed for the first time, and deeds, by person."""
        found = []
        for key, courses in _by(self.said.done, lambda one: (one.account, one.course)).items():
            first = min(courses, key=lambda one: (one.at, one.key))
            found.append(Scored(self.accounts[key[0]], first.at, self._points("course")))
        for key, tries in _by(self.said.tried, lambda one: (one.account, one.quiz)).items():
            graded = sorted((one for one in tries if one.graded), key=lambda one: (one.at, one.key))
            passed = [one for one in graded if self.passes(one)]
            if passed:
                found.append(Scored(self.accounts[key[0]], passed[0].at, self._points("quiz")))
                if passed[0] is graded[0]:
                    first_try = self._points("first_try")
                    found.append(Scored(self.accounts[key[0]], passed[0].at, first_try))
        found += [Scored(one.person, one.at, self._points(one.kind)) for one in self.said.deeds]
        return _by((one for one in found if one.points), lambda one: one.person)

    # Quizzes

    def limit(self, vendor: str, quiz: str, default: float = 70) -> float:
        """The threshold of a quiz: its own, the vendor's latest, or the default."""
        tries = [one for one in self.said.tried if (one.account[0], one.quiz) == (vendor, quiz)]
        of_vendor = max(tries, key=lambda one: one.at).retake if tries else None
        return self.thresholds.get(quiz, default if of_vendor is None else of_vendor)

    def is_low(self, one: Tried, rule: str = "either") -> bool:
        limit = self.limit(one.account[0], one.quiz)
        under = one.pct is not None and one.pct < limit
        if rule == "threshold":
            return under if one.pct is not None else one.passed is False
        if rule == "vendor":
            return under if one.passed is None else not one.passed
        return under or one.passed is False

    def passes(self, one: Tried, rule: str = "either") -> bool:
        tells = one.pct is not None or one.passed is not None
        return tells and not self.is_low(one, rule)

    @cached_property
    def takers(self) -> Mapping[tuple[Account, str], Sequence[Tried]]:
        """Graded attempts in their order, by account and quiz."""
        graded = [one for one in self.said.tried if one.graded]
        by_taker = _by(graded, lambda one: (one.account, one.quiz))
        return {taker: sorted(tries, key=lambda one: (one.at, one.key))
                for taker, tries in by_taker.items()}  # fmt: skip

    # Certificates

    def certificates(
        self, now: datetime, marked: Iterable[tuple[Account, str, datetime]]
    ) -> Mapping[tuple[Account, str], str]:
        """The state of each certificate of an account."""
        found = {}
        by_hand = set(marked)
        for (account, name), several in _by(
            self.said.lapsed, lambda one: (one.account, one.certificate)
        ).items():
            last = max(several, key=lambda one: (one.said, one.at))
            renewed = (account, name, last.at) in by_hand or self._course_after(last)
            found[account, name] = "renewed" if renewed else _state(last, now)
        return found

    def _course_after(self, one: Lapsed) -> bool:
        own = self.people[self.accounts[one.account]].accounts
        return any(
            done.account in own
            and done.account[0] == one.account[0]
            and done.at > one.at
            and done.name.strip().lower() == one.certificate.lower()
            for done in self.said.done
        )


def _state(one: Lapsed, now: datetime) -> str:
    soon = now + timedelta(days=30)
    if one.at > now:
        return "valid" if one.at > soon else "expires soon"
    if one.deadline and one.deadline < now:
        return "overdue"
    return "due soon" if one.deadline and one.deadline < soon else "expired"


def _latest(facts: Iterable[Any], account: Account) -> Any:
    return max((one for one in facts if one.account == account), key=lambda one: one.at,
               default=None)  # fmt: skip


def _by(facts: Iterable[Any], key: Callable[[Any], Any]) -> Mapping[Any, Sequence[Any]]:
    found: dict[Any, list[Any]] = defaultdict(list)
    for one in facts:
        found[key(one)].append(one)
    return found


def _quarter_hour(at: datetime) -> datetime:
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def _totals(steps: Sequence[Step], before: datetime) -> tuple[float, int, bool]:
    """Percent, seconds, and whether the module was begun."""
    own = [one for one in steps if one.at < before]
    return (
        max((one.pct for one in own), default=0.0),
        max((one.seconds for one in own), default=0),
        bool(own),
    )


def ranks(values: Mapping[Any, Any]) -> Mapping[Any, int]:
    """Competition ranks, the highest first: 1-2-2-4."""
    return {key: 1 + sum(other > value for other in values.values())
            for key, value in values.items()}  # fmt: skip


# Windows, by asking each day whether it belongs


class Spans(NamedTuple):
    """A period, and the one that it is compared with."""

    now: Span
    before: Span


def spans(name: str, now: datetime, zone: str, week_begins: int = 0, year_begins: int = 1) -> Spans:
    """The window of a name on a viewer's clock, as it stands at a moment."""
    if name == "all":
        return Spans((ALWAYS[0], now), NEVER)
    here = now.astimezone(ZoneInfo(zone))
    today = here.date()
    past = [today - timedelta(days=number) for number in range(100)]
    days = [one for one in past if _belongs(one, today, name, week_begins, year_begins)]
    earlier = timedelta(weeks=next(n for n in range(99) if 7 * n >= len(days)))
    runs = days[0] == today
    begin, end = days[-1], days[0] + timedelta(days=1)
    if not runs:
        return Spans((_begin(begin, zone), _begin(end, zone)),
                     (_begin(begin - earlier, zone), _begin(end - earlier, zone)))  # fmt: skip
    same_time = next(
        moment for moment in _quarters(today - earlier, zone)
        if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        >= _quarter_hour(here).replace(tzinfo=None) - earlier
    )  # fmt: skip
    return Spans((_begin(begin, zone), now), (_begin(begin - earlier, zone), same_time))


def _belongs(day: date, today: date, name: str, week_begins: int, year_begins: int) -> bool:
    def week(one: date) -> int:
        return (one.toordinal() - 1 - week_begins) // 7

    def month(one: date) -> int:
        return 12 * one.year + one.month

    def quarter(one: date) -> int:
        return (month(one) - year_begins) // 3

    if name in LENGTHS:
        return (today - day).days < LENGTHS[name]
    number = {"week": week, "month": month, "quarter": quarter}[name.removeprefix("last_")]
    return number(day) == number(today) - name.startswith("last_")


LENGTHS = {"today": 1, "7d": 7, "30d": 30}


@cache
def _quarters(day: date, zone: str) -> Sequence[datetime]:
    """The quarter hours of a day on the viewer's clock."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    around = (noon + number * QUARTER for number in range(-4 * 30, 4 * 30))
    return [one for one in around if one.astimezone(ZoneInfo(zone)).date() == day]


def _begin(day: date, zone: str) -> datetime:
    return _quarters(day, zone)[0]
