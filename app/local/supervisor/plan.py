"""Which command lines make up the console. A test may put others in their place."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FLASK = (sys.executable, "-m", "flask", "--app", "wsgi")


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """The command lines of one console; `folder` is where they are run."""

    folder: Path = ROOT
    web: tuple[str, ...] = (sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app")
    worker: tuple[str, ...] = (sys.executable, "-m", "app.workers")
    sweeper: tuple[str, ...] = (sys.executable, "-m", "app.workers.sweeper")
    flask: tuple[str, ...] = FLASK
    upgrade: tuple[str, ...] = (*FLASK, "db", "upgrade")
    # Fills an empty console and points the demo connection at DEMO_SCIM_URL with DEMO_SCIM_TOKEN. Run on each
    # start: it changes nothing that is as it should be, and prints nothing.
    demo_data: tuple[str, ...] = (*FLASK, "demo-data")
    # Prints how to sign in: a one-time link while nobody has a password, else who can.
    welcome: tuple[str, ...] = (*FLASK, "admin", "welcome")
    scim: tuple[str, ...] = (sys.executable, "-m", "app.local.scim_server")

    def has_scim(self) -> bool:
        """Whether the demo's SCIM server is installed (it is no part of a production installation)."""
        return importlib.util.find_spec("scim2_server") is not None
