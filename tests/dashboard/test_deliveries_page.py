"""The page of deliveries, as a browser is sent it."""

import pytest

from tests import playing
from tests.dashboard.conftest import Open, Send

HOSTILE = "<img src=x onerror=alert(1)> **bold** [link](javascript:alert(1)) =1+1"


@pytest.mark.usefixtures("company")
def test_all_taken_reads_all_good(open_page: Open) -> None:
    page = open_page("deliveries")
    assert page.success[0].value.startswith("All good. Last delivery ")
    assert "100.0 % of 6 taken in the last 24 hours" in page.success[0].value


@pytest.mark.usefixtures("company")
def test_a_failed_delivery_is_counted_and_listed_with_its_reason(
    open_page: Open, send: Send
) -> None:
    send("module.progress", playing.progress("u-1"), secret="rotated")
    page = open_page("deliveries")
    assert "1 failed" in page.warning[0].value
    (row,) = page.dataframe[0].value.to_dict("records")
    assert row["words"] == "Wrong signature"
    assert "MINDTICKLE_WEBHOOK_SECRET" in row["reason"]
    assert row["event_type"] == "module.progress"
    assert not row["recovered"]


@pytest.mark.usefixtures("company")
def test_causes_are_grouped_with_what_to_do(open_page: Open, send: Send) -> None:
    for _ in range(3):
        send("module.progress", playing.progress("u-1"), secret="rotated")
    (cause,) = open_page("deliveries").table[0].value.to_dict("records")
    assert (cause["Cause"], cause["Count"]) == ("Wrong signature", "3")
    assert "Admin \\> Integrations" in cause["What to do"]


@pytest.mark.usefixtures("company")
def test_the_outcome_filter_in_the_address_limits_the_list(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-1"), secret="rotated")
    send("module.progress", {"userId": "u-1"})
    listed = open_page("deliveries", outcome="Not understood").dataframe[0].value
    assert listed["words"].tolist() == ["Not understood"]


def test_payload_text_reaches_no_markdown_and_no_html(open_page: Open, send: Send) -> None:
    send("user.provisioned", {"userId": HOSTILE, "email": HOSTILE, "teamId": HOSTILE})
    send("module.progress", playing.progress(HOSTILE, moduleId=HOSTILE, moduleName=HOSTILE))
    graded = {"score": 1, "maxScore": 10, "passed": False}
    send("quiz.submitted", {"userId": HOSTILE, "quizId": HOSTILE, "quizName": HOSTILE} | graded)
    send(HOSTILE, {"userId": HOSTILE}, secret="wrong")
    for name in ("leaderboard", "coaching", "deliveries"):
        page = open_page(name)
        rendered = [*page.markdown, *page.caption, *page.success, *page.warning, *page.info]
        assert all("onerror" not in element.value for element in rendered)
        assert not page.html
