"""The directions of imports: receiver → shared ← dashboard, and narrower ones inside."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ("receiver", "dashboard", "shared")
SUBJECTS = sorted(
    path.parent.name
    for path in (ROOT / "dashboard").glob("*/__init__.py")
    if path.parent.name != "base"
)


def imported(path: Path) -> Iterator[str]:
    """The full name of each thing that a file imports, at any depth of it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def every_import(folder: str) -> list[tuple[str, str]]:
    found = [
        (str(path.relative_to(ROOT)), name)
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in imported(path)
    ]
    assert found, f"nothing to look at in {folder}"
    return found


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("shared", ("receiver", "dashboard", "fastapi", "starlette", "streamlit", "pandas",
                    "altair")),
        ("receiver", ("dashboard", "streamlit", "pandas", "altair")),
        ("dashboard", ("receiver", "fastapi", "starlette", "uvicorn")),
    ],
)  # fmt: skip
def test_a_package_imports_nothing_of_the_other_side(
    folder: str, forbidden: tuple[str, ...]
) -> None:
    assert [pair for pair in every_import(folder) if within(pair[1], forbidden)] == []


def beyond(folder: str, allowed: tuple[str, ...], exempt: tuple[str, ...] = ()) -> list[object]:
    """What the files of a folder import of the house, other than what is allowed."""
    return [
        (path, name)
        for path, name in every_import(folder)
        if Path(path).name not in exempt and within(name, HOUSE) and not within(name, allowed)
    ]


def test_a_vendor_knows_only_its_protocol_and_what_is_shared() -> None:
    allowed = (
        "receiver.vendors.base",
        "receiver.vendors.fields",
        "receiver.vendors.declared",
        "receiver.vendors.mindtickle.contract",
        "shared",
    )
    assert beyond("receiver/vendors", allowed, exempt=("base.py", "__init__.py")) == []


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_knows_its_own_files_and_the_base_and_no_other_subject(subject: str) -> None:
    allowed = (f"dashboard.{subject}", "dashboard.base", "dashboard.access", "shared")
    assert beyond(f"dashboard/{subject}", allowed) == []


def test_the_base_knows_no_subject() -> None:
    subjects = tuple(f"dashboard.{subject}" for subject in SUBJECTS)
    assert [pair for pair in every_import("dashboard/base") if within(pair[1], subjects)] == []


def test_no_chart_knows_streamlit() -> None:
    charts = [pair for pair in every_import("dashboard") if Path(pair[0]).name == "charts.py"]
    assert charts
    assert [pair for pair in charts if within(pair[1], ("streamlit",))] == []


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_has_one_name_for_its_page_its_query_and_its_tests(subject: str) -> None:
    for path in (f"dashboard/{subject}/page.py", f"shared/queries/{subject}.py",
                 f"tests/dashboard/{subject}/test_page.py"):  # fmt: skip
        assert (ROOT / path).is_file(), path


def test_no_process_but_one_that_makes_a_board_loads_numpy() -> None:
    """It would cost each of them 12 MB."""
    loads = (
        "import sys, receiver.__main__, receiver.commands.serve, receiver.notify.notifier;"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", loads], cwd=ROOT, check=False).returncode == 0
