"""A route as an operation: what it takes and gives, for the dispatchers below and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, cast

from flask import Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from app import clock
from app.api.bodies import read_body, read_query
from app.api.idempotency import Answer, fingerprint, given_before, once, sent_key
from app.database import db_now
from app.extensions import db
from app.guard import current_actor
from app.permissions import Actor
from app.schemas.base import Input, parse
from app.services.transaction import transaction

View = Callable[..., Any]
Dispatch = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and gives. `answer` None is 204; `repeatable` says that Idempotency-Key counts."""

    tag: str
    answer: type[BaseModel] | None = None
    status: int = 200
    body: type[Input] | None = None
    query: type[Input] | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """What a view works with: the session, who asks, and the moment (by the database when it writes)."""

    session: Session
    actor: Actor
    now: datetime


class NoQuery(Input):
    """For operations without parameters: every one is a mistake."""


def reads(
    tag: str, answer: type[BaseModel], *, query: type[Input] | None = None
) -> Callable[[View], Dispatch]:
    """A view that changes nothing: `view(act, [query=,] **ids)` gives an `answer`."""
    operation = Operation(tag, answer, query=query)

    def decorate(view: View) -> Dispatch:
        @wraps(view)
        def dispatch(**ids: int) -> Response:
            asked = _query(operation)
            return _respond(
                _answer(operation, view(Act(db.session(), current_actor(), clock.now()), **asked, **ids))
            )

        return _marked(dispatch, operation)

    return decorate


def writes(
    tag: str,
    answer: type[BaseModel] | None = None,
    *,
    body: type[Input] | None = None,
    status: int | None = None,
    repeatable: bool = False,
) -> Callable[[View], Dispatch]:
    """A view that runs in one transaction, which commits when it returns: `view(act, [body=,] **ids)`.

    With `repeatable` (every POST) an `Idempotency-Key` is kept in that transaction with the answer.
    """
    operation = Operation(tag, answer, status or (200 if answer else 204), body, repeatable=repeatable)

    def decorate(view: View) -> Dispatch:
        @wraps(view)
        def dispatch(**ids: int) -> Response:
            _query(operation)
            sent = read_body()
            taken = {"body": parse(body, sent)} if body else _nothing(sent)
            actor, key = current_actor(), sent_key()
            with transaction() as session:
                act = Act(session, actor, db_now(session.connection()))

                def perform() -> Answer:
                    return _answer(operation, view(act, **taken, **ids))

                if key is None or actor.token_id is None:
                    done = perform()
                else:
                    done = once(session, actor.token_id, key, fingerprint(sent), perform, now=act.now)
            return _respond(done)

        return _marked(dispatch, operation)

    return decorate


def looks(tag: str, answer: type[BaseModel], *, body: type[Input]) -> Callable[[View], Dispatch]:
    """A view that only looks, at more than an address can say: `view(act, body=, **ids)`.

    Nothing is written, so that an `Idempotency-Key` makes no difference and no answer is kept.
    """
    operation = Operation(tag, answer, body=body)

    def decorate(view: View) -> Dispatch:
        @wraps(view)
        def dispatch(**ids: int) -> Response:
            _query(operation)
            asked = parse(body, read_body())
            act = Act(db.session(), current_actor(), clock.now())
            return _respond(_answer(operation, view(act, body=asked, **ids)))

        return _marked(dispatch, operation)

    return decorate


def asks_outside(tag: str, answer: type[BaseModel]) -> Callable[[View], Dispatch]:
    """A view that talks to another system, and so opens what transactions it needs itself: `view(**ids)`.

    No transaction is open meanwhile, so that of two calls at the same moment with one `Idempotency-Key` both may
    go out; the later one is given the answer of the first all the same.
    """
    operation = Operation(tag, answer, repeatable=True)

    def decorate(view: View) -> Dispatch:
        @wraps(view)
        def dispatch(**ids: int) -> Response:
            _query(operation)
            sent = read_body()
            _nothing(sent)
            token_id, key = current_actor().token_id, sent_key()
            if key is None or token_id is None:
                return _respond(_answer(operation, view(**ids)))
            request_print = fingerprint(sent)
            kept = given_before(db.session(), token_id, key, request_print, now=clock.now())
            if kept is not None:
                return _respond(kept)
            done = _answer(operation, view(**ids))
            with transaction() as session:
                now = db_now(session.connection())
                return _respond(once(session, token_id, key, request_print, lambda: done, now=now))

        return _marked(dispatch, operation)

    return decorate


def operation_of(view: View) -> Operation | None:
    """What a view declared by one of the decorators above, None for any other view."""
    return getattr(view, "operation", None)


def _marked(dispatch: Dispatch, operation: Operation) -> Dispatch:
    dispatch.operation = operation  # type: ignore[attr-defined]
    return dispatch


def _query(operation: Operation) -> dict[str, BaseModel]:
    asked = read_query(operation.query or NoQuery)
    return {"query": asked} if operation.query else {}


def _nothing(sent: object) -> dict[str, Any]:
    parse(NoBody, sent)
    return {}


class NoBody(Input):
    """For operations that take no body: an empty object is one."""


def _answer(operation: Operation, given: object) -> Answer:
    if operation.answer is None:
        return Answer(operation.status, "")
    return Answer(operation.status, cast(BaseModel, given).model_dump_json())


def _respond(answer: Answer) -> Response:
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    if answer.status == 204:
        return Response(status=204, headers=headers)
    return Response(answer.body, answer.status, headers=headers, content_type="application/json")
