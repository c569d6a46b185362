"""People by name, by initials, or as nobody in particular."""

from pathlib import Path

import pandas as pd
import pytest
import streamlit as st

from dashboard.data import privacy
from tests.hostile import CORPUS

FRAME = pd.DataFrame(
    [
        {"person": "dana@acme.example", "learner": "Dana Brooks", "name": "Dana Brooks",
         "email": "dana@acme.example", "gained": 5},
        {"person": "ines.ko@acme.example", "learner": "ines.ko@acme.example", "name": None,
         "email": "ines.ko@acme.example", "gained": 4},
        {"person": "mindtickle u-9", "learner": "unknown (u-9)", "name": None, "email": None,
         "gained": 3},
    ]
)  # fmt: skip


@pytest.fixture(autouse=True)
def keyed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAMES_KEY", "a-key-of-this-installation")
    st.cache_resource.clear()


def test_full_names_are_left_alone() -> None:
    assert privacy.shown(FRAME, "full") is FRAME


def test_initials_are_of_the_name_or_else_of_the_address() -> None:
    seen = privacy.shown(FRAME, "initials")
    assert seen["learner"].tolist() == ["D. B.", "I. K.", "unknown"]
    assert seen["name"].tolist() == seen["learner"].tolist()
    assert seen["email"].isna().all()
    assert seen["gained"].tolist() == [5, 4, 3]


def test_anonymous_names_are_stable_and_one_for_each_person() -> None:
    seen = privacy.shown(FRAME, "anonymous")["learner"]
    assert seen.str.fullmatch(r"Learner [0-9a-f]{8}").all()
    assert seen.is_unique
    assert privacy.shown(FRAME[::-1], "anonymous")["learner"].tolist() == seen.tolist()[::-1]


def test_another_installation_gives_other_anonymous_names(monkeypatch: pytest.MonkeyPatch) -> None:
    before = privacy.shown(FRAME, "anonymous")["learner"]
    monkeypatch.setenv("NAMES_KEY", "another-key-of-another")
    st.cache_resource.clear()
    assert not set(before) & set(privacy.shown(FRAME, "anonymous")["learner"])


@pytest.mark.parametrize("how", ["initials", "anonymous"])
def test_nothing_of_a_name_or_address_is_left(how: privacy.Names) -> None:
    left = privacy.shown(FRAME, how).drop(columns="person").to_csv().lower()
    assert not [word for word in ("dana", "brooks", "ines", "acme", "u-9") if word in left]


@pytest.mark.parametrize("how", ["initials", "anonymous"])
def test_whatever_a_name_is_it_is_shown_as_something_short(how: privacy.Names) -> None:
    names = list(CORPUS.values())
    frame = pd.DataFrame({"person": names, "learner": names})
    assert privacy.shown(frame, how)["learner"].str.fullmatch(r"[\w .]{2,20}").all()


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Dana", "D."),
        ("Ana María de la Cruz", "A. C."),
        ("élodie-anne", "É. A."),
        ("dana_brooks2@acme.example", "D. B."),
        ("12", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_initials_of_one_name(name: str | None, short: str) -> None:
    assert privacy.initials(name) == short


def test_an_empty_frame_stays_empty() -> None:
    assert privacy.shown(pd.DataFrame(), "anonymous").empty


def test_each_role_sees_people_as_its_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMES_LEAD", "initials")
    monkeypatch.setenv("NAMES_ADMIN", "anonymous")
    monkeypatch.setenv("SMALLEST_GROUP", "7")
    seen = {role: privacy.names_for(role) for role in ("manager", "lead", "admin")}
    assert seen == {"manager": "full", "lead": "initials", "admin": "anonymous"}
    groups = [privacy.smallest_group(how) for how in seen.values()]
    assert groups == [1, 7, 7]
