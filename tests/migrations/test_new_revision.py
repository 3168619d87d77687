"""`make db-revision` in a checkout that has no database yet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.sqlite_only


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on the PATH: install it")
def test_it_makes_the_next_migration_which_is_empty_while_no_model_changed(tmp_path: Path) -> None:
    for one in ("app", "migrations"):
        shutil.copytree(ROOT / one, tmp_path / one, ignore=shutil.ignore_patterns("__pycache__"))
    for one in ("Makefile", "wsgi.py"):
        shutil.copy(ROOT / one, tmp_path)
    before = {*(tmp_path / "migrations" / "versions").glob("*.py")}
    # -o: what is installed stays as it is.
    command = ["make", "-o", f"{sys.prefix}/.installed-dev", "db-revision", f"VENV={sys.prefix}", "m=A trial"]
    environ = {"PATH": os.environ["PATH"], "APP_ENV": "development"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [made] = {*(tmp_path / "migrations" / "versions").glob("*.py")} - before
    assert f"_{len(before) + 1:04d}_" in made.name
    text = made.read_text(encoding="utf-8")
    assert f"down_revision = '{len(before):04d}'" in text
    assert re.findall(r"\bop\.\w+", text) == []
    assert not (tmp_path / "instance").exists()
