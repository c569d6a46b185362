"""A file with declared vendors: its mistakes, its check, and a receiver that serves it."""

import base64
import hmac
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from receiver.__main__ import cli
from receiver.vendors import adapters, note_vendors, vendor_facts
from receiver.vendors.base import Incoming
from shared.database import open_engine, write_transaction
from shared.models import Event, Learner, Trial
from shared.queries.trials import ask_for_test
from shared.queries.vendors import configured
from shared.settings import SettingsError
from tests import playing
from tests.conftest import FreshStore
from tests.receiver.declared_senders import (
    AT,
    DEAL,
    FILE,
    GENUINE,
    GOOD,
    HOUSE,
    LESSON,
    PARTS_KEY,
    SECRETS,
    VENDORS,
    inside,
    lesson,
    parts,
    problems,
    several,
    with_password,
)
from tests.receiver.vendor_cases import (
    NOW,
    settings,
)
from tests.running import Receiver, command, environment, until
from tests.stores import row, rows

# The file


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('name = "Acme"', "", "acme: name: is missing"),
        ('slug = "acme"', 'slug = "Acme Co"', "Acme Co: slug: should be one to three short words "
         "in lower case, joined by hyphens"),
        ('"ACME_SECRET"', '"MY_SECRET"', "acme: authentication: the name of its variable should "
         "begin with ACME_"),
        ('slug = "acme"', 'slug = acme', "is not TOML: Invalid value (at line 3, column 8). A text "
         "stands in quotes"),
        ('[[vendors.events]]', '[vendors.events]', "acme: events: should be a list of tables: each "
         "begins with [[vendors.events]], in two brackets"),
        ('retry_delays', 'keys = "x"\nretry_delays', "acme: keys does not belong here"),
        ('retry_delays', 'colour = "x"\nretry_delays', "acme: colour is not known here; remove it"),
        ('retry_delays', 'suspend_failures = 5\nretry_delays', "acme: suspend_failures, "
         "suspend_timeouts and suspend_after belong together"),
        ('[60]', '["5m"]', "acme: retry_delays.1: should be a whole number of seconds"),
        ('"ACME_SECRET"', '"whsec_hidden"', "acme: authentication.secret: should be the name of a "
         "variable, such as ACME_SECRET; the secret itself belongs into the environment or .env"),
        ('slug = "acme"', 'slug = "database"', "database: slug: database is how the setting "
         "DATABASE_URL begins; use another"),
        ('slug = "acme"', 'slug = "oidc"', "oidc: slug: oidc is how the setting OIDC_CLIENT_ID "
         "begins; use another"),
        ('header = "x-signature"', 'header = "x-signature"\nprefix = "v1,"\nseparator = ","',
         "acme: authentication: separator is in the prefix, so a signature would be cut in two"),
        ('kind = "hmac"\nsecret = "ACME_SECRET"\nheader = "x-signature"\nsigned = "{id}.{body}"',
         'kind = "header"\nsecret = "ACME_SECRET"\nheader = "X-Id"',
         "acme: event_id: the header x-id is the secret, which is not stored"),
        ('kind = "hmac"', 'kind = "hmack"', "acme: authentication: kind should be hmac, header, "
         "basic, allowlist or jwt"),
        ('header = "x-signature"', 'heder = "x-signature"', "acme: authentication.header: is "
         "missing"),
        ('"{id}.{body}"', '"{id}.{body}x"', "acme: authentication.signed: should end with {body}: "
         "what follows it could be taken for a part of it"),
        ('"{id}.{body}"', '"{id}{timestamp}.{body}"', "acme: authentication.signed: needs a "
         "separator between {id} and {timestamp}"),
        ('"{id}.{body}"', '"{nonce}.{body}"', "acme: authentication.signed: knows {id}, "
         "{timestamp} and {body}, and no {nonce}"),
        ('"{id}.{body}"', '"{timestamp}.{body}"', "acme: authentication.signed: {timestamp} needs "
         "a timestamp.at in a header"),
        ('{ header = "x-id" }', '"id"', "acme: authentication.signed: {id} needs an event_id in a "
         "header"),
        ('[[vendors.events]]', '[vendors.timestamp]\nat = { header = "x-at" }\n[[vendors.events]]',
         "acme: timestamp: proves nothing unless authentication.signed has {timestamp}"),
        ('{ header = "x-id" }', '{ header = "x-signature" }', "acme: event_id: the header "
         'x-signature is the signature; set part = "…" of it'),
        ('{ header = "x-id" }', '{ header = "x-signature", part = "id" }', 'acme: '
         'authentication.separator: "," or ";" is needed, as event_id is a part of the header'),
        ('{ header = "x-id" }', '{ header = "x-id", part = "a b" }',
         'acme: event_id: part should be a name such as "t", of t=1763800200'),
        ('{ header = "x-id" }', '{ heder = "x-id" }', "acme: event_id: should be a JMESPath, "
         '{ header = "…" } or { header = "…", part = "…" }'),
        ('event_type = "type"', 'event_type = "type["', "acme: event_type: is no JMESPath: its end "
         "is missing"),
        ('event_type = "type"', 'event_type = "event-type"', "acme: event_type: is no JMESPath: "
         "Unknown token '-' at character 6. A name with other signs than letters, digits and _ "
         "stands in double quotes, as '\"user-id\"'"),
        ('event_type = "type"', 'event_type = "type.)"', "acme: event_type: is no JMESPath: ')' "
         "does not belong at character 6"),
        ('event_type = "type"', 'event_type = "upper(type)"', "acme: event_type: JMESPath has no "
         "function upper()"),
        ('retry_delays = [60]', 'retry_delays = []', "acme: retry_delays: should not be empty"),
        ('retry_delays = [60]', 'retry_delays = [60, 0]', "acme: retry_delays.2: should be "
         "greater than or equal to 1"),
        ('retry_delays', 'retry_delay', "acme: retry_delays: is missing"),
        ('user_id = "user"', "", "acme: events.1: user_id is missing: whose event it is"),
        ('course_id = "course"', "", "acme: events.1.facts.1: completed needs course_id"),
        ('course_id = "course"', 'course_id = "course"\nquiz_id = "q"', "acme: events.1.facts.1: "
         "completed has no quiz_id; it has course_id, course_name, score, score_pct, report_url"),
        ('course_id = "course"', 'course_id = "a["', "acme: events.1.facts.1: course_id: is no "
         "JMESPath: its end is missing"),
        ('retry_delays', "sample = '{\"type\": \"done\", \"user\": 1}'\nretry_delays",
         "acme: sample: done: course: is missing."),
        ('[[vendors]]', "[[vendors]", "is not TOML: Expected ']]' at the end of an array "
         "declaration (at line 2, column 10)"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_a_line_that_says_where(
    tmp_path: Path, old: str, new: str, line: str
) -> None:
    assert old in GOOD
    said = problems(GOOD.replace(old, new, 1), tmp_path)
    assert line in said
    assert "hidden" not in "".join(said)


def test_every_mistake_has_a_line_of_its_own_and_a_misspelt_key_a_hint(tmp_path: Path) -> None:
    text = GOOD.replace("name =", "nam =").replace("[60]", '["x"]')
    assert problems(text, tmp_path) == [
        "acme: name: is missing", "acme: retry_delays.1: should be a whole number of seconds",
        "acme: nam is not known here; is name meant?",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["any", "iso"])
def test_a_timestamp_that_could_end_at_another_place_is_refused_at_the_start(
    tmp_path: Path, form: str
) -> None:
    timestamp = f'[vendors.timestamp]\nat = {{ header = "x-at" }}\nform = "{form}"\n'
    events = "[[vendors.events]]"
    text = GOOD.replace("{id}.", "{timestamp}.").replace(events, f"{timestamp}{events}")
    (said,) = problems(text, tmp_path)
    assert "could be a part of a time in ISO 8601" in said
    file = tmp_path / "good.toml"
    file.write_text(text.replace(f'"{form}"', '"seconds"'))
    assert "acme" in adapters(settings(vendors_file=str(file)))


def test_two_vendors_with_one_slug_and_a_built_in_slug_are_refused(tmp_path: Path) -> None:
    assert problems(GOOD + GOOD, tmp_path) == ["vendors: acme is there twice"]
    text = GOOD.replace('"acme"', '"lessonly"')
    assert problems(text, tmp_path) == ["lessonly: is the slug of a built-in vendor; use another"]


def test_a_variable_of_another_vendor_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace('"acme"', '"standard"').replace("ACME_", "STANDARD_WEBHOOKS_")
    assert problems(text, tmp_path) == [
        "standard: STANDARD_WEBHOOKS_SECRET is a setting of standard-webhooks"
    ]


def test_a_file_that_is_not_there_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file"):
        adapters(settings(vendors_file=str(tmp_path / "none.toml")))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("inside_secret", "xyz", "INSIDE_SECRET: value 1 is not hex"),
     ("several_secret", "whsec_!", "SEVERAL_SECRET: value 1 is not whsec_ followed by base64"),
     ("addresses_allowed_ips", "0.0.0.0/0", "ADDRESSES_ALLOWED_IPS: entry 1 is wider than /8")],
)  # fmt: skip
def test_a_value_that_is_none_stops_the_start_and_is_not_shown(
    name: str, value: str, said: str
) -> None:
    found = settings(**HOUSE, **{name: value})
    slug = name.partition("_")[0]
    with pytest.raises(SettingsError, match=said) as wrong:
        found.of_vendor(adapters(found)[slug].settings)
    assert value not in str(wrong.value)


