"""What one vendor is to play."""

from dataclasses import dataclass, field
from datetime import timedelta

from receiver.simulator.scenarios import Scenario


@dataclass(frozen=True)
class Plan:
    """What a vendor plays, and where it sends that."""

    url: str
    vendor: str
    """Its slug."""
    secret: bytes = field(repr=False)
    """What lets it in; nothing for a vendor that is known by its address."""
    retry_after: tuple[timedelta, ...]
    """From the first attempt to each retry, as the vendor does it."""
    suspend_after: timedelta | None = None
    """How long every delivery fails until the vendor stops; None if it never does."""
    tolerance_future: timedelta = timedelta(minutes=5)
    """How far the receiver lets a clock be ahead."""
    company_id: str = "demo"
    seed: int = 7
    learners: int = 120
    rate: float = 5.0
    """Deliveries a second, once the history is told."""
    backfill_days: int = 90
    duration: float | None = None
    """Seconds to go on after the history; None is without end."""
    faults: float = 0.06
    """Share of the events around which something goes wrong, 0 to 1."""
    scenario: Scenario | None = None
    """What is the matter with the live part."""
