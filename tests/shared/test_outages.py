"""When no receiver was up."""

from datetime import UTC, datetime, timedelta

from shared.outages import Outage, Run, outages

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def test_a_gap_between_two_runs_is_an_outage() -> None:
    runs = [Run(at(0), at(30)), Run(at(50), at(60))]
    assert outages(runs, at(60)) == [Outage(at(30), at(50), over=True)]


def test_a_quick_restart_is_none() -> None:
    assert outages([Run(at(0), at(30)), Run(at(30.5), at(60))], at(60)) == []


def test_while_another_receiver_is_up_there_is_none() -> None:
    runs = [Run(at(0), at(30)), Run(at(10), at(55)), Run(at(50), at(60))]
    assert outages(runs, at(60)) == []


def test_a_current_outage_ends_now_and_is_not_over() -> None:
    assert outages([Run(at(0), at(30))], at(40)) == [Outage(at(30), at(40), over=False)]


def test_there_is_no_outage_before_the_first_run() -> None:
    assert outages([], at(60)) == []
    assert outages([Run(at(50), at(60))], at(60)) == []
