"""`make demo` and `flask demo`: the main job, from nothing to accounts in another system, proved by script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workers.processes import ROOT

pytest.importorskip("scim2_server", reason="no SCIM server: pip install -r requirements-embedded.txt")
pytestmark = pytest.mark.slow


def test_the_demo_shows_each_timeline_and_accounts_that_agree_with_the_grants(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "DATA_DIR": str(tmp_path / "unused")}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "demo"],
        cwd=ROOT,
        check=False,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    titles = [line for line in done.stdout.splitlines() if line.startswith("Run ")]
    assert [one.split(" · ", 2)[2] for one in titles] == [
        "Access granted · Succeeded",
        "Access granted · Succeeded",
        "Access granted · Succeeded",
        "Access revoked · Succeeded",
    ]
    listed = done.stdout.partition("Accounts as the SCIM server lists them:\n")[2].splitlines()[:3]
    assert [line.split(maxsplit=1) for line in listed] == [
        ["ada@example.org", "active"],
        ["edsger@example.org", "active"],
        ["grace@example.org", "not active"],
    ]
    assert [one.name for one in tmp_path.iterdir() if one.name != "unused"] == []
