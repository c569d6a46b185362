"""`make bench`: measures, prints, and writes docs/benchmarks-raw.md.

`python -m tests.bench PART`, of those that `--help` lists, measures one part; the sections of the
others stay as they are.
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tests.bench import (
    burst,
    crash,
    distance,
    imports,
    intake,
    memory,
    messages,
    pages,
    paint,
    rebuild,
    report,
    sessions,
    wall,
)
from tests.bench.stores import Stores, stores


class Part(StrEnum):
    INTAKE = "intake"
    BURST = "burst"
    DISTANCE = "distance"
    MESSAGES = "messages"
    MEMORY = "memory"
    REBUILD = "rebuild"
    IMPORT = "import"
    QUERIES = "queries"
    PAGES = "pages"
    PAINT = "paint"
    WALL = "wall"
    SESSIONS = "sessions"
    CRASH = "crash"
    ALL = "all"


PARTS: dict[Part, tuple[str, Callable[[Stores, int], str]]] = {
    Part.INTAKE: ("Intake", intake.measure),
    Part.BURST: ("Burst", burst.measure),
    Part.DISTANCE: ("Distance", distance.measure),
    Part.MESSAGES: ("Messages", messages.measure),
    Part.MEMORY: ("Memory", memory.measure),
    Part.REBUILD: ("Rebuild and replay", rebuild.measure),
    Part.IMPORT: ("Import", imports.measure),
    Part.QUERIES: ("Queries", pages.measure_queries),
    Part.PAGES: ("Pages", pages.measure),
    Part.PAINT: ("First paint", paint.measure),
    Part.WALL: ("Wall display", wall.measure),
    Part.SESSIONS: ("Sessions", sessions.measure),
    Part.CRASH: ("Crashes", crash.measure),
}


def main(
    part: Annotated[Part, typer.Argument(help="What to measure.")] = Part.ALL,
    events: Annotated[
        int, typer.Option(min=2_000, help="Nothing larger than so many events.")
    ] = 10_000_000,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where stores are made, and kept for the next time. Else temporary."),
    ] = None,
) -> None:
    with stores(folder) as made:
        for name in PARTS if part is Part.ALL else [part]:
            section, measure = PARTS[name]
            report.say(f"{section} …")
            report.write(section, measure(made, events))


if __name__ == "__main__":
    typer.run(main)
