"""What a status line means for a step (the answer table of SPEC §5)."""

from __future__ import annotations

from app.domain.states import FailureClass
from app.domain.workflows.steps import StatusSet


def classify_status(status: int, *, success: StatusSet, wait: StatusSet) -> FailureClass | None:
    """None when `status` is a success for the step, otherwise the class of its failure."""
    if status in success:
        return None
    if status in wait:
        return FailureClass.WAIT
    if status >= 500:
        return FailureClass.HTTP_5XX
    if status >= 400:
        return FailureClass.HTTP_4XX
    if 300 <= status < 400:
        return FailureClass.REDIRECT
    return FailureClass.UNEXPECTED_STATUS
