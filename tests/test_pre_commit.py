"""The hooks of pre-commit are the steps of `make check`."""

import subprocess

import yaml

from tests.running import ROOT


def test_the_hooks_are_the_steps_of_make_check() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    *hooks, last = (hook["entry"] for repo in config["repos"] for hook in repo["hooks"])
    recipe = subprocess.run(
        ["make", "--dry-run", "--silent", "--old-file=.venv/dev", "check"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *steps, audit = (step.removeprefix(".venv/bin/") for step in recipe.stdout.splitlines())
    assert [hook.removeprefix(".venv/bin/") for hook in hooks] == steps
    assert (audit, last) == (".ci/audit", "make check")
