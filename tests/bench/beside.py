"""Intake of this checkout beside that of another one with the same schema, in alternating rounds.

`python -m tests.bench.beside FOLDER`: what a change gains. Where the machine does other things too,
trust the processor time.
"""

import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from shared.models import Event
from tests.bench import report
from tests.bench.intake import (
    REQUESTS,
    WARM_UP,
    Program,
    Round,
    all_programs,
    one_round,
    repboard,
)
from tests.bench.load import check_wrk, write_requests
from tests.bench.stores import stores
from tests.running import ROOT

CONNECTIONS = 128


def main(
    other: Annotated[Path, typer.Argument(help="The other checkout.")],
    kind: Annotated[str, typer.Option(help="`sqlite` or `postgres`.")] = "sqlite",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    seconds: Annotated[int, typer.Option(min=1, help="Of each round.")] = 10,
) -> None:
    check_wrk()
    codes = {"other": other.absolute(), "this": ROOT}
    with stores(None) as made, tempfile.TemporaryDirectory(dir=made.folder) as name:
        folder = Path(name)
        programs = [
            *(
                Program(f"{name}, {workers} workers", partial(repboard, workers, code=code), Event)
                for workers in (1, 2)
                for name, code in codes.items()
            ),
            *(one for one in all_programs(folder) if one.keeps is None),
        ]
        found: dict[str, list[Round]] = {program.name: [] for program in programs}
        files = (
            write_requests(folder / "warm-up", WARM_UP, "warm-up"),
            write_requests(folder / "requests", REQUESTS, "evt"),
        )
        for number in range(rounds):
            for program in programs[:: 1 if number % 2 else -1]:
                seen = one_round(made, folder, files, kind, program, CONNECTIONS, seconds)
                found[program.name].append(seen)
    middle = {name: Round(*map(median, zip(*seen, strict=True))) for name, seen in found.items()}
    rows = [(name, *(f"{value:,.0f}" for value in seen)) for name, seen in middle.items()]
    head = (kind, "a second", "p50 ms", "p95 ms", "p99 ms", "event loop µs", "writer µs")
    typer.echo(report.table((*head, "follower µs"), rows))


if __name__ == "__main__":
    typer.run(main)
