"""Rules: write causes into the outbox, and compose messages when they are sent.

Rules read what the follower has folded; they are no part of it, and none of the intake. A cause is
found again at each look, and the unique key of the outbox keeps it from being sent twice: a look
that was missed, a rebuild or a replay changes nothing.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, Engine, select

from receiver.errors import first_line, is_of_the_store, is_passing
from receiver.notify import outbox
from receiver.notify.forwarding import SOONEST_SEC, Forwarder, rest
from receiver.notify.notifier import PICTURE, WIDTH, Message
from receiver.notify.outbox import TOO_OLD, Held, Letter, Superseded
from shared.bulk import table_of
from shared.database import write_transaction
from shared.models import Checkpoint
from shared.naming import Naming
from shared.queries import digest as digest_of, preferences as read
from shared.queries.causes import Asked, Cause, causes
from shared.queries.digest import BAR, Board
from shared.queries.people import Who
from shared.queries.preferences import SubscriptionRow
from shared.queries.windows import Calendar
from shared.rules import RULES, TEST, Rule
from shared.setting_types import Names
from shared.settings import NotifySettings
from shared.subscriptions import digest_at, held_until, last_digest, scope, to_tell
from shared.wording import number_of, rewritten

SELDOM_SEC = 15.0
"""Between two looks of rules that the clock changes, or deliveries that are not events."""
BY_EVENTS = ("low-quiz", "hard-quiz")
KNOWN = 100_000
"""How many rows of the outbox are remembered, so that they are not written again and again."""
LISTED = 10
EARLIER = timedelta(minutes=5)
"""What happened up to so long before a subscription counts: clocks of vendors differ."""

log = structlog.get_logger()


class _Said(NamedTuple):
    """What a message says, before its foot."""

    title: str
    lines: Sequence[str]
    link: str
    board: Board | None = None


class StoreRules:
    """The rules, by the subscriptions of the store."""

    def __init__(self, settings: NotifySettings) -> None:
        self._settings = settings
        self._forwarder = Forwarder(settings)
        self._known: set[outbox.Key] = set()
        self._folds: int | None = None
        self._otherssec = SOONEST_SEC
        self._looked = self._looked_seldom = float("-inf")

    # What is due

    def write_due(self, engine: Engine, at: datetime) -> None:
        """Write into the outbox what is due and is not there yet."""
        self._write_forwards(engine, at)
        began = time.monotonic()
        seldom = began - self._looked_seldom >= SELDOM_SEC
        if not seldom and began - self._looked < self._otherssec:
            return
        with engine.connect() as connection:
            folds = connection.scalar(select(table_of(Checkpoint).c.folds))
            if not seldom and folds == self._folds:
                return
            rows = list(self._found(connection, at, seldom=seldom))
        self._write(engine, rows)
        self._folds, self._looked = folds, time.monotonic()
        self._otherssec = rest(self._looked - began)
        if seldom:
            self._looked_seldom = self._looked

    def _write_forwards(self, engine: Engine, at: datetime) -> None:
        try:
            self._forwarder.write_due(engine, at)
        except Exception as error:  # they hold up no message
            if is_of_the_store(error) or is_passing(error):
                raise
            log.error("forwards_failed", error=first_line(error))

    def _found(self, connection: Connection, at: datetime, *, seldom: bool) -> Iterable[outbox.Row]:
        subscribed: dict[str, list[tuple[SubscriptionRow, Who]]] = {}
        for one in read.every(connection):
            if (allowed := scope(one, self._settings)) is not None:
                subscribed.setdefault(one.rule, []).append((one, allowed))
        for key, listeners in subscribed.items():
            if not seldom and key not in BY_EVENTS:
                continue
            try:
                yield from list(self._of_rule(connection, RULES[key], listeners, at))
            except Exception as error:  # a rule that fails stops no other
                if is_of_the_store(error) or is_passing(error):
                    raise
                log.error("rule_failed", rule=key, error=first_line(error))

    def _of_rule(
        self,
        connection: Connection,
        rule: Rule,
        listeners: Sequence[tuple[SubscriptionRow, Who]],
        at: datetime,
    ) -> Iterable[outbox.Row]:
        if rule.period is not None:
            return self._digests(rule, listeners, at)
        asked = Asked(Who(), at - TOO_OLD, at, self._settings, Naming("full", None))
        return _to_listeners(rule, causes(connection, rule.key, asked), listeners)

    def _digests(
        self, rule: Rule, listeners: Iterable[tuple[SubscriptionRow, Who]], at: datetime
    ) -> Iterable[outbox.Row]:
        for to, _ in listeners:
            day = last_digest(to, rule, at, self._week_begins)
            due = digest_at(to, day)
            if at - due < TOO_OLD and due >= to.created_at:
                yield to_tell(to, rule.key, rule.key, day.isoformat(), due)

    def _write(self, engine: Engine, rows: Iterable[outbox.Row]) -> None:
        new = {key: row for row in rows if (key := outbox.key_of(row)) not in self._known}
        if not new:
            return
        if len(self._known) + len(new) > KNOWN:
            self._known.clear()
        with write_transaction(engine) as connection:
            outbox.add(connection, list(new.values()))
        self._known.update(new)

    # How it is said

    def compose(
        self, connection: Connection, letter: Letter, at: datetime
    ) -> Message | Superseded | Held:
        """The message by what the store says now, for what its person may see now."""
        to = read.by_id(connection, letter.subscription_id)
        if to is None:
            return Superseded("unsubscribed")
        if letter.rule == TEST:
            return self._message(to, _Said("A test message of Repboard", ["It works."], ""))
        allowed = scope(to, self._settings)
        rule = RULES[letter.rule]
        if allowed is None or to.role not in rule.roles:
            return Superseded("the person has no such role any more")
        until = None if letter.urgent else held_until(to, rule, at)
        if until is not None:
            return Held(until)
        if rule.period is not None:
            return self._message(to, self._of_period(connection, rule, letter, to, allowed))
        found = self._of_causes(connection, letter, to, allowed, at)
        return Superseded("resolved since") if found is None else self._message(to, found)

    def _of_causes(
        self, connection: Connection, letter: Letter, to: SubscriptionRow, who: Who, at: datetime
    ) -> _Said | None:
        """None if nothing of it is true any more."""
        since = at - TOO_OLD - timedelta(hours=1)
        naming = self._naming(to.role)
        asked = Asked(who, since, at, self._settings, naming, to.zone, to.numbers)
        wanted = {(one.subject, one.round) for one in letter.causes}
        found = [
            one
            for one in causes(connection, letter.rule, asked)
            if (one.subject, one.round) in wanted and _is_for(one, to, who)
        ]
        if not found:
            return None
        lines = list(dict.fromkeys(one.line for one in found))
        if len(lines) == 1:
            return _Said(lines[0], [one for one in [found[0].detail] if one], found[0].link)
        more = len(lines) - LISTED
        title = f"{RULES[letter.rule].title}: {number_of(len(lines), 'message')}"
        others = [rewritten(f"And {more:,} more.", to.numbers)] if more > 0 else []
        return _Said(rewritten(title, to.numbers), lines[:LISTED] + others, _common(found))

    def _of_period(
        self, connection: Connection, rule: Rule, letter: Letter, to: SubscriptionRow, who: Who
    ) -> _Said:
        assert rule.period is not None  # noqa: S101 (asked for before)
        day = datetime.fromisoformat(letter.causes[-1].round).date()
        asked = digest_of.Asked(
            rule.period, who, digest_at(to, day), to.zone, self._naming(to.role), to.numbers
        )
        return _Said(*digest_of.digest(connection, asked, self._settings))

    def _message(self, to: SubscriptionRow, what: _Said) -> Message:
        url = self._settings.pages_url
        opened = f"{url}{what.link}" if what.link else ""
        reason = f"You subscribed to “{RULES[to.rule].title}”. Pause or stop it:"
        stop = f"{url}/preferences?subscription={to.token}"
        parts = ["\n".join(what.lines), opened, f"{reason} {stop}"]
        body = "\n\n".join(part for part in parts if part)
        html = _html(what, opened, f"{reason} {_link(stop)}")
        return Message(what.title, body, html, stop, what.board)

    def _naming(self, role: str) -> Naming:
        """How people are named to a role. Without one it is not sent to anyone."""
        settings = self._settings
        by_role: Mapping[str, Names] = {
            "manager": settings.names_manager,
            "lead": settings.names_lead,
            "admin": settings.names_admin,
        }
        return Naming(by_role.get(role, "full"), settings.names_key)

    @property
    def _week_begins(self) -> int:
        settings = self._settings
        return Calendar.of(settings.week_begins, settings.fiscal_year_begins).week_begins


def _html(what: _Said, opened: str, foot: str) -> str:
    """What is said, as HTML; Apprise makes a part in plain text of it. `foot` is HTML. A picture
    has the bars of a board."""
    texts = [line.rstrip(f" {BAR}") for line in what.lines] if what.board else what.lines
    parts = [
        f"<b>{escape(what.title)}</b>",
        _picture(what.board) if what.board else "",
        "<br>".join(map(escape, texts)).replace("\n", "<br>"),
        _link(opened) if opened else "",
        f'<small style="color:#56607A">{foot}</small>',
    ]
    said = "".join(f"<p>{part}</p>" for part in parts if part)
    return f'<div style="font-family:Arial,sans-serif;max-width:{WIDTH}px">{said}</div>'


def _picture(board: Board) -> str:
    return (
        f'<img src="cid:{PICTURE}" width="{WIDTH}" style="width:100%;max-width:{WIDTH}px;'
        f'height:auto" alt="{escape(board.about)}">'
    )


def _link(address: str) -> str:
    return f'<a href="{escape(address)}">{escape(address)}</a>'


def _to_listeners(
    rule: Rule, found: Iterable[Cause], listeners: Sequence[tuple[SubscriptionRow, Who]]
) -> Iterable[outbox.Row]:
    """A row for each cause and each subscription that it is for."""
    of_team = _by_team(listeners)
    for cause in found:
        vendor, user_id = cause.account or (None, None)
        for to, who in of_team.get(cause.team_id, of_team[None]) if cause.of_teams else listeners:
            if (
                cause.at >= to.created_at - EARLIER
                and to.role in rule.roles
                and _is_for(cause, to, who)
            ):
                yield to_tell(
                    to,
                    rule.key,
                    cause.subject,
                    cause.round,
                    cause.at,
                    urgent=cause.urgent,
                    vendor=vendor,
                    user_id=user_id,
                )


def _by_team(
    listeners: Sequence[tuple[SubscriptionRow, Who]],
) -> Mapping[str | None, Sequence[tuple[SubscriptionRow, Who]]]:
    """Listeners that may hear of each team; under None the ones of all teams. Each cause looks at
    a few listeners, not at a thousand."""
    found: dict[str | None, list[tuple[SubscriptionRow, Who]]] = {None: []}
    found |= {team: [] for _, who in listeners for team in who.teams or ()}
    for one in listeners:
        for team in found if one[1].teams is None else set(one[1].teams):
            found[team].append(one)
    return found


def _is_for(cause: Cause, to: SubscriptionRow, who: Who) -> bool:
    if cause.owner is not None and cause.owner != to.person:
        return False
    return not cause.of_teams or who.teams is None or cause.team_id in who.teams


def _common(found: Sequence[Cause]) -> str:
    """The link of all, or the page of their rule where each has its own."""
    links = {one.link for one in found}
    return links.pop() if len(links) == 1 else "/coaching"
