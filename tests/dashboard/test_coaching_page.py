"""The coaching page, as a browser is sent it."""

import pytest
import streamlit as st

from tests.dashboard.conftest import Open, Send


def quiz(
    user_id: str, score: float | None = None, quiz_id: str = "q-1", **more: object
) -> dict[str, object]:
    graded = {} if score is None else {"score": score, "maxScore": 10, "passed": score >= 7}
    return {"userId": user_id, "quizId": quiz_id, "quizName": f"Quiz {quiz_id}"} | graded | more


@pytest.mark.usefixtures("company")
def test_the_latest_graded_score_under_the_threshold_is_listed(open_page: Open, send: Send) -> None:
    send("quiz.submitted", quiz("u-1", 6), days_ago=3)
    send("quiz.submitted", quiz("u-1", 4), days_ago=2)
    send("quiz.submitted", quiz("u-2", 9), days_ago=2)
    (row,) = open_page("coaching").dataframe[0].value.to_dict("records")
    assert row["learner"] == "dana@acme.example"
    assert row["quiz"] == "Quiz q-1"
    assert (row["latest_pct"], row["best_pct"], row["tries"]) == (40, 60, 2)


@pytest.mark.usefixtures("company")
def test_a_practice_run_is_never_a_low_score(open_page: Open, send: Send) -> None:
    send("quiz.submitted", quiz("u-1", 9), days_ago=2)
    send("quiz.submitted", quiz("u-1", quizType="practice"), days_ago=1)
    page = open_page("coaching")
    assert not page.dataframe
    assert "No latest score is under its threshold" in page.success[0].value


@pytest.mark.usefixtures("company")
def test_the_quiz_filter_in_the_address_limits_the_list(open_page: Open, send: Send) -> None:
    send("quiz.submitted", quiz("u-1", 4, "q-1"))
    send("quiz.submitted", quiz("u-2", 5, "q-2"))
    listed = open_page("coaching", quiz="Quiz q-2").dataframe[0].value
    assert listed["learner"].tolist() == ["ines@acme.example"]


@pytest.mark.usefixtures("company")
def test_the_default_threshold_is_a_setting(
    open_page: Open, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    send("quiz.submitted", quiz("u-1", 7.5))
    assert not open_page("coaching").dataframe
    monkeypatch.setenv("COACHING_THRESHOLD_PCT", "80")
    st.cache_resource.clear()
    st.cache_data.clear()
    assert open_page("coaching").dataframe[0].value["threshold_pct"].tolist() == [80]


@pytest.mark.usefixtures("company")
def test_without_graded_quizzes_the_subscription_is_named(open_page: Open) -> None:
    assert "quiz.submitted" in open_page("coaching").info[0].value


@pytest.mark.usefixtures("company")
def test_two_quizzes_with_one_name_are_told_apart(open_page: Open, send: Send) -> None:
    for quiz_id in ("q-1", "q-2"):
        send("quiz.submitted", quiz("u-1", 4, quiz_id, quizName="Pricing"))
    listed = open_page("coaching").dataframe[0].value
    assert sorted(listed["quiz"]) == ["Pricing (q-1)", "Pricing (q-2)"]