def test_a_vendor_that_left_the_file_is_no_longer_shown_as_configured(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    note_vendors(engine, settings(**HOUSE, hex_secret="a-secret"))
    note_vendors(engine, settings(lessonly_authorization="a-value"))
    with engine.connect() as connection:
        assert [one.slug for one in configured(connection)] == ["lessonly"]
    engine.dispose()


# The check of a file


def checked(slug: str, delivery: Incoming, folder: Path) -> str:
    """What `vendors check` says of a recorded delivery."""
    (folder / "body").write_bytes(delivery.body)
    lines = [name.encode() + b": " + one for name, one in delivery.headers.items()]
    (folder / "headers").write_bytes(b"POST / HTTP/1.1\r\n" + b"\r\n".join(lines))
    variables = {name.upper(): value for name, value in SECRETS.items()}
    arguments = ["vendors", "check", str(FILE), "--vendor", slug, "--sample", f"{folder}/body",
                 "--headers", f"{folder}/headers", "--address", "127.0.0.1"]  # fmt: skip
    ended = CliRunner().invoke(cli, arguments, env=variables)
    assert not any(secret in ended.output for secret in SECRETS.values() if len(secret) > 9)
    return ended.output


@pytest.mark.parametrize("slug", GENUINE)
def test_the_check_reads_a_delivery_of_each_kind_however_old(slug: str, tmp_path: Path) -> None:
    said = checked(slug, GENUINE[slug], tmp_path)
    assert "✓ Authentic." in said, said
    assert "✗" not in said


def test_the_check_of_a_delivery_that_does_not_pass_says_why(tmp_path: Path) -> None:
    said = checked("lessons", lesson(playing.lesson(), None), tmp_path)
    assert "✗ Refused as missing_credentials: No authorization header." in said
    said = checked("several", several(DEAL)._replace(body=b"<html>"), tmp_path)
    assert "✗ Refused as bad_signature" in said
    said = checked("lessons", lesson(b"{}"), tmp_path)
    assert "✗ Not understood: lesson.completed: user.id: is missing." in said
    said = checked("inside", inside()._replace(body=b"<html>"), tmp_path)
    assert "✗ Not understood: The body is not JSON" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one._replace(body=one.body + b"\n"),
         "It fits with the sample without its last line end."),
        (lambda one: one._replace(body=b"{}"), "It fits with no other usual text, encoding or"),
        (lambda one: one._replace(headers={**one.headers, "x-parts-signature": b"t=1763800200;AA"}),
         "The x-parts-signature header has no v1=: it begins with t=1763800200"),
        (lambda one: parts(LESSON, header="v1={1}"), "No t= in x-parts-signature."),
        (lambda one: of_text(b"%d:" % int(AT)), 'It fits with signed = "{timestamp}:{body}".'),
        (lambda one: of_text(b""), 'It fits with signed = "{body}".'),
    ],
)  # fmt: skip
def test_the_check_of_a_wrong_signature_says_what_would_make_it_fit(
    tmp_path: Path, change: Callable[[Incoming], Incoming], said: str
) -> None:
    assert said in checked("parts", change(parts(LESSON)), tmp_path)


