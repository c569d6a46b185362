"""The demo's store and pages, for tests and for pictures of the pages."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page

from receiver.simulator import PARTS, Plan, Play, story
from receiver.simulator.history import write_history
from receiver.store import write_heartbeat
from receiver.vendors import note_vendors, vendor_facts
from shared.database import open_engine, write_transaction
from shared.settings import ReceiverSettings
from tests import playing
from tests.stores import follow

DAYS = 90
PAGES = (
    "",
    "?board=teams",
    "contests",
    "coaching",
    "certifications",
    "deliveries",
    "learner",
    "audit",
    "scoring",
    "screens",
    "preferences",
)
"""The addresses of all pages that have a menu entry."""
SETTINGS = ReceiverSettings(
    _env_file=None,
    mindtickle_webhook_secret=playing.SECRET,
    innovative_educators_allowed_ips="127.0.0.1",
    lessonly_authorization="Bearer of-the-demo",
    standard_webhooks_secret=playing.WHSEC,
)
BUSY = "[data-testid=stSkeleton]"
QUIET_MS = 700


def write_demo(database_url: str, learners: int, end: datetime | None = None) -> None:
    """The history of the demo's company up to a moment, now by default, in a migrated store, and a
    receiver that is up for another hour, however long its pages are looked at."""
    end = end or datetime.now(UTC).replace(microsecond=0)
    facts = vendor_facts(SETTINGS)
    plans = [
        Plan(
            "http://127.0.0.1:8000",
            slug,
            part.credential(SETTINGS),
            facts[slug].schedule.offsets[1:],
            learners=learners,
            backfill_days=DAYS,
            past=story.past(slug, end),
        )
        for slug, part in PARTS.items()
    ]
    engine = open_engine(database_url)
    write_history(engine, SETTINGS, [Play(plan, end) for plan in plans], end)
    note_vendors(engine, SETTINGS)
    with write_transaction(engine) as connection:
        write_heartbeat(connection, "receiver-of-the-demo", end, end + timedelta(hours=1))
    follow(engine)
    engine.dispose()


def settled(page: Page, patience_ms: int = 60_000) -> None:
    """Wait until nothing of a page is left to load, for a moment."""
    waited = still = 0
    while still < QUIET_MS:
        page.wait_for_timeout(100)
        waited += 100
        still = 0 if page.locator(BUSY).count() and waited < patience_ms else still + 100
