"""What there is to tell by each rule, from the queries and judgements of the page that its message
leads to. So a message never says other than that page."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from unicodedata import bidirectional
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from shared import following
from shared.coaching import SATURDAY
from shared.evidence import Evidence
from shared.naming import Naming
from shared.outages import Outage
from shared.queries import coaching, deliveries, failures
from shared.queries.certifications import SOON, CertificateRow, certificates
from shared.queries.evidence import gather
from shared.queries.follower import lag, unfoldable
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters
from shared.queries.quizzes import quizzes
from shared.queries.vendors import configured
from shared.queries.windows import first_hour
from shared.settings import Settings
from shared.verdict import Clock, Traffic, is_losing, verdict
from shared.wording import number_of, rewritten

UNOWNED_WORKING_DAYS = 3
LAST_CHANCE = timedelta(hours=2)
"""An admin needs this long to fix a cause before its first event is lost."""
WINDOW = "24h"
LONGEST = 80
ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
"""Of Unicode: what is between them has a direction of its own."""


class Asked(NamedTuple):
    """What is asked for: since when, for people of `who`, named in this way. `zone` is that of the
    times in sentences, `numbers` how their numbers are written."""

    who: Who
    since: datetime
    now: datetime
    settings: Settings
    naming: Naming
    zone: str = "UTC"
    numbers: str = "comma"


class Cause(NamedTuple):
    """One thing to tell. `subject` and `round` name it for ever; `link` leads to it on the pages,
    `detail` is what stands there as well. It is about people of `team_id`, or, with an `owner`, for
    that person only."""

    subject: str
    round: str
    at: datetime
    line: str
    link: str
    detail: str = ""
    team_id: str | None = None
    owner: str | None = None
    account: tuple[str, str] | None = None
    """Vendor and user ID of the learner."""
    urgent: bool = False
    of_teams: bool = True
    """Whether it concerns people of teams at all."""


def causes(connection: Connection, rule: str, asked: Asked) -> list[Cause]:
    """What there is to tell by a rule that happened from `asked.since` to `asked.now`."""
    found = _FOUND[rule](connection, asked)
    return [one for one in found if asked.since <= one.at <= asked.now]


def said(text: str) -> str:
    """Words of a payload in one line of a sentence, shortened. Those that are written from right to
    left are isolated: the figures after them would change places with them."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    line = " ".join(shown.split())
    short = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    from_right = any(bidirectional(sign) in ("R", "AL") for sign in short)
    return f"{ISOLATE}{short}{POP_ISOLATE}" if from_right else short


def learner_link(key: str, asked: Asked) -> str:
    """The page of a learner."""
    return f"/learner?id={quote(asked.naming.link_to(key), safe='')}"


def _name(row: coaching.Item | CertificateRow, asked: Asked) -> str:
    return said(asked.naming.known_as(row.name, row.email, row.key))


# Coaching


def _filters(asked: Asked, **more: bool) -> Filters:
    settings = asked.settings
    return Filters(
        who=asked.who,
        since=asked.since,
        default_pct=settings.coaching_threshold_pct,
        rule=settings.coaching_rule,
        today=asked.now.astimezone(ZoneInfo(asked.zone)).date(),
        **more,  # type: ignore[arg-type]
    )


def _low_quiz(connection: Connection, asked: Asked) -> Iterator[Cause]:
    for row in coaching.items(connection, _filters(asked), "new"):
        score = "did not pass" if row.latest_pct is None else f"scored {row.latest_pct:.0f} % at"
        mark = f" (pass mark {row.threshold_pct:.0f} %)" if row.latest_pct is not None else ""
        yield Cause(
            subject=_item(row),
            round=row.submitted_at.isoformat(),
            at=row.submitted_at,
            line=f"{_name(row, asked)} {score} {said(row.quiz_name)}{mark}",
            link=learner_link(row.key, asked),
            team_id=row.team_id,
            account=(row.vendor, row.user_id),
        )


def _item(row: coaching.Item) -> str:
    return f"{row.vendor}/{row.user_id}/{row.quiz_id}"


def _hard_quiz(connection: Connection, asked: Asked) -> Iterator[Cause]:
    """A quiz has no time at which it became hard: a message is about a low score at it."""
    latest: dict[tuple[str, str], datetime] = {}
    for row in coaching.items(connection, _filters(asked, problems=True), "new"):
        if row.problem:
            quiz = (row.vendor, row.quiz_id)
            latest[quiz] = max(row.submitted_at, latest.get(quiz, row.submitted_at))
    if not latest:
        return
    settings = asked.settings
    found = quizzes(connection, settings.coaching_threshold_pct, settings.coaching_rule, asked.who)
    for figures in found:
        at = latest.get((figures.vendor, figures.quiz_id))
        if at is not None and figures.problem:
            takers = rewritten(number_of(figures.all_takers, "taker"), asked.numbers)
            yield Cause(
                subject=f"{figures.vendor}/{figures.quiz_id}",
                round=f"{at:%Y-%m}",
                at=at,
                line=f"{figures.all_share:.0f} % of {takers} are "
                f"low at {said(figures.quiz_name)}: look at the quiz",
                link="/coaching",
                of_teams=False,
            )


def _overdue(connection: Connection, asked: Asked) -> Iterator[Cause]:
    for row in coaching.items(connection, _filters(asked), "progress"):
        if row.owner is None or row.due is None:
            continue
        at = datetime(row.due.year, row.due.month, row.due.day, tzinfo=asked.now.tzinfo)
        yield Cause(
            subject=f"case {row.case_id}",
            round=row.due.isoformat(),
            at=at + timedelta(days=1),
            line=f"Your coaching of {_name(row, asked)} at {said(row.quiz_name)} was due on "
            f"{row.due:%-d %b}",
            link="/coaching",
            team_id=row.team_id,
            owner=row.owner,
            account=(row.vendor, row.user_id),
        )


