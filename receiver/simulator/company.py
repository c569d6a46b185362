# ruff: noqa: S311 (seeded dice; they protect nothing)
"""A company: teams, learners, modules, quizzes, hires and leavers, over months."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from operator import attrgetter
from random import Random
from typing import Any, NamedTuple

DAY = timedelta(days=1)


class Event(NamedTuple):
    """Something that happened, in the vendor's terms, not yet in its wire format."""

    at: datetime
    type: str
    data: dict[str, Any]


class Module(NamedTuple):
    id: str
    name: str
    minutes: int


class Quiz(NamedTuple):
    id: str
    name: str
    module_id: str
    max_score: int
    difficulty: float
    """Share of the points that an average learner misses."""


class Course(NamedTuple):
    id: str
    name: str
    module_ids: frozenset[str]


TEAMS = {
    "west": 1.15,
    "east": 1.0,
    "central": 1.3,
    "enterprise": 0.9,
    "mid-market": 1.05,
    "partners": 0.75,
}
"""Each team, with its diligence."""
SLIPPING_TEAM = "central"
SLIPS = {7: 0.1, 14: 0.6}
"""How diligent that team still is in so many last days."""
ROLES = ("account executive",) * 4 + ("sdr",) * 3 + ("account manager",) * 2 + ("sales engineer",)

MODULES = (
    Module("m-01", "Discovery calls that go deep", 25),
    Module("m-02", "Product tour: the core platform", 40),
    Module("m-03", "Pricing and packaging", 30),
    Module("m-04", "Handling objections", 35),
    Module("m-05", "Know the competition", 30),
    Module("m-06", "First e-mails that get answers", 15),
    Module("m-07", "Telling a story with a demo", 45),
    Module("m-08", "Qualifying a deal", 35),
    Module("m-09", "Negotiating with procurement", 50),
    Module("m-10", "Security and privacy questions", 20),
    Module("m-11", "An honest forecast", 20),
    Module("m-12", "Account planning", 40),
    Module("m-13", "Renewals and expansion", 30),
    Module("m-14", "Selling with partners", 25),
)
HARD_QUIZ = Quiz("q-03", "Pricing objections", "m-03", 20, 0.55)
QUIZZES = (
    Quiz("q-01", "Discovery basics", "m-01", 20, 0.17),
    Quiz("q-02", "Product knowledge", "m-02", 40, 0.25),
    HARD_QUIZ,
    Quiz("q-04", "Competitor battle cards", "m-05", 25, 0.26),
    Quiz("q-05", "Demo run-through", "m-07", 50, 0.22),
    Quiz("q-06", "Deal qualification", "m-08", 20, 0.29),
    Quiz("q-07", "Security questionnaire", "m-10", 15, 0.15),
    Quiz("q-08", "Renewal conversations", "m-13", 30, 0.24),
)
COURSES = (
    Course("c-01", "Onboarding: the first month", frozenset({"m-01", "m-02", "m-06"})),
    Course("c-02", "Winning the deal", frozenset({"m-03", "m-04", "m-05"})),
    Course("c-03", "Enterprise selling", frozenset({"m-08", "m-09", "m-10"})),
    Course("c-04", "Growing accounts", frozenset({"m-11", "m-12", "m-13"})),
)
CERTIFICATES = ("Certified demo presenter", "Data protection basics", "Partner selling level 1")
REASONS = ("left the company", "moved to another department", "contract ended")

FIRST_NAMES = (
    "ada aisha akira alma amara andre anil beatriz bilal bo camila carlos chen chloe dana daniel "
    "diego elif emeka emma fatima felix freya gabriel grace hana hassan ines ivan jamal joao "
    "kavya kenji lars leila liam lucia malik maria mei nadia noah nora olga omar paul priya rosa "
    "ruth samir sofia tariq thu tomas valentina wei yara yusuf zoe"
)
LAST_NAMES = (
    "adeyemi ahmed andersson bauer bianchi brooks castillo chang costa cruz diallo dubois evans "
    "fernandez fischer garcia goldberg gupta haddad hansen hughes ibrahim ito jansen johnson "
    "kapoor kim ko kowalski kumar lee lopez mancini martin mbeki mendes moreau murphy nakamura "
    "nguyen novak okafor osman park patel petrov quinn reyes rossi sanchez sato schmidt silva "
    "singh tanaka tran usman vargas walker wang yilmaz zhou"
)

