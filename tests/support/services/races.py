"""Several people at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flask import Flask
from sqlalchemy.orm import Session

from app.errors import AppError
from app.extensions import db
from app.services.transaction import transaction

Act = Callable[[Session], object]


def at_once(app: Flask, *acts: Act) -> list[str]:
    """Run each act in a transaction of its own, all started together; what each came to."""
    gate = threading.Barrier(len(acts))
    results = [""] * len(acts)

    def run(place: int, act: Act) -> None:
        with app.app_context():
            gate.wait()
            try:
                with transaction() as session:
                    act(session)
                results[place] = "done"
            except AppError as refused:
                results[place] = refused.message
            except BaseException as problem:
                results[place] = f"{type(problem).__name__}: {problem}"
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(place, act)) for place, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results
