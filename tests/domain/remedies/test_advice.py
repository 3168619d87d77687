"""Which way back is advised, by what was mended since the run failed."""

from __future__ import annotations

import pytest

from app.domain.remedies.advice import Way, advised_way
from app.domain.states import FailureClass

F = FailureClass


@pytest.mark.parametrize(
    ("failure", "status", "mended", "newer", "advised"),
    [
        (F.HTTP_4XX, 401, True, False, Way.RETRY),
        (F.HTTP_4XX, 401, True, True, Way.RETRY),
        (F.HTTP_4XX, 401, False, True, Way.REPLAY),
        (F.HTTP_4XX, 401, False, False, None),
        (F.HTTP_4XX, 422, False, True, Way.REPLAY),
        (F.HTTP_4XX, 422, True, True, Way.REPLAY),
        (F.HTTP_4XX, 422, True, False, Way.RETRY),
        (F.HTTP_4XX, 422, False, False, None),
        (F.MAPPING, None, True, True, Way.REPLAY),
        (F.CONFIGURATION, None, True, True, Way.RETRY),
        (F.TLS, None, True, False, Way.RETRY),
        (F.HTTP_5XX, 503, False, False, Way.RETRY),
        (F.HTTP_5XX, 503, False, True, Way.REPLAY),
        (None, None, False, False, None),
    ],
)
def test_a_mend_of_the_connection_calls_for_retry_and_an_edit_for_replay(
    failure: FailureClass | None, status: int | None, mended: bool, newer: bool, advised: Way | None
) -> None:
    found = advised_way(failure, status, mended=mended, newer=newer, may_retry=True, may_replay=True)
    assert found is advised


def test_nothing_is_advised_that_would_be_refused() -> None:
    told = {"mended": True, "newer": True}
    assert advised_way(F.HTTP_4XX, 401, **told, may_retry=False, may_replay=False) is None
    assert advised_way(F.HTTP_4XX, 401, **told, may_retry=False, may_replay=True) is Way.REPLAY
    assert advised_way(F.HTTP_4XX, 422, **told, may_retry=True, may_replay=False) is Way.RETRY
