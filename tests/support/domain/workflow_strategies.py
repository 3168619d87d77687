"""Strategies that draw whole workflows of typed steps which keep their rules."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from app.domain.steps.base import CONTINUE, END, ESCALATE, NEXT, STOP, Compensate, GoTo
from app.domain.steps.registry import Step
from app.domain.steps.retry import Retry
from app.domain.workflows.definition import Definition
from tests.support.domain.runs import human, post, put, webhook

UNDO = "undo"

retries = st.builds(
    Retry,
    attempts=st.sampled_from([1, 2, 3]),
    backoff=st.sampled_from(["fixed", "exponential"]),
    delay_seconds=st.sampled_from([0, 10]),
    lost_answer=st.sampled_from(["resend", "ask"]),
)


@st.composite
def a_step(draw: st.DrawFn, key: str, **edges: Any) -> Step:
    """A step of any type; calls are commoner than tasks, and creating ones than harmless ones."""
    kind = draw(st.sampled_from(["post", "post", "put", "webhook", "webhook marked", "human"]))
    if kind == "human":
        return human(key, **edges)
    retry = draw(retries)
    if kind.startswith("webhook"):
        return webhook(key, retry=retry, idempotent=kind == "webhook marked", **edges)
    return (put if kind == "put" else post)(key, retry=retry, **edges)


@st.composite
def workflows(draw: st.DrawFn) -> Definition:
    """One to four steps, edges that lead down, and a step that undoes whenever an edge names it."""
    keys = [f"s{number}" for number in range(draw(st.integers(1, 4)))]
    steps: list[Step] = []
    for position, key in enumerate(keys):
        later = [GoTo(one) for one in keys[position + 1 :]]
        success = draw(st.sampled_from([NEXT, NEXT, NEXT, END, *later]))
        failure = draw(
            st.sampled_from([STOP, ESCALATE, CONTINUE, Compensate(UNDO), Compensate(UNDO), *later[:1]])
        )
        steps.append(draw(a_step(key, on_success=success, on_failure=failure)))
    if any(isinstance(one.on_failure, Compensate) for one in steps):
        where = draw(st.integers(1, len(steps)))
        steps.insert(where, draw(a_step(UNDO, on_failure=draw(st.sampled_from([STOP, CONTINUE, ESCALATE])))))
    return Definition(tuple(steps))
