"""Headers that are not an author's to set, and those that no request can carry."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.headers import author_header_problem, header_problem, reserved_header


@pytest.mark.parametrize(
    "name",
    [
        "Host", "host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "TE",
        "Trailer", "Expect", "Authorization", "AUTHORIZATION", "Proxy-Authorization", "Cookie",
        "Idempotency-Key", "webhook-id", "Webhook-Signature", "webhook-timestamp", "webhook-anything",
        " Host ",
        "Sec-Fetch-Site",
    ],
)  # fmt: skip
def test_a_header_of_the_console_is_not_an_author_s_to_set(name: str) -> None:
    assert reserved_header(name)
    assert "set by Access Automation" in (author_header_problem(name, "x") or "")


@pytest.mark.parametrize(
    "name", ["Content-Type", "Accept", "X-Api-Version", "Prefer", "If-Match", "User-Agent"]
)
def test_an_ordinary_header_may_be_set(name: str) -> None:
    assert author_header_problem(name, "any värdi\twith tab") is None


@given(st.text(max_size=8))
def test_a_header_name_is_a_token_or_refused(name: str) -> None:
    token = set(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
    assert (header_problem(name, "") is None) == (bool(name) and set(name) <= token)


CONTROLS = st.characters(categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\t")


@given(st.text(CONTROLS, min_size=1, max_size=3))
def test_no_control_character_passes_in_a_value(value: str) -> None:
    problem = header_problem("X-A", f"a{value}b")
    assert problem is not None
    assert value not in problem
