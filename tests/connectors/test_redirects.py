"""What is said of an answer that points elsewhere: what differs, and nothing of the address that may be secret."""

from __future__ import annotations

import pytest
from urllib3 import HTTPHeaderDict

from app.connectors.messages import Reply
from app.connectors.redirects import where_to

HERE = "http://api.example.org/v1/users?key=secret"


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/v1/users/", "It points to the same path with a / at its end."),
        ("users/", "It points to the same path with a / at its end."),
        ("/v2/users", "It points to another path on the same host."),
        ("?key=secret", "It points to the same address."),
        ("https://api.example.org/v1/users", "It points to https://api.example.org, which is the same host."),
        (
            "https://api.example.org:8443/",
            "It points to https://api.example.org:8443, which is the same host.",
        ),
        ("http://api.example.org:80/v1/users", "It points to the same address."),
        (
            "http://api.example.org:8080/v1/users",
            "It points to api.example.org:8080, another port of the same host.",
        ),
        ("//login.example.org/?token=secret", "It points to login.example.org."),
        ("http://[::1", "It points to something that is no address."),
        ("http://a:port/", "It points to something that is no address."),
        ("mailto:x@example.org", "It points to something that is no address."),
        ("", "It does not say where to."),
    ],
)
def test_what_differs_is_said(location: str, said: str) -> None:
    reply = Reply(308, HTTPHeaderDict({"Location": location}), b"", False, 1)
    assert where_to(HERE, reply) == said
