"""What the guides of the vendors say of their retries."""

from receiver.vendors import ADAPTERS, vendor_facts
from shared.settings import ReceiverSettings

VENDORS = vendor_facts(ReceiverSettings(_env_file=None))


def minutes(slug: str) -> list[float]:
    return [at.total_seconds() / 60 for at in VENDORS[slug].schedule.offsets]


def test_mindtickle_tries_five_times_within_some_hours_and_suspends_after_a_day() -> None:
    assert minutes("mindtickle") == [0, 5, 20, 80, 440]
    assert str(VENDORS["mindtickle"].suspend_after) == "1 day, 0:00:00"


def test_innovative_educators_gives_up_after_ten_retries_and_about_three_and_a_half_hours() -> None:
    times = minutes("innovative-educators")
    assert (len(times), times[-1]) == (11, 205)
    assert VENDORS["innovative-educators"].suspend_after is None


def test_lessonly_tries_three_times_more_within_a_quarter_of_an_hour() -> None:
    assert minutes("lessonly") == [0, 5, 10, 15]
    assert VENDORS["lessonly"].suspend_after is None


def test_standard_webhooks_come_again_for_three_days_as_the_specification_has_it() -> None:
    times = minutes("standard-webhooks")
    assert (len(times), times[1] * 60, times[-1] * 60) == (10, 5, 75 * 3600 + 35 * 60 + 5)
    assert VENDORS["standard-webhooks"].suspend_after is None


def test_every_vendor_that_can_be_served_has_its_facts() -> None:
    assert VENDORS.keys() == ADAPTERS.keys()


def test_the_delays_are_settings() -> None:
    settings = ReceiverSettings(_env_file=None, lessonly_retry_delays="60,120")
    offsets = vendor_facts(settings)["lessonly"].schedule.offsets
    assert [at.total_seconds() for at in offsets] == [0, 60, 180]
