"""Logs: one JSON object a line on standard output. No value can forge a line."""

import logging
import sys
from contextlib import suppress

import structlog
from pydantic_core import to_json


def _json(line: object, **_: object) -> bytes:
    # U+009B starts an escape sequence and U+2028 a line. DEL is ASCII, so it is escaped here.
    return to_json(line, ensure_ascii=True).replace(b"\x7f", rb"\u007f")


class _Lines:
    """Standard output, line by line. On a full disk lines stay in its buffer or are dropped: an
    error here would end the writer, or fail a delivery that is already stored."""

    def msg(self, line: bytes) -> None:
        with suppress(OSError):
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()

    info = warning = error = msg


def configure() -> None:
    """Set up structlog, also for the warnings of libraries."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(_json)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(lambda line, **_: _json(line).decode()),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
