"""The vendors, by the slug in their webhook address: each module in this folder is one, but for
`base`, `fields` and `declared`, which all of them use. More can be declared in VENDORS_FILE."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from sqlalchemy import Engine, update

from receiver.errors import StartError
from receiver.retry_failed import ApiSettings
from receiver.vendors import mindtickle
from receiver.vendors.base import Adapter, Vendor
from receiver.vendors.declared.file import read_file, toml_of
from receiver.vendors.declared.vendor import declared
from shared.bulk import insert_into, table_of
from shared.database import write_transaction
from shared.models import Vendor as VendorRow
from shared.settings import (
    Environment,
    ReceiverSettings,
    SettingsError,
    VendorsFile,
    misspelt,
    variables,
)
from shared.vendors import FACTS, VendorFacts, variable_prefix


def _adapters() -> Iterator[Adapter]:
    for module in iter_modules(__path__):
        if module.name not in ("base", "fields", "declared"):
            yield import_module(f"{__name__}.{module.name}").ADAPTER


ADAPTERS: Mapping[str, Adapter] = {adapter.slug: adapter for adapter in _adapters()}
"""The vendors with a file of code in this folder."""
_PACKAGED = tuple(Path(__file__).parent / name for name in ("360learning.toml", "canvas.toml"))
"""The vendors that this folder declares."""


def adapters(settings: VendorsFile) -> Mapping[str, Adapter]:
    """All vendors: those of this folder, as VENDORS_FILE changes them, and the ones declared there.
    Raises SettingsError."""
    return _with_file(settings.vendors_file)


def packaged() -> Mapping[str, Any]:
    """The tables of the vendors that this folder declares, as they are written."""
    return {"vendors": [one for path in _PACKAGED for one in toml_of(path)["vendors"]]}


@lru_cache(maxsize=8)
def _with_file(path: Path | None) -> Mapping[str, Adapter]:
    """The file is read once."""
    own = dict(ADAPTERS)
    for packaged_file in _PACKAGED:
        own |= declared(read_file(packaged_file).vendors, packaged_file)
    if path is None:
        return own
    _require_own_slugs(path)
    file = read_file(path, packaged())
    if file.mindtickle:
        own[mindtickle.ADAPTER.slug] = mindtickle.renamed(file.mindtickle, f"{path}: mindtickle")
    more = declared(file.vendors, path)
    for slug, adapter in more.items():
        for other, known in own.items():
            if other != slug and adapter.setting in known.settings.model_fields:
                name = adapter.setting.upper()
                raise SettingsError(f"{path}: {slug}: {name} is a setting of {other}")
    return {**own, **more}


def _require_own_slugs(path: Path) -> None:
    """Raises SettingsError for a slug of a vendor with a file of code."""
    tables = toml_of(path).get("vendors")
    for one in tables if isinstance(tables, list) else ():
        slug = one.get("slug") if isinstance(one, dict) else None
        if isinstance(slug, str) and slug in ADAPTERS:
            raise SettingsError(f"{path}: {slug}: is the slug of a built-in vendor; use another")


@cache
def _here() -> Mapping[str, Adapter]:
    """The vendors of this process, by its environment."""
    return adapters(VendorsFile.load())


def adapter_of(slug: str) -> Adapter | None:
    """The adapter of a stored event's vendor; None if this version and VENDORS_FILE have none."""
    return _here().get(slug)


def configured(settings: ReceiverSettings) -> dict[str, Vendor]:
    """The vendors that have their credential set; no other is served. Raises SettingsError."""
    made = {
        slug: settings.of_vendor(one.settings).vendor() for slug, one in adapters(settings).items()
    }
    return {slug: vendor for slug, vendor in made.items() if vendor is not None}


def required(settings: ReceiverSettings) -> dict[str, Vendor]:
    """The vendors that have their credential set. Raises StartError if there are none."""
    if vendors := configured(settings):
        return vendors
    names = " or ".join(adapter.setting.upper() for adapter in adapters(settings).values())
    raise StartError(f"No vendor has its credential set. Set {names}.")


def vendor_facts(settings: ReceiverSettings) -> Mapping[str, VendorFacts]:
    """The facts of every vendor, configured or not, by slug. Raises SettingsError."""
    return {
        slug: replace(settings.of_vendor(one.settings).facts(), kept_days=settings.retention_days)
        for slug, one in adapters(settings).items()
    }


def note_vendors(engine: Engine, settings: ReceiverSettings, *, receives: bool = True) -> None:
    """Write the facts of every vendor into the store, for the dashboard. Raises SettingsError.

    What a receiver has noted on which vendors are configured stays, unless this process `receives`:
    a command may run without the receiver's secrets.
    """
    facts, served = vendor_facts(settings), configured(settings)
    now = datetime.now(UTC)
    rows = [
        {
            "slug": slug,
            "facts": FACTS.dump_json(one).decode(),
            "configured": slug in served,
            "noted_at": now,
        }
        for slug, one in facts.items()
    ]
    insert = insert_into(engine.dialect.name, VendorRow).values(rows)
    names = ("facts", "configured", "noted_at") if receives else ("facts",)
    updated = {name: insert.excluded[name] for name in names}
    gone = update(table_of(VendorRow)).where(table_of(VendorRow).c.slug.not_in(facts))
    with write_transaction(engine) as connection:
        if receives:
            connection.execute(gone.values(configured=False))
        connection.execute(insert.on_conflict_do_update(index_elements=["slug"], set_=updated))


def weaknesses(settings: ReceiverSettings) -> Iterator[str]:
    """What is allowed but unwise in all settings, a line each, for the log of a start."""
    yield from settings.weaknesses()
    every = adapters(settings)
    for adapter in every.values():
        yield from settings.of_vendor(adapter.settings).weaknesses()
    yield from misspelt(variables(), *known_variables(every))


def known_variables(every: Mapping[str, Adapter] = ADAPTERS) -> tuple[set[str], tuple[str, ...]]:
    """The settings of these vendors, in lower case, and how their names begin."""
    kinds: list[type[Environment]] = [ApiSettings, *(one.settings for one in every.values())]
    names = {name for kind in kinds for name in kind.model_fields}
    return names, tuple(map(variable_prefix, every))
