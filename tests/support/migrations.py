"""Where the migrations are."""

from __future__ import annotations

from pathlib import Path

MIGRATIONS = str(Path(__file__).resolve().parents[2] / "migrations")
