"""`python -m app.workers`: one worker process, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys
from functools import partial

from app import create_app
from app.config.checks import SettingsError
from app.extensions import db
from app.rates import Rates
from app.workers.executor import Executor
from app.workers.restore_check import hold_if_restored
from app.workers.worker import RunWorker, worker_name


def main() -> int:
    """Work. Exit code 0 after an orderly stop, 1 when the settings cannot be used."""
    try:
        app = create_app(pages=False)
    except SettingsError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    settings = app.extensions["settings"]
    with app.app_context():
        executor = Executor(
            db.engine,
            app.extensions["egress"],
            app.extensions["keyring"],
            rates=Rates(settings.redis_url),
            name=worker_name(),
            concurrency=settings.worker_concurrency,
            lease_seconds=settings.lease_seconds,
            look_back=partial(hold_if_restored, app),
        )
        RunWorker(executor, settings.redis_url, ask_seconds=settings.sweep_seconds).work()
    return 0


if __name__ == "__main__":
    sys.exit(main())
