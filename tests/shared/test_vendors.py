"""The facts of the vendors: what their guides say, and how the dashboard gets them."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from receiver.commands.migrate import migrate
from receiver.vendors import adapters, note_vendors, vendor_facts
from shared.models import Vendor
from shared.queries.vendors import configured, vendor_facts as vendor_facts_in
from shared.settings import ReceiverSettings, Tolerances
from shared.vendors import FACTS, ProgressFields, VendorFacts, variable_prefix
from tests.stores import rows

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


def test_360learning_tries_eight_times_within_28_hours() -> None:
    times = minutes("360learning")
    assert (len(times), times[1] * 60, times[-1]) == (8, 5, 27 * 60 + 35 + 5 / 60)


@pytest.mark.parametrize("facts", VENDORS.values(), ids=VENDORS)
def test_facts_come_back_from_the_store_as_they_were_noted(facts: VendorFacts) -> None:
    assert FACTS.validate_json(FACTS.dump_json(facts)) == facts


def test_a_start_notes_again_which_vendors_are_configured(store: Engine) -> None:
    def noted(**settings: str) -> list[str]:
        note_vendors(store, ReceiverSettings(_env_file=None, **settings))
        with store.connect() as connection:
            assert vendor_facts_in(connection) == VENDORS
            return [one.name for one in configured(connection)]

    assert noted(lessonly_authorization="x", mindtickle_webhook_secret="whsec-hidden") == [
        "MindTickle", "Seismic Learning (Lessonly)",
    ]  # fmt: skip
    assert noted(mindtickle_webhook_secret="whsec-hidden") == ["MindTickle"]
    assert not any("-hidden" in one.facts for one in rows(store, Vendor))


def test_migrate_without_the_secrets_of_a_receiver_leaves_vendors_configured(
    store_url: str, store: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note_vendors(store, ReceiverSettings(_env_file=None, mindtickle_webhook_secret="whsec-hidden"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", store_url)
    migrate()
    with store.connect() as connection:
        assert [one.name for one in configured(connection)] == ["MindTickle"]


def test_the_slug_of_a_vendor_is_in_its_facts_and_in_the_names_of_its_settings() -> None:
    every = adapters(ReceiverSettings(_env_file=None))
    assert {slug: one.slug for slug, one in VENDORS.items()} == {slug: slug for slug in every}
    for slug, adapter in every.items():
        own = adapter.settings.model_fields.keys() - Tolerances.model_fields.keys()
        assert all(name.startswith(variable_prefix(slug)) for name in own)


PROGRESS = ProgressFields("module.progress", "data.moduleId", "data.moduleName", "data.progressPct")


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        ('{"data": {"moduleId": "m-1", "moduleName": "Calls", "progressPct": 40}}',
         ("m-1", "Calls", 40)),
        ('{"data": {"moduleId": 7, "progressPct": "40"}}', ("7", "7", 40)),
        (r'{"data": {"moduleId": 7, "moduleName": "Deal \ud83d", "progressPct": 40}}',
         ("7", "Deal ?", 40)),
        ('{"data": {"moduleId": 7}}', None),
        ('{"data": {"moduleId": 7, "progressPct": [40]}}', None),
        ('{"data": [7]}', None),
        ("[]", None),
        ("", None),
        ("[" * 100_000, None),
    ],
)  # fmt: skip
def test_progress_is_read_from_where_the_vendor_has_it(
    payload: str, read: tuple[str, str, float] | None
) -> None:
    assert PROGRESS.read(payload) == read


def test_the_delays_are_settings() -> None:
    settings = ReceiverSettings(_env_file=None, lessonly_retry_delays="60,120")
    offsets = vendor_facts(settings)["lessonly"].schedule.offsets
    assert [at.total_seconds() for at in offsets] == [0, 60, 180]
