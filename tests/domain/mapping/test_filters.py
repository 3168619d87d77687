"""Each filter by what it makes of a value, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from app.domain.mapping.context import ZONE
from app.domain.mapping.filters import FILTERS
from app.domain.mapping.render import render_value
from app.domain.mapping.templates import MappingError, compile_template

YEAR_END = "2026-12-31T23:59:59-05:00"


def through(filters: str, value: Any, zone: str | None = None) -> Any:
    return render_value(f"{{{{ account.id | {filters} }}}}", {"account": {"id": value}, ZONE: zone})


@pytest.mark.parametrize(
    ("filters", "value", "comes_to"),
    [
        ("ascii", "Zoë Łuk-Müß’ Æ–Ø", "Zoe Luk-Muss' AE-O"),
        ("ascii", "李 a", " a"),
        ("truncate(3)", "Ångström", "Ång"),
        ("truncate( 3 )", 12345, "123"),
        ("truncate(2000)", "ab", "ab"),
        ('before("@")', "ada@example.org", "ada"),
        ("before('@')", "ada", "ada"),
        ('after("@")', "ada@b@c", "b@c"),
        ('after("@")', "ada", ""),
        ('default("none")', " ", "none"),
        ('default("none")', [], "none"),
        ('default("none")', 0, 0),
        ('default("a, b")', None, "a, b"),
        ('date("%Y-%m-%d")', YEAR_END, "2026-12-31"),
        ('date("%Y-%m-%d", "UTC")', YEAR_END, "2027-01-01"),
        ('date("%Y-%m-%d","America/New_York")', "2027-01-01T04:59:59Z", "2026-12-31"),
        ('date("%d.%m.%Y %H:%M %z" , "Europe/Paris" )', "2026-07-01T12:00:00", "01.07.2026 12:00 +0200"),
        ('date("%d %m", "Asia/Tokyo")', "2026-07-01", "01 07"),
        ('join(",")', ["a", 1, True, None, 0.5], "a,1,true,,0.5"),
        ('join("")', ["a", "b"], "ab"),
        ('join(",")', "a", "a"),
        ('join(",")', [], ""),
        ('join(",") | upper', ["a", "b"], "A,B"),
        ("base64", "Zoë:1", "Wm/Dqzox"),
        ("md5", "Zoë", "fb44af73417cf03c023d098e7f07c114"),
        ("sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("number", "00042", 42),
        ("number", " -1.50 ", -1.5),
        ("number", 7, 7),
        ("number", 18446744073709551615, 18446744073709551615),
        ("text", 42, "42"),
        ("text", True, "true"),
        ("json", 'a"b\\c\n\x01\u2028\u2029é🙂', 'a\\"b\\\\c\\n\\u0001\\u2028\\u2029é🙂'),
        ("scim", 'a"b\\c\n\u2028é', 'a\\"b\\\\c\\n\u2028é'),
        ("ldap", "a*(b)\\c é", "a\\2a\\28b\\29\\5cc é"),
        ("xml", "<a>&\"'\n", "&lt;a&gt;&amp;&quot;&apos;&#10;"),
        ("omit_empty", "x", "x"),
    ],
)
def test_a_filter_makes_of_a_value_what_it_says(filters, value, comes_to):
    made = through(filters, value)
    assert (made, type(made)) == (comes_to, type(comes_to))


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in ("default", "omit_empty")])
def test_what_is_empty_stays_empty(name):
    for value in (None, ""):
        assert through(FILTERS[name].example, value) == value


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland"])
def test_a_date_without_a_zone_is_of_the_console_s(zone):
    days = {"UTC": "2027-01-01", "America/New_York": "2026-12-31", "Pacific/Auckland": "2027-01-01"}
    assert through('date("%Y-%m-%d")', YEAR_END, zone) == days[zone]
    assert through('date("%Y-%m-%d", "Asia/Tokyo")', YEAR_END, zone) == "2027-01-01"


@pytest.mark.parametrize(
    ("filters", "value", "words"),
    [
        ("number", "abc-secret", "account.id is no number."),
        ("number", "1e5", "account.id is no number."),
        ("number", "٣", "account.id is no number."),
        ("number", True, "account.id is no number."),
        ("number", "18446744073709551616", "account.id has more digits than a number can hold."),
        ("number", "0.12345678901234567890", "account.id has more digits than a number can hold."),
        ('date("%Y")', "abc-secret", "account.id is no date that date can read."),
        ('date("%Y", "Asia/Tokyo")', "9999-12-31T23:59:59Z", "account.id is no date that date can read."),
        ("xml", "a\x01secret", "account.id holds a character that XML cannot."),
        ("xml", "\uffff", "account.id holds a character that XML cannot."),
        ("upper", ["secret"], 'account.id is a list: join it, as in join(",").'),
    ],
)
def test_a_value_that_a_filter_cannot_take_is_refused_without_being_shown(filters, value, words):
    with pytest.raises(MappingError) as caught:
        through(filters, value)
    assert (caught.value.field, caught.value.message) == ("body", words)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ("truncate", "needs a number after truncate, as in truncate(8)."),
        ("truncate()", "needs a whole number from 1 to 2,000"),
        ("truncate(0)", "needs a whole number from 1 to 2,000"),
        ("truncate(99999)", "needs a whole number from 1 to 2,000"),
        ('truncate("3")', "needs a whole number from 1 to 2,000"),
        ("truncate(-3)", "needs a whole number from 1 to 2,000"),
        ("truncate(3", "missing the closing bracket after truncate"),
        ("before", 'needs a text after before, as in before("@").'),
        ('before("")', 'Say what before looks for, as in before("@").'),
        ("after(@)", "straight quotes"),
        ('default("a", "b")', 'gives default more than it takes: write it as default("none").'),
        ('date("%Y", "UTC", "UTC")', "gives date more than it takes"),
        ('date("%Y",)', "straight quotes"),
        ('date("%Y", "Europe/Pariss")', "There is no time zone “Europe/Pariss”. Did you mean Europe/Paris?"),
        ('date("%Y", "../../etc/passwd")', "There is no time zone"),
        ('date("%Y", "localtime")', "There is no time zone"),
        ('date("%Y", "")', "There is no time zone “”. Use a name such as Europe/Paris or UTC."),
        ("join", 'needs a text after join, as in join(",").'),
        ("sha256()", "gives sha256 a value, but it takes none"),
        ("omitempty", "Did you mean omit_empty?"),
        ("ascci", "Did you mean ascii?"),
    ],
)
def test_a_filter_that_is_written_wrongly_is_refused_in_words(filters, words):
    with pytest.raises(MappingError, match=re.escape(words)):
        compile_template(f"{{{{ account.id | {filters} }}}}")


def test_the_document_lists_every_filter_as_the_editor_does():
    document = Path(__file__).resolve().parents[3] / "docs" / "data-mapping.md"
    rows = (
        document.read_text(encoding="utf-8").partition("| written |")[2].partition("\n\n")[0].splitlines()[2:]
    )
    assert rows == [f"| `{one.example}` | {one.does} |" for one in FILTERS.values()]


@pytest.mark.parametrize("name", FILTERS)
def test_the_example_of_each_filter_is_that_filter(name):
    token = compile_template(f"{{{{ account.id | {FILTERS[name].example} }}}}").only
    assert token is not None
    assert [call.name for call in token.filters] == [name]