COMPLETE_PCT = 100
PASS_SHARE = 0.7
MAX_TRIES = 4
MONDAY, FIRST_WEEKEND_DAY = 0, 5
MONDAY_ZEAL = 1.3
HUDDLE, HUDDLE_SHARE = time(7), 0.6
"""On Mondays more people learn, and most of them in the hour after this time, UTC."""
HOUR_WEIGHTS = (0, 0, 0, 0, 0, 0, 1, 4, 9, 12, 12, 9, 6, 9, 11, 11, 9, 5, 2, 1, 1, 1, 0, 0)
"""Activity in each hour of a day, UTC."""
ANNOUNCED_WITHIN = timedelta(days=12)
LIVE_TURNOVER = 0.0005
LIVE_EXPIRY = 0.001


class Tempo(NamedTuple):
    """How fast learners proceed."""

    step_pct: tuple[int, int]
    """Least and most progress in one event, percent."""
    waits: bool
    """Whether days pass before a quiz or a retake."""


HISTORY = Tempo((10, 38), waits=True)
LIVE = Tempo((1, 6), waits=False)
"""Live, a learner has an event every few seconds. With large steps a module would last a minute."""


class Task(NamedTuple):
    """What a learner does next, not before `at`."""

    at: datetime
    what: Quiz | Course
    practice: bool = False


