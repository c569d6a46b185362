"""The directions of imports: receiver → shared ← dashboard, and narrower ones inside."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ("receiver", "dashboard", "shared")


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


@pytest.mark.parametrize(
    ("folder", "exempt", "allowed"),
    [
        ("receiver/vendors", ("base.py", "__init__.py"), ("receiver.vendors.base", "shared")),
    ],
)
def test_a_vendor_and_a_page_know_only_what_they_are_given(
    folder: str, exempt: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    wrong = [
        (path, name)
        for path, name in every_import(folder)
        if Path(path).name not in exempt and within(name, HOUSE) and not within(name, allowed)
    ]
    assert wrong == []
