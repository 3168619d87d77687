"""What holds now of the connections that a run uses: the facts that its remedies are chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.connectors.types.table import needs_credential
from app.domain.mapping.templates import compile_template
from app.domain.remedies.failure import Failure
from app.domain.runs.breaker import WAITS
from app.domain.runs.retry import stands
from app.domain.states import FailureClass, Trigger
from app.domain.steps.base import StepType
from app.domain.steps.registry import Step
from app.models import Application, Attempt, Connection, Credential, ExternalAccount, Run


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """Whether a connection signs in with a credential, since when it has the present one, and its last test."""

    needs_credential: bool
    credential_set_at: datetime | None
    tested_at: datetime | None
    is_reachable: bool

    def reached_since(self, moment: datetime) -> bool | None:
        """What the last test found, if it was made after `moment`."""
        return self.is_reachable if self.tested_at is not None and self.tested_at > moment else None


@dataclass(frozen=True, slots=True)
class RemedyFacts:
    """`system` is what the other side is called; `connections` are the application's, by id as text."""

    system: str
    trigger: Trigger
    connections: Mapping[str, ConnectionFacts]
    captured_any: bool

    def failure_of(
        self,
        row: Attempt,
        step: Step | None,
        failure: FailureClass,
        *,
        given_up: str = "",
        signs_in: Step | None = None,
    ) -> Failure:
        """The facts about one failed try. `step` is None when its version no longer tells.

        `given_up` is the name of an earlier step that failed and was passed over, `signs_in` the one of `token_step`.
        """
        uses = None if step is None else self.connections.get(step.connection_id or "")
        set_at = uses.credential_set_at if uses else None
        tried_at = row.finished_at or row.started_at
        return Failure(
            failure=failure,
            status=row.http_status,
            system=self.system,
            step_type=StepType(row.step_type),
            trigger=self.trigger,
            needs_credential=uses.needs_credential if uses else True,
            credential_set=set_at is not None if uses else True,
            credential_replaced=set_at is not None and set_at > tried_at,
            retry_on=row.of > 1,
            attempts_made=row.tries,
            # Waiting until the other side is ready spends none of them.
            attempts_left=max(1, row.of - row.tries) if row.next_attempt_at is not None else 0,
            costs_no_try=row.edge == WAITS,
            captured_any=self.captured_any,
            reached_since=uses.reached_since(tried_at) if uses else None,
            outcome_unknown=row.outcome_unknown,
            stands=stands(step, failure, row.http_status),
            given_up=given_up,
            token_from=signs_in.name if signs_in is not None else "",
            token_doubles=signs_in is not None and signs_in.may_double,
            detail=row.detail or "",
        )


def token_step(step: Step | None) -> str:
    """The key of the earlier step whose captured value stands in a header of this one; "" where none does."""
    for field, text in step.texts() if step is not None else ():
        if field.startswith("headers."):
            for token in compile_template(text).tokens:
                if token.name.startswith("steps."):
                    return token.name.split(".")[1]
    return ""


def remedy_facts(session: Session, run: Run) -> RemedyFacts:
    """What holds now around `run`, in at most three statements."""
    captured = session.scalar(
        select(ExternalAccount.captured).where(
            ExternalAccount.user_id == run.user_id, ExternalAccount.application_id == run.application_id
        )
    )
    return RemedyFacts(
        system=session.get_one(Application, run.application_id).name,
        trigger=Trigger(run.trigger),
        connections=connection_facts(session, Connection.application_id == run.application_id),
        captured_any=bool(captured),
    )


def connection_facts(session: Session, which: ColumnElement[bool]) -> dict[str, ConnectionFacts]:
    """What holds now of `which` connections, by id as text; one statement."""
    found = session.execute(
        select(
            Connection.id,
            Connection.type,
            Connection.config,
            Connection.tested_at,
            Connection.test_outcome,
            Credential.set_at,
        )
        .outerjoin(Credential, Credential.connection_id == Connection.id)
        .where(which)
    )
    return {
        str(row.id): ConnectionFacts(
            needs_credential=needs_credential(row),
            credential_set_at=row.set_at,
            tested_at=row.tested_at,
            is_reachable=row.test_outcome == "reachable",
        )
        for row in found
    }
