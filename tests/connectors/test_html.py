"""An HTML page is told from the answer of an API."""

from __future__ import annotations

import pytest

from app.connectors.html import is_html

PAGE = b"<!DOCTYPE html><title>Sign in</title>"


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8", " application/xhtml+xml ;q=1"])
def test_what_is_called_a_page_is_one(kind: str) -> None:
    assert is_html({"Content-Type": kind}, b"Please sign in")


@pytest.mark.parametrize(
    "body",
    [
        PAGE,
        b"<html>",
        b"<HTML lang='en'><body>",
        b"\n\t <html/>",
        b"<body>",
        b"\xef\xbb\xbf\r\n<!doctype\nHTML>",
        b"<!-- proxy --> <!-- <x> -->\n<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>",
        b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">',
        "\ufeff<html>".encode("utf-16-le"),
        "\ufeff<html>".encode("utf-16-be"),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", ""])
def test_what_begins_as_a_page_is_one_whatever_it_is_called(kind: str, body: bytes) -> None:
    assert is_html({"Content-Type": kind} if kind else {}, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b'{"ok": true}',
        b'\xef\xbb\xbf[{"html": "<html>"}]',
        b'"<html>"',
        b"OK",
        b"<htmlish>",
        b"<users><html>1</html></users>",
        b'<?xml version="1.0"?><users/>',
        b"<!-- never closed <html>",
    ],
)
def test_what_begins_otherwise_is_none(body: bytes) -> None:
    assert not is_html({"Content-Type": "application/json"}, body)


@pytest.mark.parametrize("body", [b"", b'{"id": 7}', b" [1]"])
def test_frameworks_that_call_everything_a_page_are_not_believed(body: bytes) -> None:
    assert not is_html({"Content-Type": "text/html"}, body)


def test_a_page_of_nothing_but_comments_is_looked_through_once() -> None:
    assert not is_html({}, b"<!---->" * 9000)
    assert not is_html({}, b"<!--" * 16000)
