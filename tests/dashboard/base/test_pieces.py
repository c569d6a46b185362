"""Text that Markdown shows as it is."""

import re

import pandas as pd
import pytest
import streamlit as st

from dashboard.base.pieces import as_csv, plain
from tests.hostile import CORPUS

JOINER = "\u2060"


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_nothing_but_escapes_and_joiners_is_added(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", plain(text)).replace(JOINER, "") == text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://evil.example", rf"https\:{JOINER}//evil\.example"),
        ("HTTP://evil.example", rf"HTTP\:{JOINER}//evil\.example"),
        ("www.evil.example", rf"www{JOINER}\.evil\.example"),
    ],
)
def test_a_web_address_is_parted_so_that_no_link_is_made_of_it(address: str, shown: str) -> None:
    assert plain(address) == shown


def test_other_text_with_a_colon_is_not_parted() -> None:
    assert JOINER not in plain("userId: field required; www is no address, https: neither")


COLUMNS = {
    "open": st.column_config.ButtonColumn(""),
    "place": st.column_config.TextColumn("#"),
    "learner": st.column_config.ButtonColumn("Learner", key="explain"),
    "pct": st.column_config.NumberColumn("Score", format="%g %%"),
    "weeks": st.column_config.BarChartColumn("8 weeks"),
}
FRAME = pd.DataFrame(
    {
        "open": ["Open", "Open"],
        "place": ["1", "2="],
        "learner": ["Zoë", "=1+1"],
        "pct": [-5.5, 70.0],
        "weeks": [[1.0, 2.0], [3.0]],
        "email": ["zoe@acme.example", None],
    }
)


def test_a_csv_begins_with_the_mark_by_which_a_spreadsheet_knows_utf_8() -> None:
    assert as_csv(FRAME, COLUMNS).startswith(b"\xef\xbb\xbf")


def test_a_csv_has_the_headings_of_the_page_and_one_value_a_cell() -> None:
    heading, first, second = as_csv(FRAME, COLUMNS).decode("utf-8-sig").splitlines()
    assert heading == "Place,Learner,Score (%)"
    assert first == "1,Zoë,-5.5"
    assert second == "2=,'=1+1,70.0"
