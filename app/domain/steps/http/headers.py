"""The headers of a call: what each begins with, and how an author's own are put over them."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.headers import author_header_problem
from app.domain.steps.calls import USER_AGENT


def opening_headers(config: Mapping[str, object]) -> dict[str, str]:
    """The headers that every call of an HTTP connection begins with: the product's, and the connection's own.

    One that may not be sent was refused when it was saved, and is left out.
    """
    headers = {"Accept": "application/json, */*;q=0.5", "User-Agent": USER_AGENT}
    given = config.get("headers")
    if isinstance(given, Mapping):
        merge(headers, {n: text for n, text in given.items() if author_header_problem(n, text) is None})
    return headers


def merge(headers: dict[str, str], added: Mapping[str, str]) -> None:
    """Later headers replace earlier ones of the same name, however they are spelt."""
    for name, value in added.items():
        for known in [one for one in headers if one.lower() == name.lower()]:
            del headers[known]
        headers[name] = value
