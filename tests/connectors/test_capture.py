"""Values kept from an answer: where they are found, and what is never kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from app.connectors.capture import MAX_LIST, MAX_SOURCE, MAX_VALUE, Found, Looked, check_source
from app.domain.steps.base import CaptureRule


@dataclass
class Answer:
    body: bytes = b""
    headers: HTTPHeaderDict = field(default_factory=HTTPHeaderDict)
    truncated: bool = False


def answer(body: bytes | str | object = b"", **headers: str) -> Answer:
    raw = (
        body.encode()
        if isinstance(body, str)
        else b""
        if isinstance(body, bytes)
        else json.dumps(body).encode()
    )
    named = HTTPHeaderDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(body if isinstance(body, bytes) else raw, named)


def look(
    source: str, body: bytes | str | object, headers: dict[str, str] | None, rule: dict[str, bool]
) -> Found:
    return Looked(answer(body, **headers or {})).capture([CaptureRule("v", source, **rule)])  # type: ignore[arg-type]


def one(
    source: str, body: bytes | str | object = b"", *, headers: dict[str, str] | None = None, **rule: bool
) -> object:
    """The value captured from one answer under the name `v`; "nothing" when it was passed over."""
    found = look(source, body, headers, rule)
    assert found.lacking == {}
    return found.values.get("v", "nothing")


def reason(
    source: str, body: bytes | str | object, *, headers: dict[str, str] | None = None, **rule: bool
) -> str:
    found = look(source, body, headers, rule)
    assert found.values == {}
    return found.lacking["v"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("$.id", "u-1"),
        ("$['id']", "u-1"),
        ("$.n", 7),
        ("$.ratio", 0.5),
        ("$.active", False),
        ("$.empty", ""),
        ("$.single[0].id", 3),
        ("$.single[*].id", 3),
        ("$.list[*].size", 9),
        ("$.list[?@.name == 'b'].id", 2),
        ("$.list[?length(@.name) == 1 && @.size == 9].id", 2),
        ("$['ü']", "ß"),
    ],
)
def test_the_value_at_a_path_is_kept(source: str, expected: object) -> None:
    document = {
        "id": "u-1", "n": 7, "ratio": 0.5, "active": False, "empty": "", "ü": "ß",
        "list": [{"id": 1, "name": "a"}, {"id": 2, "name": "b", "size": 9}], "single": [{"id": 3}],
    }  # fmt: skip
    value = one(source, document)
    assert value == expected
    assert type(value) is type(expected)


def test_a_scalar_document_is_its_own_value() -> None:
    assert one("$", '"plain"') == "plain"


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert one("$.id", b'\xef\xbb\xbf{"id": 1}') == 1


@pytest.mark.parametrize("body", ["{}", '{"id": null}', "[]", "", "  "])
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
    assert one(source, headers={"Location": header}) == expected


def test_any_other_header_is_kept_whole() -> None:
    assert one("header:x-request-id", headers={"X-Request-Id": "a/b%20c"}) == "a/b%20c"


@pytest.mark.parametrize("location", ["", "/", "https://a.test", "https://a.test/?id=1"])
def test_a_location_without_a_segment_holds_nothing(location: str) -> None:
    assert (
        reason("header:Location", b"", headers={"Location": location}) == "the answer has no header Location"
    )
    assert one("header:Location", optional=True, headers={"Location": location}) == "nothing"


@pytest.mark.parametrize(
    "location", ["/users/%ff%fe", "https://[broken/users/1", "/users/a%00b", "/users/" + "x" * 3000]
)
def test_a_hostile_location_is_refused(location: str) -> None:
    assert reason("header:Location", b"", headers={"Location": location})


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
    "a page": (b"<html>", "not JSON"),
    "plain text": (b"not json", "not JSON"),
    "cut off": (b'{"id": 1', "not JSON"),
}


@pytest.mark.parametrize(("body", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_refused_in_our_own_words_and_passed_over_only_where_nothing_is_looked_up(
    body: bytes, words: str
) -> None:
    assert words in reason("$.id", body)
    assert one("$.id", body, optional=True) == "nothing"
    looked = Looked(answer(body)).capture([CaptureRule("v", "$.id", optional=True)], looks_up=True)
    assert words in looked.lacking["v"]


LIST = {"users": [{"id": "boss", "mail": "b@x"}, {"id": "u1", "mail": "u@x"}]}


@pytest.mark.parametrize(
    "source",
    ["$.users[*].id", "$.users[0].id", "$.users[-1].id", "$.users[0:1].id", "$..id", "$.users[?@.id].id"],
)
@pytest.mark.parametrize("optional", [False, True])
def test_several_values_are_never_guessed_at(source: str, optional: bool) -> None:
    assert reason(source, LIST, optional=optional) == "2 found, and nobody can tell which is meant"
    assert one(source, LIST, first=True) in ("boss", "u1")


def test_the_one_that_is_meant_is_found_among_several() -> None:
    assert one("$.users[?@.mail == 'u@x'].id", LIST) == "u1"
    tagged = {"users": [{"id": "u1", "mail": "u@x", "emails": [{"v": 1}, {"v": 2}]}]}
    assert one("$.users[?@.mail == 'u@x'].id", tagged) == "u1"
    assert "2 found" in reason("$.users[?@.mail == 'u@x'].emails[0].v", tagged)


def test_one_of_several_that_has_no_value_still_makes_them_several() -> None:
    assert "2 found" in reason("$[*].id", [{"id": None}, {"id": "b"}])
    assert "nothing" in reason("$[*].id", [{"id": None}])
    assert one("$[*].id", [{"id": None}, {"id": "b"}], first=True) == "b"


def test_a_list_keeps_every_value() -> None:
    assert one("$.users[*].id", LIST, many=True) == ["boss", "u1"]
    assert one("$.users", {"users": ["a", None, 2]}, many=True) == ["a", 2]
    assert one("$.users[*].id", {"users": []}, many=True) == []
    assert "more than" in reason("$[*]", list(range(MAX_LIST + 1)), many=True)
    assert "single values" in reason("$.users", LIST, many=True)


def test_a_value_of_the_greatest_length_is_kept() -> None:
    assert one("$.id", {"id": "x" * MAX_VALUE}) == "x" * MAX_VALUE
    assert one("$.id", {"id": 10 ** (MAX_VALUE - 1)}) == 10 ** (MAX_VALUE - 1)


def test_a_path_that_descends_through_a_deep_answer_is_refused() -> None:
    assert reason("$..id", b"[" * 500 + b"]" * 500)


def test_an_answer_that_was_cut_gives_headers_but_no_json() -> None:
    cut = Answer(b'{"id": 1}', HTTPHeaderDict({"X-Id": "7"}), truncated=True)
    rules = [
        CaptureRule("h", "header:X-Id"),
        CaptureRule("v", "$.id"),
        CaptureRule("o", "$.id", optional=True),
    ]
    found = Looked(cut).capture(rules)
    assert found.values == {"h": "7"}
    assert list(found.lacking) == ["v"]
    assert "broke off or is longer" in found.lacking["v"]


def test_what_is_there_is_found_whatever_else_is_lacking() -> None:
    rules = [
        CaptureRule("id", "$.id"),
        CaptureRule("gone", "$.gone", optional=True),
        CaptureRule("tag", "header:etag"),
        CaptureRule("mail", "$.mail"),
        CaptureRule("phone", "$.phone"),
    ]
    found = Looked(answer({"id": 1}, ETag='"e"')).capture(rules)
    assert found.values == {"id": 1, "tag": '"e"'}
    assert list(found.lacking) == ["mail", "phone"]


@pytest.mark.parametrize(
    ("place", "body", "seen"),
    [
        ("$.ok", {"ok": False}, False),
        ("$.errors", {}, None),
        ("$.errors", {"errors": []}, []),
        ("$.errors[*].code", {"errors": [{"code": 1}, {"code": 2}]}, [1, 2]),
        ("$.job", {"job": {"state": "x"}}, {"state": "x"}),
        ("header:X-State", {}, "done"),
    ],
)
def test_a_condition_sees_what_stands_at_its_place(place: str, body: object, seen: object) -> None:
    assert Looked(answer(body, X_State="done")).at(place) == seen


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"ok": NaN}'])
def test_a_condition_on_an_answer_that_cannot_be_read_says_why(body: bytes) -> None:
    looked = Looked(answer(body))
    for _ in range(2):
        with pytest.raises(ValueError, match="the answer"):
            looked.at("$.ok")


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
    found = Looked(Answer(body)).capture([CaptureRule("v", "$..*", optional=True, first=True)])
    assert all(isinstance(value, str | int | float | bool) for value in found.values.values())
    assert found.lacking == {}
