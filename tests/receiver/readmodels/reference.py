"""What the read models are of a set of facts, by definition: a slow fold in plain Python."""

import base64
import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

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
    person_of,
)

NEVER = datetime.min.replace(tzinfo=UTC)
EPOCH, FOREVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
FOUR_WEEKS_SEC = 28 * 24 * 60 * 60


def reference(facts: Iterable[Fact]) -> dict[str, list[tuple[Any, ...]]]:
    by_kind: dict[type, set[Any]] = {}
    for fact in facts:
        by_kind.setdefault(type(fact), set()).add(fact)
    everything = [fact for kind in by_kind.values() for fact in kind]
    progress = by_kind.get(Progressed, set())
    attempts = by_kind.get(Attempted, set())
    marks = {(*fact[:3], a_slot(fact.updated_at)) for fact in progress}
    return {
        "learner": [a_learner(group) for group in people_in(everything)],
        "roster_change": sorted(
            [
                (*one[:2], one.provisioned_at, "joined", *one[4:6], None, one.provisioned_at)
                for one in latest_change(by_kind.get(Provisioned, ()))
            ]
            + [
                (
                    *one[:2],
                    one.leaves_at or one.deprovisioned_at,
                    "left",
                    None,
                    None,
                    one.reason,
                    one.deprovisioned_at,
                )
                for one in latest_change(by_kind.get(Deprovisioned, ()))
            ]
        ),
        "team_spell": spells_of(everything),
        "module": names_of((f.vendor, f.module_id, f.module_name, f.updated_at) for f in progress),
        "module_progress": [a_progress(group) for group in keyed(progress, 3)],
        "module_standing": [a_standing(key, progress) for key in sorted(marks)],
        "learner_standing": [
            all_modules(key, progress) for key in sorted({(*key[:2], key[3]) for key in marks})
        ],
        "standing_block": blocks_of(
            [all_modules(key, progress) for key in sorted({(*key[:2], key[3]) for key in marks})]
        ),
        "quiz": names_of(
            (f.vendor, f.quiz_id, f.quiz_name, f.retake_pct, f.submitted_at) for f in attempts
        ),
        "quiz_attempt": sorted(tuple(one)[:-1] for one in attempts),
        "quiz_standing": [
            at_a_quiz([one for one in attempts if (one.vendor, one.user_id, one.quiz_id) == key])
            for key in sorted({(one.vendor, one.user_id, one.quiz_id) for one in attempts})
        ],
        "quiz_history": sorted(
            several_tries(group)
            for group in keyed(
                ((f.vendor, f.quiz_id, f.user_id, f) for f in attempts if f.graded), 3
            )
            if len(group) > 1
        ),
        "course_completion": sorted(tuple(one) for one in by_kind.get(Completed, ())),
        "activity": sorted(tuple(one) for one in by_kind.get(Acted, ())),
        "certification": [an_expiry(group) for group in keyed(by_kind.get(Expired, ()), 3)],
    }


def people_in(facts: Iterable[Any]) -> Iterator[list[Any]]:
    def who(fact: Any) -> Any:
        return fact.vendor, fact.user_id

    named = [fact for fact in facts if not isinstance(fact, Acted)]
    for _, group in groupby(sorted(named, key=who), who):
        yield list(group)


def latest_change(facts: Iterable[Any]) -> list[Any]:
    """Of several changes of a person at one moment the one that was said last, and of those the one
    with the greatest words."""
    words_of = {Provisioned: (4, 5), Deprovisioned: (4,)}

    def at(fact: Any) -> Any:
        if isinstance(fact, Provisioned):
            return fact.provisioned_at
        return fact.leaves_at or fact.deprovisioned_at

    best: dict[Any, Any] = {}
    said = {Provisioned: "provisioned_at", Deprovisioned: "deprovisioned_at"}

    def order(one: Any) -> Any:
        return getattr(one, said[type(one)]), words(*(one[n] for n in words_of[type(one)]))

    for fact in sorted(facts, key=order):
        best[fact.vendor, fact.user_id, at(fact)] = fact
    return list(best.values())


