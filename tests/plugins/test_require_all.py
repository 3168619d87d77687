"""REQUIRE_ALL: what is skipped elsewhere fails here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SKIPPING = """
import pytest

@pytest.mark.skip(reason="no browser here")
def test_marked(): pass

def test_from_within(): pytest.skip("no server here")

@pytest.mark.xfail(reason="known")
def test_expected(): raise ValueError

def test_that_runs(): pass
"""


def run(folder: Path, require_all: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.plugins.require_all",
            "-p",
            "no:cacheprovider",
            str(folder),
        ),
        cwd=folder,
        env=os.environ | {"REQUIRE_ALL": require_all, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("value", ["", "0"])
def test_skipping_is_fine_where_not_everything_is_required(tmp_path: Path, value: str) -> None:
    (tmp_path / "test_it.py").write_text(SKIPPING)
    ended = run(tmp_path, value)
    assert ended.returncode == 0, ended.stdout
    assert "1 passed, 2 skipped, 1 xfailed" in ended.stdout


def test_a_skipped_test_fails_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SKIPPING)
    ended = run(tmp_path, "1")
    assert ended.returncode == 1
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in ended.stdout
    assert "nothing may be: Skipped: no browser here" in ended.stdout
    assert "nothing may be: Skipped: no server here" in ended.stdout


def test_a_module_that_skips_itself_fails_too(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\npytest.skip('not on this machine', allow_module_level=True)\n"
    )
    ended = run(tmp_path, "1")
    assert ended.returncode != 0
    assert "not on this machine" in ended.stdout
