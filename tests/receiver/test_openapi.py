"""The receiver answers as docs/openapi.yaml says, to whatever schemathesis makes of that file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.conftest import FreshStore
from tests.running import Receiver
from tests.vendors import SENDERS

EXAMPLES = 15
TOKEN = "a-metrics-token-0123456789"
document = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.yaml")
deliveries = document.include(path="/webhooks/{slug}", method="POST")
metrics = document.include(path="/metrics")


@pytest.fixture(scope="module")
def described(
    fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    with (
        fresh_store("postgres") as url,
        Receiver(url, tmp_path_factory.mktemp("receiver"), METRICS_TOKEN=TOKEN) as running,
    ):
        yield running


@document.parametrize()
@settings(max_examples=EXAMPLES)
def test_every_answer_is_one_that_the_document_names(case: Case, described: Receiver) -> None:
    case.call_and_validate(base_url=described.url)


@deliveries.parametrize()
@settings(max_examples=EXAMPLES)
def test_every_answer_to_a_signed_delivery_is_one_that_the_document_names(
    case: Case, described: Receiver
) -> None:
    case.path_parameters = {"slug": "mindtickle"}
    body = json.dumps(case.body).encode() if isinstance(case.body, dict | list) else b"null"
    answer = case.call(
        base_url=described.url,
        headers={**case.headers, **SENDERS["mindtickle"].credentials(body)},
        data=body,
    )
    # What is authentic is acknowledged in any form, as the vendor could send it no better.
    case.validate_response(answer, excluded_checks=[negative_data_rejection])


@metrics.parametrize()
@settings(max_examples=EXAMPLES)
@pytest.mark.parametrize(("token", "status"), [(TOKEN, 200), (f"{TOKEN}x", 401)])
def test_the_metrics_are_answered_as_the_document_says_by_the_token(
    case: Case, described: Receiver, token: str, status: int
) -> None:
    headers = {"authorization": f"Bearer {token}"}
    answer = case.call_and_validate(base_url=described.url, headers=headers)
    assert answer.status_code == (status if case.method == "GET" else 405)