@dataclass(slots=True)
class Learner:
    user_id: str
    email: str
    role: str
    team: str
    skill: float
    """0 to 1: the share of a quiz that they get right."""
    diligence: float
    """Chance of a session on a working day."""
    hired: datetime
    to_learn: list[Module]
    left: datetime | None = None
    surges: bool = False
    """Whether they learn a lot in the last week of the history."""
    progress: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Percent and seconds by module."""
    tasks: list[Task] = field(default_factory=list)
    tries: dict[str, int] = field(default_factory=dict)
    """Graded submissions by quiz."""


class Company:
    """People and their events, for `days` before `end` and live after it."""

    def __init__(self, seed: int, size: int, end: datetime, days: int) -> None:
        self.days = days
        self.end = end
        self.begin = end - timedelta(days=days)
        self._size = size
        self._dice = Random(seed)
        self._addresses = _addresses(self._dice)
        self._learners: list[Learner] = []
        self._calendar = self._cast(size, days)

    @property
    def learners(self) -> Sequence[Learner]:
        """All learners, also those who have left. Live, more are hired."""
        return self._learners

    def history(self) -> Iterator[Event]:
        """The events before the start, in order of time. Call it once."""
        return heapq.merge(self._calendar, self._sessions(), key=attrgetter("at"))

    def live_event(self, at: datetime) -> Event:
        """An event at `at`, after the history."""
        luck = self._dice.random()
        if luck < LIVE_TURNOVER:
            return self._hire_or_leave(at)
        learner = self._active_learner()
        if luck < LIVE_TURNOVER + LIVE_EXPIRY:
            return self._expired(learner, at)
        return self._next_event(learner, at, LIVE)

    # The roster

    def _cast(self, size: int, days: int) -> list[Event]:
        """Hires all learners. Returns the planned events of the roster, in order of time."""
        turnover = min(size // 4, size * days // 1350)
        first_sec = int(min(timedelta(minutes=20), self.end - self.begin).total_seconds())
        old = [
            self._new_learner(self.begin + timedelta(seconds=self._dice.randint(0, first_sec)))
            for _ in range(size - turnover)
        ]
        hires = [self._new_learner(at) for at in sorted(self._moments(turnover))]
        special = iter(self._dice.sample(old, len(old)))
        unknown = {next(special).user_id for _ in range(min(2, size // 20))}
        leavers = [next(special) for _ in range(turnover)]
        for learner, at in zip(leavers, self._moments(turnover), strict=True):
            learner.left = at
        stayers = list(special)
        for learner in [one for one in stayers if one.team != SLIPPING_TEAM][: size // 30]:
            learner.surges = True
        expiries = zip(stayers, self._moments(size * days // 700), strict=False)
        announced = zip(
            stayers[size // 3 :], self._announcements(size * days // 1500), strict=False
        )
        return sorted(
            [
                *(self._provisioned(one) for one in (*old, *hires) if one.user_id not in unknown),
                *(self._deprovisioned(one, one.left) for one in leavers if one.left),
                *(self._expired(learner, at) for learner, at in expiries),
                *(self._expired(learner, *times) for learner, times in announced),
            ],
            key=attrgetter("at"),
        )

    def _new_learner(self, hired: datetime) -> Learner:
        dice = self._dice
        # Roughly the curriculum, in a different order for each learner.
        order = {module.id: place + dice.uniform(0, 9) for place, module in enumerate(MODULES)}
        learner = Learner(
            user_id=f"u-{len(self._learners) + 1:04}",
            email=next(self._addresses),
            role=dice.choice(ROLES),
            team=dice.choice(list(TEAMS)),
            skill=dice.betavariate(5, 4),
            diligence=0.07 + 0.7 * dice.betavariate(2, 2.2),
            hired=hired,
            to_learn=sorted(MODULES, key=lambda module: order[module.id]),
        )
        self._learners.append(learner)
        return learner

    def _moments(self, how_many: int) -> list[datetime]:
        """Times in office hours, none on the first day."""
        return [office_moment(self._dice, self.begin, self.end) for _ in range(how_many)]

    def _announcements(self, how_many: int) -> Iterator[tuple[datetime, datetime]]:
        """Times in the last days, each with a time soon after the end."""
        begin = max(self.begin, self.end - ANNOUNCED_WITHIN)
        for soon in range(how_many):
            at = office_moment(self._dice, begin, self.end)
            yield at, (self.end + timedelta(days=2 + 3 * soon)).replace(hour=0, minute=0, second=0)

    def _hire_or_leave(self, at: datetime) -> Event:
        if sum(1 for learner in self._learners if learner.left is None) <= self._size:
            return self._provisioned(self._new_learner(at))
        leaver = self._active_learner()
        leaver.left = at
        return self._deprovisioned(leaver, at)

    def _active_learner(self) -> Learner:
        """A learner who has not left; diligent ones more often."""
        while True:
            learner = self._dice.choice(self._learners)
            if learner.left is None and self._chance(learner.diligence):
                return learner

    # Days and sessions

    def _sessions(self) -> Iterator[Event]:
        day = self.begin.date()
        while day <= self.end.date():
            happened = [
                event
                for learner in self._learners
                if self._chance(self._eagerness(learner, day))
                for event in self._session(learner, day)
            ]
            yield from sorted(happened, key=attrgetter("at"))
            day += DAY

    def _eagerness(self, learner: Learner, day: date) -> float:
        """Chance of a session on that day."""
        # No session on the last day: a retry of the evening before would arrive after the leaving.
        if day < learner.hired.date() or (learner.left and day >= learner.left.date()):
            return 0
        working_day = 1.0 if day.weekday() < FIRST_WEEKEND_DAY else 0.12
        if day.weekday() == MONDAY:
            working_day = MONDAY_ZEAL
        if learner.surges and self._is_in_last(7, day):
            return 0.85 * max(working_day, 0.4)
        slip = self._slip(learner, day)
        return learner.diligence * TEAMS[learner.team] * working_day * slip

    def _slip(self, learner: Learner, day: date) -> float:
        """The part of their diligence that is left."""
        if learner.team != SLIPPING_TEAM:
            return 1
        return next((left for days, left in SLIPS.items() if self._is_in_last(days, day)), 1)

    def _is_in_last(self, days: int, day: date) -> bool:
        return self.end.date() - day < timedelta(days=days)

    def _session(self, learner: Learner, day: date) -> Iterator[Event]:
        dice = self._dice
        midnight = datetime.combine(day, time(), UTC)
        hour = dice.choices(range(24), HOUR_WEIGHTS)[0]
        if day.weekday() == MONDAY and self._chance(HUDDLE_SHARE):
            hour = HUDDLE.hour
        at = midnight + timedelta(hours=hour, seconds=dice.randint(0, 3599))
        surging = learner.surges and self._is_in_last(7, day)
        for _ in range(dice.randint(3, 6) if surging else dice.choice((1, 1, 2, 2, 3, 4))):
            at += timedelta(seconds=dice.randint(240, 1080))
            if at < learner.hired:
                continue
            if at >= min(self.end, midnight + DAY):
                return
            yield self._next_event(learner, at, HISTORY)

    # Events of one learner

    def _next_event(self, learner: Learner, at: datetime, tempo: Tempo) -> Event:
        task = self._open_task(learner, at, tempo) or self._new_task(learner, at)
        if task is None:
            return self._step(learner, at, tempo)
        if isinstance(task.what, Course):
            return self._completed(learner, task.what, at)
        if task.practice:
            return Event(at, "quiz.submitted", quiz_data(learner.user_id, task.what, "practice"))
        return self._submitted(learner, task.what, at)

    def _open_task(self, learner: Learner, at: datetime, tempo: Tempo) -> Task | None:
        """The first task that is due; live, sometimes one that is not."""
        impatient = not tempo.waits and self._chance(0.3)
        for task in learner.tasks:
            if impatient or task.at <= at:
                learner.tasks.remove(task)
                return task
        return None

    def _new_task(self, learner: Learner, at: datetime) -> Task | None:
        """A task for a learner who has finished all modules, so that events never end.

        None if there is a module to continue; sometimes a new module is released.
        """
        if learner.to_learn:
            return None
        if self._chance(0.15):
            number = len(learner.progress) + 1
            name = f"Release briefing {number - len(MODULES)}"
            learner.to_learn.append(Module(f"m-{number:02}", name, 15))
            return None
        if self._chance(0.03):
            return Task(at, self._dice.choice(COURSES))
        return Task(at, self._dice.choice(QUIZZES), practice=self._chance(0.5))

    def _step(self, learner: Learner, at: datetime, tempo: Tempo) -> Event:
        peeks = len(learner.to_learn) > 1 and self._chance(0.15)
        module = learner.to_learn[1 if peeks else 0]
        before, seconds = learner.progress.get(module.id, (0, 0))
        percent = min(COMPLETE_PCT, before + self._dice.randint(*tempo.step_pct))
        pace = self._dice.uniform(0.8, 1.3) * (1.25 - 0.5 * learner.skill)
        seconds += round(module.minutes * 60 * (percent - before) / 100 * pace)
        learner.progress[module.id] = (percent, seconds)
        if percent == COMPLETE_PCT:
            self._finish(learner, module, at)
        data = {
            "userId": learner.user_id,
            "moduleName": module.name,
            "moduleId": module.id,
            "progressPct": percent,
            "timeSpentSec": seconds,
        }
        return Event(at, "module.progress", data)

    def _finish(self, learner: Learner, module: Module, at: datetime) -> None:
        """A finished module leads to its quiz; the last one of a course completes the course."""
        learner.to_learn.remove(module)
        open_ids = {open_module.id for open_module in learner.to_learn}
        for course in COURSES:
            if module.id in course.module_ids and not course.module_ids & open_ids:
                learner.tasks.append(Task(at, course))
        for quiz in QUIZZES:
            if quiz.module_id == module.id:
                for _ in range(self._dice.choice((0, 1, 1, 2))):
                    learner.tasks.append(Task(at, quiz, practice=True))
                learner.tasks.append(Task(at + self._days(0, 3), quiz))

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share

    def _days(self, least: int, most: int) -> timedelta:
        return timedelta(days=self._dice.randint(least, most))

    def _submitted(self, learner: Learner, quiz: Quiz, at: datetime) -> Event:
        score = round(quiz.max_score * self._share_right(learner, quiz, at))
        passed = score >= PASS_SHARE * quiz.max_score
        tries = learner.tries[quiz.id] = learner.tries.get(quiz.id, 0) + 1
        if not passed and tries < MAX_TRIES and self._chance(0.8):
            learner.tasks.append(Task(at + self._days(2, 6), quiz))
        data = quiz_data(learner.user_id, quiz, "graded")
        data |= {"score": score, "maxScore": quiz.max_score, "passed": passed}
        return Event(at, "quiz.submitted", data)

    def _share_right(self, learner: Learner, quiz: Quiz, at: datetime) -> float:
        practice = 0.07 * min(learner.tries.get(quiz.id, 0), MAX_TRIES)
        slip = 0.1 if self._slip(learner, at.date()) < 1 else 0.0
        luck = self._dice.gauss(0, 0.1)
        share = 1 - quiz.difficulty + 0.5 * (learner.skill - 0.5) + practice - slip + luck
        return min(1.0, max(0.05, share))

    def _completed(self, learner: Learner, course: Course, at: datetime) -> Event:
        score = min(100, round(62 + 34 * learner.skill + self._dice.gauss(0, 6)))
        if self._chance(0.1):
            learner.tasks.append(Task(at + self._days(10, 30), course))
        return Event(at, "course.completed", completed_data(learner.user_id, course, score, at))

    def _provisioned(self, learner: Learner) -> Event:
        data = {
            "userId": learner.user_id,
            "email": learner.email,
            "role": learner.role,
            "teamId": learner.team,
            "provisionedBy": "hr-sync",
        }
        return Event(learner.hired, "user.provisioned", data)

    def _deprovisioned(self, learner: Learner, at: datetime) -> Event:
        reason = self._dice.choice(REASONS)
        who = {"userId": learner.user_id, "email": learner.email}
        return Event(at, "user.deprovisioned", who | {"reason": reason, "deprovisionedAt": iso(at)})

    def _expired(self, learner: Learner, at: datetime, expires_at: datetime | None = None) -> Event:
        expires_at = expires_at or at
        data = {
            "userId": learner.user_id,
            "certName": self._dice.choice(CERTIFICATES),
            "expiredAt": iso(expires_at),
            "renewalDeadline": iso(expires_at + timedelta(days=30)),
        }
        return Event(at, "certification.expired", data)


def office_moment(dice: Random, begin: datetime, end: datetime) -> datetime:
    """A time in office hours between the two, if possible not on the first day."""
    first = begin + DAY
    at = first + dice.random() * (end - first)
    while at.weekday() >= FIRST_WEEKEND_DAY:
        at += DAY
    hour, minute, second = dice.randint(9, 16), dice.randint(0, 59), dice.randint(0, 59)
    at = at.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return min(max(at, begin), end)


def completed_data(user_id: str, course: Course, score: int, at: datetime) -> dict[str, str | int]:
    """The data of a completed course."""
    return {
        "userId": user_id,
        "courseName": course.name,
        "courseId": course.id,
        "score": score,
        "completedAt": iso(at),
    }


def quiz_data(user_id: str, quiz: Quiz, quiz_type: str) -> dict[str, str | int | bool]:
    """The data of a submitted quiz, without a score."""
    named = {"quizName": quiz.name, "quizId": quiz.id}
    return {"userId": user_id, **named, "quizType": quiz_type}


def _addresses(dice: Random) -> Iterator[str]:
    """Unique email addresses, numbered once all names are used."""
    names = [f"{first}.{last}" for first in FIRST_NAMES.split() for last in LAST_NAMES.split()]
    for used in count(1):
        number = used if used > 1 else ""
        for name in dice.sample(names, len(names)):
            yield f"{name}{number}@acme.example"


def iso(at: datetime) -> str:
    """A time in ISO 8601, in whole seconds."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def iso_millis(at: datetime) -> str:
    """A time in ISO 8601, with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
