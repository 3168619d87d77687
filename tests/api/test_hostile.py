"""Whatever is sent, the answer is one of those that are promised: never a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from app.services.connection_test import TestResult
from tests.support.api.client import ApiClient, World
from tests.support.api.listed_calls import CALLS

MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
FEW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", "\0", "\ud800", "{{ grantee.email", "1" * 400, "9" * 5000, "../..", "\u202e", "0"]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
BODIES: dict[str, set[str]] = {
    "/users": {"email", "first_name", "role", "active", "username"},
    "/groups": {"name"},
    "/applications": {"name", "url", "critical", "notes"},
    "/applications/{application_id}/connections": {"type", "name", "config"},
    "/applications/{application_id}/workflows": {"name", "trigger", "steps", "enabled", "grant_policy"},
    "/workflows/{workflow_id}/versions": {"steps", "note", "based_on"},
    "/grants": {"application_id", "user_id", "expires_at", "access_level", "record_only"},
    "/grants/{grant_id}/revoke": {"notes", "record_only"},
    "/grants/{grant_id}/run-now": {"trigger"},
    "/runs/{run_id}/retry": {"overrides", "confirm_unknown"},
    "/runs/{run_id}/cancel": {"reason"},
}


@pytest.mark.parametrize("path", BODIES)
def test_no_body_is_a_fault(api: ApiClient, world: World, path: str) -> None:
    known = st.dictionaries(st.sampled_from(sorted(BODIES[path])), VALUES, max_size=6)

    @FEW
    @given(body=known | VALUES, key=st.none() | st.text(max_size=10))
    def send(body: Any, key: str | None) -> None:
        headers = {"Idempotency-Key": key} if key is not None and key.isascii() and key.isprintable() else {}
        assert api.send("POST", world.fill(path), body, headers=headers).status_code < 500

    send()


@pytest.mark.parametrize("mode", MODES, ids=["as described", "beside it"])
def test_no_request_made_from_the_document_is_a_fault(
    api: ApiClient, world: World, mode: GenerationMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.connection_test.probe", _no_call)
    schema = schemathesis.openapi.from_dict(api.get("/openapi.json"))
    operations = [result.ok() for result in schema.get_all_operations()]
    # What deletes the records that the others are about comes last.
    for operation in sorted(operations, key=lambda one: one.method.upper() == "DELETE"):

        @FEW
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            # Records that exist, so that what is sent gets further than to their absence.
            case.path_parameters = {name: world.fill(f"{{{name}}}") for name in case.path_parameters or ()}
            answer = case.call(app=api.app, headers={"Authorization": f"Bearer {api.secret}"})
            assert answer.status_code < 500, (case.method, case.path, answer.text)

        send()
    assert len(operations) == len(CALLS)


def _no_call(*_: object) -> object:
    return TestResult("failed", "Failed.")
