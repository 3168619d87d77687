"""Values kept from an answer: where they are found, and what is never kept."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from app.connectors.capture import MAX_SOURCE, MAX_VALUE, CaptureError, capture, check_source


@dataclass
class Answer:
    body: bytes = b""
    headers: HTTPHeaderDict = field(default_factory=HTTPHeaderDict)
    truncated: bool = False


def one(source: str, body: bytes | str | object = b"", *, optional: bool = False, **headers: str) -> object:
    """The value captured from one answer under the name `v`; "nothing" when it was passed over."""
    raw = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    named = HTTPHeaderDict({name.replace("_", "-"): value for name, value in headers.items()})
    return capture({"v": (source, optional)}, Answer(raw, named)).get("v", "nothing")


def reason(source: str, body: bytes | str, *, optional: bool = False, **headers: str) -> str:
    with pytest.raises(CaptureError) as caught:
        one(source, body, optional=optional, **headers)
    assert caught.value.name == "v"
    return caught.value.reason


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("$.id", "u-1"),
        ("$['id']", "u-1"),
        ("$.n", 7),
        ("$.ratio", 0.5),
        ("$.active", False),
        ("$.empty", ""),
        ("$.list[0].id", 1),
        ("$.list[-1].id", 2),
        ("$..id", "u-1"),
        ("$.list[?@.name == 'b'].id", 2),
        ("$.list[?length(@.name) == 1].id", 1),
        ("$['ü']", "ß"),
    ],
)
def test_the_first_match_of_a_path_is_kept(source: str, expected: object) -> None:
    document = {
        "id": "u-1", "n": 7, "ratio": 0.5, "active": False, "empty": "", "ü": "ß",
        "list": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }  # fmt: skip
    value = one(source, document)
    assert value == expected
    assert type(value) is type(expected)


def test_a_scalar_document_is_its_own_value() -> None:
    assert one("$", '"plain"') == "plain"


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert one("$.id", b'\xef\xbb\xbf{"id": 1}') == 1


@pytest.mark.parametrize("body", ["{}", '{"id": null}', "[]", "", "  ", "<html>", "not json", '{"id": 1'])
def test_nothing_found_fails_a_required_value_and_skips_an_optional_one(body: str) -> None:
    assert reason("$.id", body).startswith("the answer")
    assert one("$.id", body, optional=True) == "nothing"


@pytest.mark.parametrize(
    ("source", "header", "expected"),
    [
        ("header:Location", "https://a.test/v2/users/u%2F1", "u/1"),
        ("header:location", "/users/42", "42"),
        ("header:LOCATION", "users/42/", "42"),
        ("header:Location", "https://a.test/users/42?x=/9#/8", "42"),
        ("header: Location ", "https://a.test/users/J%C3%BCrgen", "Jürgen"),
    ],
)
def test_of_a_location_the_last_segment_is_kept(source: str, header: str, expected: str) -> None:
    assert one(source, Location=header) == expected


def test_any_other_header_is_kept_whole() -> None:
    assert one("header:x-request-id", X_Request_Id="a/b%20c") == "a/b%20c"


@pytest.mark.parametrize("location", ["", "/", "https://a.test", "https://a.test/?id=1"])
def test_a_location_without_a_segment_holds_nothing(location: str) -> None:
    assert reason("header:Location", b"", Location=location) == "the answer has no header Location"
    assert one("header:Location", optional=True, Location=location) == "nothing"


@pytest.mark.parametrize(
    "location", ["/users/%ff%fe", "https://[broken/users/1", "/users/a%00b", "/users/" + "x" * 3000]
)
def test_a_hostile_location_is_refused(location: str) -> None:
    assert reason("header:Location", b"", Location=location)


HOSTILE = {
    "deep lists": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "deep objects": (b'{"id":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    "deep and cut off": (b'{"id":' * 100_000, "nested too deeply"),
    "5,000 digits": (b'{"id": ' + b"9" * 5000 + b"}", "too long"),
    "4,000 digits": (b'{"id": ' + b"9" * 4000 + b"}", "longer than 2000"),
    "2,001 digits": (b'{"id": -' + b"9" * 2000 + b"}", "longer than 2000"),
    "a float beyond all numbers": (b'{"id": 1e999}', "too large"),
    "NaN": (b'{"id": 1, "x": NaN}', "NaN"),
    "Infinity": (b'{"id": 1, "x": -Infinity}', "NaN"),
    "one name twice": (b'{"id": 1, "id": 2}', "twice"),
    "one name twice, deeper": (b'{"id": 1, "x": [{"a": 1, "a": 1}]}', "twice"),
    "a lone surrogate": (b'{"id": "\\ud800"}', "cannot be stored"),
    "NUL": (b'{"id": "a\\u0000b"}', "cannot be stored"),
    "a long text": (b'{"id": "' + b"x" * (MAX_VALUE + 1) + b'"}', "longer than 2000"),
    "a list": (b'{"id": [1]}', "single values"),
    "an object": (b'{"id": {}}', "single values"),
    "not UTF-8": (b'{"id": "\xff"}', "UTF-8"),
    "UTF-16": ('{"id": 1}'.encode("utf-16"), "UTF-8"),
}


@pytest.mark.parametrize(("body", "words"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("optional", [False, True])
def test_a_hostile_answer_is_refused_in_our_own_words(body: bytes, words: str, optional: bool) -> None:
    assert words in reason("$.id", body, optional=optional)


def test_a_value_of_the_greatest_length_is_kept() -> None:
    assert one("$.id", {"id": "x" * MAX_VALUE}) == "x" * MAX_VALUE
    assert one("$.id", {"id": 10 ** (MAX_VALUE - 1)}) == 10 ** (MAX_VALUE - 1)


def test_a_path_that_descends_through_a_deep_answer_is_refused() -> None:
    assert reason("$..id", b"[" * 500 + b"]" * 500)


def test_an_answer_that_was_cut_gives_headers_but_no_json() -> None:
    cut = Answer(b'{"id": 1}', HTTPHeaderDict({"X-Id": "7"}), truncated=True)
    assert capture({"v": ("header:X-Id", False)}, cut) == {"v": "7"}
    with pytest.raises(CaptureError, match="broke off or is longer"):
        capture({"v": ("$.id", True)}, cut)


def test_several_rules_read_one_answer_in_order() -> None:
    reply = Answer(b'{"id": 1, "name": "a"}', HTTPHeaderDict({"ETag": '"e"'}))
    rules = {
        "id": ("$.id", False),
        "gone": ("$.gone", True),
        "tag": ("header:etag", False),
        "name": ("$.name", False),
    }
    assert capture(rules, reply) == {"id": 1, "tag": '"e"', "name": "a"}
    with pytest.raises(CaptureError) as caught:
        capture({"id": ("$.id", False), "gone": ("$.gone", False), "also": ("$.also", False)}, reply)
    assert caught.value.name == "gone"


@pytest.mark.parametrize(
    "source", ["$.id", "$", "$..a[0]", "$.a[?@.b > 1].c", "header:Location", "header:X-Id"]
)
def test_a_good_source_may_be_saved(source: str) -> None:
    assert check_source(source) is None


@pytest.mark.parametrize(
    "source",
    [
        "", "id", "a.b", "$.", "$[", "$.a | $.b", "$.~", "^.a", "$.a[?match(@.b, '(a+)+$')]",
        "$.a[?search(@.b, 'x')]", "$.a[?", "header:", "header:X Y", "header:X\r\nY", "$" + ".a" * MAX_SOURCE,
        "$" + "[?@" * 160, "$[99999999999999999999]", "\x00", "$.a\ud800", "Header:Location",
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_read_is_refused_on_save(source: str) -> None:
    assert check_source(source)


@given(st.text(max_size=30))
def test_checking_any_text_as_a_source_ends_in_a_sentence_or_in_none(source: str) -> None:
    problem = check_source(source)
    assert problem is None or problem.endswith(".")


@given(st.binary(max_size=60))
def test_any_body_is_captured_from_or_refused(body: bytes) -> None:
    found: dict[str, object] = {}
    with contextlib.suppress(CaptureError):
        found.update(capture({"v": ("$..*", True)}, Answer(body)))
    assert all(isinstance(value, str | int | float | bool) for value in found.values())
