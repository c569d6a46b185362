"""Two hundred receivers killed under load, by the proof of the tests."""

import subprocess
import sys
from importlib.util import find_spec

from tests.bench.stores import Stores
from tests.running import ROOT

TIMES = "200"


def measure(stores: Stores, events: int) -> str:
    """The section of the report: what `python -m tests.crash 200` says."""
    if find_spec("tests.crash") is None:
        return "`tests/crash.py` is not here yet: nothing was killed."
    command = [sys.executable, "-m", "tests.crash", TIMES]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    verdict = "" if done.returncode == 0 else f"\n\n**Failed** with exit code {done.returncode}."
    return f"`python -m tests.crash {TIMES}` says:\n\n```\n{done.stdout.strip()}\n```{verdict}"