def names_of(named: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    best: dict[Any, Any] = {}

    def order(row: Any) -> Any:
        return row[-1], row[2], *(-1 if value is None else value for value in row[3:-1])

    for row in sorted((row for row in named if row[2]), key=order):
        best[row[:2]] = row
    return sorted(best.values())


def a_slot(at: datetime) -> datetime:
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def a_standing(key: tuple[Any, ...], progress: Iterable[Progressed]) -> tuple[Any, ...]:
    until = [fact for fact in progress if fact[:3] == key[:3] and a_slot(fact.updated_at) <= key[3]]
    return (*key, max(f.progress_pct for f in until), max(f.time_spent_sec for f in until))


def all_modules(key: tuple[Any, ...], progress: Iterable[Progressed]) -> tuple[Any, ...]:
    until = [fact for fact in progress if fact[:2] == key[:2] and a_slot(fact.updated_at) <= key[2]]
    modules = [a_standing((*key[:2], m, key[2]), until) for m in {fact.module_id for fact in until}]
    points = round(sum(row[4] for row in modules), 6)
    return (
        *key, points, len(modules), sum(row[4] == 100 for row in modules),
        sum(row[5] for row in modules),
    )  # fmt: skip


def blocks_of(standings: Sequence[Any]) -> list[tuple[Any, ...]]:
    """By learner and four weeks, with the standing before these and the number of the next ones."""
    found: dict[Any, list[Any]] = {}
    for one in standings:
        found.setdefault((*one[:2], int(one[2].timestamp()) // FOUR_WEEKS_SEC), []).append(one)
    rows = []
    for key, own in found.items():
        before = [one for one in standings if one[:2] == key[:2] and one[2] < own[0][2]][-1:]
        later = [other[2] for other in found if other[:2] == key[:2] and other[2] > key[2]]
        records = [
            struct.pack("<dqiiixx", one[3], one[6], int(one[2].timestamp()) // 900, *one[4:6])
            for one in before + own
        ]
        text = base64.b64encode(b"".join(records)).decode()
        rows.append((*key, min(later, default=2**31 - 1), text))
    return rows


def spells_of(everything: list[Any]) -> list[tuple[Any, ...]]:
    """The teams of each person from one word of the roster to the next."""
    persons = {row[:2]: row[-1] for row in map(a_learner, people_in(everything))}
    joins = latest_change(one for one in everything if isinstance(one, Provisioned))
    leaves = latest_change(one for one in everything if isinstance(one, Deprovisioned))
    words = [(*one[:2], one.provisioned_at, one.provisioned_at, "joined", one.team_id)
             for one in joins]  # fmt: skip
    words += [(*one[:2], one.leaves_at or one.deprovisioned_at, one.deprovisioned_at, "left", None)
              for one in leaves]  # fmt: skip
    found = []
    for person in set(persons.values()):
        own = [one for one in words if persons[one[:2]] == person and not taken_back(one, words)]
        times = sorted({one[2] for one in own})
        for at, until in zip(times, [*times[1:], FOREVER], strict=False):
            if team := team_after(at, own):
                found.append((person, at, team, until, at if at != times[0] else EPOCH))
    return sorted(found)


def taken_back(word: Any, words: Iterable[Any]) -> bool:
    """Whether a later word on an account came before the departure that was announced."""
    _, _, at, said, kind, _ = word
    later = [one for one in words if one[:2] == word[:2] and said < one[3] <= at]
    return kind == "left" and said < at and bool(later)


def team_after(at: datetime, words: Iterable[Any]) -> str | None:
    """Of the accounts that are there the one that joined last."""
    latest: dict[Any, Any] = {}
    for one in sorted((one for one in words if one[2] <= at), key=lambda one: (one[2], one[4])):
        latest[one[:2]] = one
    there = [one for one in latest.values() if one[4] == "joined"]
    return min(there, key=lambda one: (-one[2].timestamp(), one[:2]))[5] if there else None


def at_a_quiz(attempts: list[Attempted]) -> tuple[Any, ...]:
    graded = sorted(
        (one for one in attempts if one.graded), key=lambda one: (one.submitted_at, one.event_key)
    )
    pcts = [pct_of(one) for one in graded]
    scored = [pct for pct in pcts if pct is not None]
    last = graded[-1] if graded else None
    return (
        *attempts[0][:1], *attempts[0][2:4], len(graded), len(attempts) - len(graded),
        pcts[-1] if pcts else None, max(scored, default=None),
        last.passed if last else None, last.submitted_at if last else None,
    )  # fmt: skip


def several_tries(group: list[Any]) -> tuple[Any, ...]:
    """The attempts as pairs of numbers: microseconds since 1970, times four, plus 0 for not passed,
    1 for passed, 2 for neither; and the percentage."""
    attempts = sorted((one[3] for one in group), key=lambda one: (one.submitted_at, one.event_key))
    records = [
        struct.pack(
            "<qd",
            4 * ((one.submitted_at - EPOCH) // timedelta(microseconds=1))
            + {False: 0, True: 1, None: 2}[one.passed],
            float("nan") if (pct := pct_of(one)) is None else pct,
        )
        for one in attempts
    ]
    return (*group[0][:3], attempts[-1].submitted_at, b"".join(records).hex())


def pct_of(attempt: Attempted) -> float | None:
    return (
        None if attempt.score is None else round(100 * attempt.score / (attempt.max_score or 0), 6)
    )


def keyed(facts: Iterable[Any], columns: int) -> Iterator[list[Any]]:
    def key(fact: Any) -> Any:
        return tuple(fact[:columns])

    for _, group in groupby(sorted(facts, key=key), key):
        yield list(group)


def words(*values: str | None) -> tuple[str, ...]:
    return tuple(value or "" for value in values)


def a_learner(facts: list[Any]) -> tuple[Any, ...]:
    joined = [fact for fact in facts if isinstance(fact, Provisioned)]
    left = [fact for fact in facts if isinstance(fact, Deprovisioned)]
    named = [fact for fact in facts if isinstance(fact, Identified)]
    said = max(
        left, key=lambda fact: (fact.deprovisioned_at, fact.leaves_at or NEVER), default=None
    )
    left_at, leaves_at = (said.deprovisioned_at, said.leaves_at) if said else (None, None)
    named_at = max((fact.identified_at for fact in named), default=None)
    joined_at = max((fact.provisioned_at for fact in joined), default=None)
    email = name = role = team = None
    if joined:
        new = max(joined, key=lambda fact: (fact.provisioned_at, *words(*fact[2:6])))
        email, name, role, team = new[2:6]
    elif named:
        email, name = max(named, key=lambda fact: (fact.identified_at, *words(*fact[2:4])))[2:4]
    elif left:
        email = max(left, key=lambda fact: (fact.deprovisioned_at, *words(fact.email))).email
    active = left_at is None or (joined_at is not None and joined_at > left_at)
    who = facts[0].vendor, facts[0].user_id
    return (
        *who, email, name, role, team, active, joined_at, left_at, leaves_at, named_at,
        person_of(*who, email),
    )  # fmt: skip


def a_progress(facts: list[Progressed]) -> tuple[Any, ...]:
    new = max(facts, key=lambda fact: (fact.updated_at, *words(fact.module_name)))
    pct = max(fact.progress_pct for fact in facts)
    seconds = max(fact.time_spent_sec for fact in facts)
    return (*new[:4], pct, seconds, new.updated_at)


def an_expiry(facts: list[Expired]) -> tuple[Any, ...]:
    def order(fact: Expired) -> Any:
        return fact.expired_at, fact.renewal_deadline or NEVER, fact.expires_at or NEVER

    return tuple(max(facts, key=order))
