"""How pages show attempts at quizzes: the result, what the vendor says where that is something
else, and scores without a maximum."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.base.charts import RESULTS
from dashboard.base.store import each

AS_SENT = {"score": st.column_config.NumberColumn("As sent", format="%g", help="No maximum came.")}


def differs(pct: float | None, threshold_pct: float, passed: bool | None) -> bool:
    """Whether pass mark and vendor say different things of a score."""
    if pct is None or passed is None or pd.isna(pct) or pd.isna(passed):
        return False
    return bool(passed) is not (pct >= threshold_pct)


def verdict(passed: bool) -> str:
    """The vendor's own, in words."""
    return "passed" if passed else "not passed"


def with_results(frame: pd.DataFrame) -> pd.DataFrame:
    """Attempts with `result` in words."""
    return frame.assign(result=pd.Series([_result(row) for row in each(frame)], dtype=object))


def _result(row: Any) -> str | None:
    result = RESULTS.get(row.result)
    other = differs(row.pct, row.threshold_pct, row.passed) and row.result != "practice"
    return f"{result} (vendor: {verdict(row.passed)})" if result and other else result


def with_scores(columns: Mapping[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
    """The columns of a table of attempts, with the scores as sent if one has no percentage."""
    bare = (frame["pct"].isna() & frame["score"].notna()).any()
    return {**columns, **(AS_SENT if bare else {})}
