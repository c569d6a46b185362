"""Every page on both kinds of store. What pages show is tested on SQLite; what differs between the
stores is in the queries, which are tested on both."""

from collections.abc import Iterator

import pytest

from tests.conftest import STORES, FreshStore
from tests.dashboard.conftest import ROOT, Open, Send

PAGES = sorted(path.stem for path in (ROOT / "dashboard" / "app_pages").glob("*.py"))
VIEWS = [
    *((page, {}) for page in PAGES),
    ("leaderboard", {"board": "Teams", "metric": "Average progress"}),
    ("leaderboard", {"board": "Modules", "window": "All time"}),
    ("leaderboard", {"learner": "mindtickle/u-2"}),
    ("certifications", {"view": "Course completions"}),
    ("coaching", {"item": "mindtickle/u-1/q-1"}),
    ("deliveries", {"view": "Deliveries", "which": "All"}),
    ("deliveries", {"view": "Quarantine", "delivery": "1"}),
    ("learner", {"id": "mindtickle/u-1"}),
    ("learner", {"find": "acme"}),
]


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, fresh_store: FreshStore) -> Iterator[str]:
    with fresh_store(request.param) as url:
        yield url


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(("page", "query"), VIEWS)
def test_a_page_opens_on_either_store(
    open_page: Open, send: Send, page: str, query: dict[str, str]
) -> None:
    send("quiz.submitted", {"userId": "u-1", "quizId": "q-1", "score": 3, "maxScore": 10})
    send("course.completed", {"userId": "u-1", "courseId": "c-1", "courseName": "Onboarding"})
    send("certification.expired", {"userId": "u-1", "certName": "Demo"})
    send("quiz.submitted", {"userId": "u-1"}, secret="wrong")
    shown = open_page(page, **query)
    assert not shown.exception
    assert not shown.error
