"""Which way back from a failed run is the right one: what was mended since decides.

Credentials and addresses are read anew at each try, so mending them calls for Retry; steps are pinned to the run's
version, so mending those calls for Replay with latest.
"""

from __future__ import annotations

from enum import StrEnum

from app.domain.runs.retry import TRANSIENT
from app.domain.states import FailureClass


class Way(StrEnum):
    RETRY = "retry"
    REPLAY = "replay"


# Refusals that the connection or its credential answers for.
_OF_THE_CONNECTION = frozenset({401, 403, 407})
_OF_THE_STEP = frozenset(
    {
        FailureClass.MAPPING,
        FailureClass.UNEXPECTED_STATUS,
        FailureClass.UNEXPECTED_ANSWER,
        FailureClass.WRONG_ACCOUNT,
    }
)


def advised_way(
    failure: FailureClass | None,
    status: int | None,
    *,
    mended: bool,
    newer: bool,
    may_retry: bool,
    may_replay: bool,
) -> Way | None:
    """The way to advise, or None while the same would happen again.

    `mended`: the connection or its credential has changed since the failure.  `newer`: the workflow has a version
    after the run's.
    """
    if may_retry and mended and not _is_of_the_step(failure, status):
        return Way.RETRY
    if newer and may_replay:
        return Way.REPLAY
    if may_retry and (mended or failure in TRANSIENT):
        return Way.RETRY
    return None


def _is_of_the_step(failure: FailureClass | None, status: int | None) -> bool:
    if failure is FailureClass.HTTP_4XX:
        return status not in _OF_THE_CONNECTION
    return failure in _OF_THE_STEP
