"""The outcomes of a delivery, and the status code that the vendor gets for each."""

from collections.abc import Mapping
from enum import StrEnum


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    MISSING_CREDENTIALS = "missing_credentials"
    BAD_SIGNATURE = "bad_signature"
    WRONG_CREDENTIALS = "wrong_credentials"
    IP_NOT_ALLOWED = "ip_not_allowed"
    STALE_TIMESTAMP = "stale_timestamp"
    WRONG_COMPANY = "wrong_company"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"


WORDS: Mapping[Outcome, str] = {
    Outcome.ACCEPTED: "Accepted",
    Outcome.DUPLICATE: "Duplicate",
    Outcome.BAD_SIGNATURE: "Wrong signature",
    Outcome.WRONG_CREDENTIALS: "Wrong credentials",
    Outcome.MISSING_CREDENTIALS: "No credentials",
    Outcome.IP_NOT_ALLOWED: "Address not allowed",
    Outcome.STALE_TIMESTAMP: "Too old or early",
    Outcome.WRONG_COMPANY: "Other company",
    Outcome.UNREADABLE: "Not understood",
    Outcome.TOO_LARGE: "Too large",
}
"""As pages and messages call them."""


class Sender(StrEnum):
    """Who may have sent a delivery."""

    VENDOR = "vendor"
    """Verified, or well-formed: under a changed secret, credential or address of the vendor's."""
    STRANGER = "stranger"
    """Without a credential, or with a wrong one on a body that the vendor does not send."""


STRANGERS_LISTED = 50
"""Deliveries of strangers that get a row, of each vendor, hour and outcome: the first of them.
Anyone can send more; those are only counted, in `delivery_hourly`."""


class Kind(StrEnum):
    """What a quarantined delivery may be worth, the least first."""

    JUNK = "junk"
    """Nothing that today's vendor would have sent."""
    WELL_FORMED = "well_formed"
    """Only its credential, time, address or company is wrong: a setting of ours may be at fault."""
    AUTHENTIC = "authentic"
    """The vendor's for certain, but not understood."""


class QuarantineState(StrEnum):
    """The state of a quarantined delivery."""

    QUARANTINED = "held"
    REPLAYED = "replayed"
    """A replay made an event of it."""
    DISCARDED = "discarded"
    """Its event existed before the replay: the vendor's own retry had been accepted."""


HAS_EVENT = (Outcome.ACCEPTED, Outcome.DUPLICATE)
"""The event of such a delivery is in the store."""

VERIFIED = (*HAS_EVENT, Outcome.STALE_TIMESTAMP, Outcome.WRONG_COMPANY, Outcome.UNREADABLE)
"""What only a delivery with the vendor's credential comes to: it is checked first."""

STATUS = {
    Outcome.ACCEPTED: 200,
    Outcome.DUPLICATE: 200,
    Outcome.MISSING_CREDENTIALS: 401,
    Outcome.BAD_SIGNATURE: 403,
    Outcome.WRONG_CREDENTIALS: 403,
    Outcome.IP_NOT_ALLOWED: 403,
    Outcome.STALE_TIMESTAMP: 403,
    Outcome.WRONG_COMPANY: 403,
    Outcome.UNREADABLE: 200,
    Outcome.TOO_LARGE: 413,
}