def _unowned(connection: Connection, asked: Asked) -> Iterator[Cause]:
    for row in coaching.items(connection, _filters(asked), "progress"):
        if row.owner is not None or row.opened_at is None:
            continue
        yield Cause(
            subject=f"case {row.case_id}",
            round=row.opened_at.isoformat(),
            at=_working_days_after(row.opened_at, UNOWNED_WORKING_DAYS),
            line=f"{_name(row, asked)} at {said(row.quiz_name)} has no owner since "
            f"{row.opened_at:%-d %b}",
            link="/coaching",
            team_id=row.team_id,
            account=(row.vendor, row.user_id),
        )


def _working_days_after(at: datetime, days: int) -> datetime:
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < SATURDAY
    return at


# Certificates


def _certificates(connection: Connection, asked: Asked) -> Iterator[Cause]:
    for row in certificates(connection, asked.who, asked.now, limit=None):
        at, what = _turned(row)
        yield Cause(
            subject=f"{row.vendor}/{row.user_id}/{row.cert_name}",
            round=f"{row.state} {at:%Y-%m-%d}",
            at=at,
            line=f"{said(row.cert_name)} of {_name(row, asked)} {what}",
            link="/certifications",
            team_id=row.team_id,
            account=(row.vendor, row.user_id),
        )


def _turned(row: CertificateRow) -> tuple[datetime, str]:
    """When a certificate came to be in its state, and what that is."""
    expired, deadline = row.expired_at, row.renewal_deadline
    if row.state in ("valid", "expires soon"):
        return expired - SOON, f"expires on {expired:%-d %b}"
    if deadline is None or row.state == "expired":
        return expired, f"expired on {expired:%-d %b}"
    if row.state == "overdue":
        return deadline, f"should have been renewed by {deadline:%-d %b}"
    begins = max(expired, deadline - SOON)
    return begins, f"expired on {expired:%-d %b}; renewal is due by {deadline:%-d %b}"


# Deliveries


def _deliveries(connection: Connection, asked: Asked) -> Iterator[Cause]:
    """These are true now, whenever they began."""
    now, begin = asked.now, first_hour(WINDOW, asked.now)
    vendors = configured(connection)
    evidence = [gather(connection, one, begin, now, asked.settings) for one in vendors]
    down = failures.outages_since(connection, begin, now)
    found = [*_down(down), *(one for each in evidence for one in _of_vendor(each, now))]
    yield from _behind(connection, asked)
    if not found:
        return
    totals = deliveries.totals(connection, begin, None)
    traffic = Traffic(totals.all, totals.accepted, deliveries.last(connection, None))
    judged = verdict(evidence, traffic, down, "24 hours", Clock(now, asked.zone))
    counted = "".join(f"\n{one.words}." for one in judged.countdowns)
    for subject, round_, urgent in found:
        yield Cause(
            subject=subject,
            round=round_,
            at=now,
            line=rewritten(said(judged.headline), asked.numbers),
            link="/deliveries",
            detail=rewritten(f"{judged.why}{counted}", asked.numbers) + f"\n{_as_of(asked)}",
            urgent=urgent,
            of_teams=False,
        )


def _behind(connection: Connection, asked: Asked) -> Iterator[Cause]:
    """What keeps events from the pages, and so from every other message."""
    now = asked.now
    for one in following.findings(lag(connection), unfoldable(connection)):
        yield Cause(
            subject="store",
            round=f"{one.kind} {now:%Y-%m-%d}",
            at=now,
            line=rewritten(one.title, asked.numbers),
            link="/deliveries",
            detail=rewritten(f"{one.evidence} {one.cure}", asked.numbers) + f"\n{_as_of(asked)}",
            of_teams=False,
        )


def _as_of(asked: Asked) -> str:
    """For hours and spans of time in a message that is read later, or by people elsewhere."""
    return f"As of {asked.now.astimezone(ZoneInfo(asked.zone)):%a %-d %b, %H:%M} {asked.zone}."


def _down(outages: list[Outage]) -> Iterator[tuple[str, str, bool]]:
    if outages and not outages[-1].over:
        yield "receiver", f"down {outages[-1].begin.isoformat()}", False


def _of_vendor(evidence: Evidence, now: datetime) -> Iterator[tuple[str, str, bool]]:
    """Subject, round and whether it is urgent."""
    slug, clock = evidence.vendor.slug, evidence.suspension
    since = evidence.failing.since.isoformat() if evidence.failing else f"{now:%Y-%m-%d}"
    first_loss = evidence.first_loss
    if is_losing(evidence):
        yield slug, f"failing {since}", False
        if first_loss is not None and first_loss - now <= LAST_CHANCE:
            yield slug, f"last chance {since}", True
    if clock is not None and evidence.replayed is None:
        passed = next((step for step in (100, 90, 75, 50) if clock.share >= step / 100), None)
        if passed is not None:
            yield slug, f"suspension {clock.since.isoformat()} {passed} %", False
    if evidence.silence is not None:
        yield slug, f"silence {evidence.silence.since.isoformat()}", False


_FOUND: Mapping[str, Callable[[Connection, Asked], Iterator[Cause]]] = {
    "low-quiz": _low_quiz,
    "hard-quiz": _hard_quiz,
    "certificates": _certificates,
    "overdue": _overdue,
    "unowned": _unowned,
    "deliveries": _deliveries,
}
