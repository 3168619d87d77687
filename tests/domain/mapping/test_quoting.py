"""Where a value could leave its place in another language, the author is told which filter keeps it in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.mapping.quoting import quoting_warnings
from app.domain.mapping.templates import MappingError, compile_template
from tests.support.domain.findings import http, human, warnings

QUOTES = "A value that holds a quotation mark could leave its quotes here: write "


def proposed(text: str, field: str = "query.filter") -> list[str]:
    """What each warning tells to write, or the filter where it tells more."""
    return [
        message.partition("write ")[2].partition("}}")[0] + "}}"
        for _, _, message in quoting_warnings(field, text)
    ]


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ('userName eq "{{ account.a }}"', "account.a | scim"),
        ('emails[value co "{{ account.a | lower }}"]', "account.a | lower | scim"),
        ('userName eq "{{ account.a | scim | upper }}"', "account.a | upper | scim"),
        ('userName eq "{{ account.a | scim | truncate(3) }}"', "account.a | truncate(3) | scim"),
        ('userName eq "{{ account.a | xml }}"', "account.a | scim"),
        ('email="{{ account.a | default("a\\"b") }}"', 'account.a | default("a\\"b") | json'),
        ('"{{ account.a }}"', "account.a | json"),
        ('mutation { add(user: "{{ account.a }}") { id } }', "account.a | json"),
        ('{"a": ["{{ account.a }}"]}', "account.a | json"),
        ('{"query": "{ user(name: \\"{{ account.a }}\\") }"}', "account.a | json | json"),
        ("(&(objectClass=user)(uid={{ account.a }}*))", "account.a | ldap"),
        ("(uid={{ account.a | scim }})", "account.a | ldap"),
        ("<name>{{ account.a }}</name>", "account.a | xml"),
        ("<user name='{{ account.a }}'/>", "account.a | xml"),
        ("mail eq '{{ account.a }}'", "account.a | slug"),
        ("startswith(mail,'{{ account.a | json }}')", "account.a | slug"),
        ("SELECT Id FROM User WHERE Alias LIKE '%{{ account.a }}%'", "account.a | slug"),
        ('{ user(bio: """{{ account.a }}""") }', "account.a | slug"),
        ("id eq {{ account.a }}", "account.a | number"),
        ("{ user(id: {{ account.a }}) }", "account.a | number"),
    ],
)
def test_a_value_that_could_leave_its_place_is_warned_of_with_the_filter_that_keeps_it_in(text, write):
    assert proposed(text, "body.text") == [f"{{{{ {write} }}}}"]


@pytest.mark.parametrize(
    "text",
    [
        "{{ account.a }}",
        'userName eq "{{ account.a | scim }}"',
        'userName eq "{{ account.a | lower | json | default("") | omit_empty }}"',
        'userName eq "{{ account.a | slug | upper | truncate(8) }}"',
        'externalId eq "{{ grantee.id }}" and x eq "{{ grant.expires_at }}"',
        "id eq {{ account.a | number }}",
        "mail eq '{{ account.a | md5 }}'",
        '{ user(name: "{{ account.a | json }}") }',
        '{"query": "{ user(name: \\"{{ account.a | json | json }}\\") }"}',
        "(uid={{ account.a | ldap }})",
        "<name>{{ account.a | xml | default('<b/>') }}</name>",
        'Say "hello" to {{ account.a }}, who isn\'t "new"',
        'The one called "{{ account.a }}" said: don\'t',
        "role:{{ account.a }}",
        "{{ account.a }} {{ account.b }}",
    ],
)
def test_what_cannot_leave_its_place_or_is_in_no_language_is_no_matter(text):
    assert quoting_warnings("body.text", text) == []


@given(
    st.lists(
        st.sampled_from([*"\"'\\()[]{}<>=: \n", '"""', " eq ", "uid=", "</a>", "a", "{{ account.a }}"])
    ).map("".join)
)
def test_any_text_is_looked_through(text):
    try:
        compile_template(text)
    except MappingError:
        return
    found = quoting_warnings("body.text", text)
    assert {name for name, _, _ in found} <= {"account.a"}
    kept = text.replace("{{ account.a }}", "{{ account.a | md5 }}")
    assert quoting_warnings("body.text", kept) == []


def test_saving_warns_at_the_field_and_leaves_what_people_read_alone():
    text = 'userName eq "{{ grantee.username }}" or nickName eq "{{ grantee.username }}"'
    step = http(
        "find",
        query={"filter": text},
        headers={"X-Arg": '{"who": "{{ grantee.email }}"}'},
        capture={"id": "$.id"},
    )
    assert warnings(step) == [
        ("steps[0].query.filter", QUOTES + "{{ grantee.username | scim }}."),
        ("steps[0].headers.X-Arg", QUOTES + "{{ grantee.email | json }}."),
    ]
    assert warnings(http("find", path="/Users('{{ grantee.email }}')"))[0][0] == "steps[0].path"
    assert warnings(human("ask", prompt=text)) == []