def of_text(before: bytes) -> Incoming:
    """A delivery whose signature is over another text than the declared one."""
    digest = hmac.new(base64.b64decode(PARTS_KEY), before + LESSON, "sha256").digest()
    sent = b"t=%b;v1=%b" % (AT.encode(), base64.b64encode(digest))
    return Incoming({"x-parts-signature": sent}, LESSON, None, NOW)


def test_the_check_notes_what_is_missing_of_a_delivery_that_passes(tmp_path: Path) -> None:
    said = checked("addresses", GENUINE["addresses"]._replace(body=b'{"type": "x"}'), tmp_path)
    assert "· Event ID: not found. A delivery with the same text is a repeat." in said
    assert "· Kept, and counts as nothing: no [[vendors.events]] has this type; there are" in said
    assert "✗" not in said


def test_the_check_shows_no_sign_that_could_steer_a_terminal(tmp_path: Path) -> None:
    body = b'{"type": "ping\\u001b[2J", "id": "\\u009b31m"}'
    said = checked(
        "password", with_password(SECRETS["password_secret"])._replace(body=body), tmp_path
    )
    assert "Event type: 'ping\\x1b[2J'" in said
    assert not {"\x1b", "\x9b"} & set(said)


# A running receiver


TICKLE = {"mindtickle_webhook_secret": playing.SECRET, "mindtickle_company_id": playing.COMPANY}
VARIABLES = {name.upper(): one for name, one in {**HOUSE, **SECRETS, **TICKLE}.items()}
SERVED = [*VENDORS, "mindtickle"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an `.env`, from which the scripts of the first page read the secrets."""
    made = tmp_path_factory.mktemp("declared")
    (made / ".env").write_text("".join(f"{name}='{one}'\n" for name, one in VARIABLES.items()))
    return made


@pytest.fixture(scope="module")
def serving(fresh_store: FreshStore, folder: Path) -> Iterator[Receiver]:
    with fresh_store("sqlite") as url, Receiver(url, folder, **VARIABLES) as receiver:
        yield receiver


def test_a_test_of_each_declared_vendor_is_accepted_and_leaves_no_event(serving: Receiver) -> None:
    with write_transaction(serving.engine) as connection:
        for slug in SERVED:
            ask_for_test(connection, slug, "dana")
    for slug in SERVED:
        until(lambda slug=slug: row(serving.engine, Trial, vendor=slug).finished_at is not None)
        done = row(serving.engine, Trial, vendor=slug)
        assert (slug, done.status, done.problem) == (slug, 200, None)
    assert rows(serving.engine, Event, vendor="inside") == []


def test_a_test_of_a_vendor_without_a_sample_says_what_to_add(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(GOOD)
    own = {"VENDORS_FILE": str(file), "ACME_SECRET": "a-secret-of-some-length"}
    with fresh_store("sqlite") as url, Receiver(url, tmp_path, **own) as receiver:
        with write_transaction(receiver.engine) as connection:
            ask_for_test(connection, "acme", "dana")
        until(lambda: row(receiver.engine, Trial).finished_at is not None)
        assert (row(receiver.engine, Trial).problem or "").startswith("VENDORS_FILE has no sample")


def test_each_script_of_the_first_page_is_accepted_and_a_rebuild_reads_its_events(
    serving: Receiver, folder: Path
) -> None:
    curls = {slug: vendor_facts(settings(**HOUSE))[slug].set_up.curl for slug in SERVED}
    assert [slug for slug, curl in curls.items() if curl is None] == ["addresses"]
    for slug, curl in curls.items():
        script = f"url={serving.url}/webhooks/{slug}\n{curl or 'exit 0'}"
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment(),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        said = '{"received":true}' if curl else ""
        assert (slug, ended.stdout, ended.stderr) == (slug, said, "")
    url = serving.engine.url.render_as_string(hide_password=False)
    rebuilt = command("rebuild", folder=folder, DATABASE_URL=url)  # by its .env
    assert (rebuilt.returncode, rebuilt.stdout) == (0, "Rebuilt from 7 events.\n")
    assert "No vendor" not in rebuilt.stderr
    learners = {(one.vendor, one.user_id) for one in rows(serving.engine, Learner)}
    assert {("lessons", "repboard-test"), ("inside", "7"), ("mindtickle", "u-1")} <= learners


def test_a_rebuild_that_does_not_know_a_vendor_with_events_says_so(
    serving: Receiver, tmp_path: Path
) -> None:
    delivery = with_password(SECRETS["password_secret"])
    sent = {name: value.decode() for name, value in delivery.headers.items()}
    assert serving.post(delivery.body, sent, "password").status_code == 200
    url = serving.engine.url.render_as_string(hide_password=False)
    rebuilt = command("rebuild", folder=tmp_path, DATABASE_URL=url)
    assert rebuilt.returncode == 0
    assert "No vendor password is built in or declared" in rebuilt.stderr
    assert "mindtickle" not in rebuilt.stderr
