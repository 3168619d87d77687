"""Workflows as YAML: a round trip is the identity, what is wrong names its line, no trick of YAML gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.mapping.context import Subject
from app.domain.runs.calls import ConnectionData
from app.domain.states import RunStatus
from app.domain.steps.human.step import HumanStep
from app.domain.steps.scope import Names
from app.domain.workflows.definition import Definition, canonical, parse_definition, to_json
from app.errors import Conflict
from app.queries.dry_run import try_out
from app.queries.samples import Sample
from app.schemas.workflow_file import BadFile, FileProblem, Head, read_file, with_ids, write_file
from app.schemas.yaml_text import MAX_BYTES, BadYaml, read, write
from tests.support.domain.step_strategies import bodies, definitions, words
from tests.support.domain.workflow_strategies import workflows
from tests.support.factories import NOW, http_step, human_step

# How fast the machine is says nothing about the code.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HEAD = Head("Jira", "Provision", "access_granted", "each_grant", "")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
# What YAML gives a meaning to, and what looks like something else than text.
TRICKY = st.text(" \n\t\r-:#|>{}[]'\"\\%@`*&!?,~é\u2028\x85", max_size=12) | st.sampled_from(
    [
        "yes",
        "No",
        "on",
        "null",
        "~",
        "08",
        "0x1f",
        "0o7",
        "1e3",
        ".5",
        "1_000",
        "12:30",
        "2026-01-01",
        "<<",
        "=",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | TRICKY, inner, max_size=3),
    max_leaves=10,
)
SUBJECT = Subject(
    trigger="access_granted",
    occurred_at=NOW,
    user_id=1,
    email="ada@example.org",
    first_name="Ada",
    last_name="Example",
    username=None,
    employee_id=None,
    application_id=1,
    application_name="Jira",
    grant_id=1,
    access_level="",
    granted_at=NOW,
    expires_at=None,
)
REACH = {
    1: ConnectionData(1, 1, "http", "API", {"base_url": "https://target.example", "auth": "none"}),
    2: ConnectionData(2, 1, "webhook", "Hook", {"url": "https://hook.example"}),
}


def names_for(definition: Definition, word: str = "Name") -> Names:
    """A name for each record that the steps refer to."""
    assignees = [one.assignee for one in definition.steps if isinstance(one, HumanStep)]
    connections = [one.connection_id for one in definition.steps if not isinstance(one, HumanStep)]
    users = {one.user_id for one in assignees if one.user_id}
    groups = {one.group_id for one in assignees if one.group_id}
    return Names(
        connections={one: f"{word} {at}" for at, one in enumerate(dict.fromkeys(connections))},
        users={one: f"user{one}@example.org" for one in users},
        groups={one: f"{word}: {one}" for one in groups},
    )


def imported(text: str, names: Names) -> Definition:
    definition, problems = parse_definition(with_ids(read_file(text), names))
    assert definition is not None, problems
    return definition


def through(definition: Definition, word: str = "Name") -> Definition:
    """The definition saved, exported and imported again."""
    saved, problems = parse_definition(json.loads(json.dumps(to_json(definition))))
    assert saved is not None, problems
    names = names_for(saved, word)
    text = write_file(HEAD, saved, names)
    back = imported(text, names)
    assert write_file(HEAD, back, names) == text
    assert imported(text.replace("\n", "\r\n"), names) == back or "\r" in text
    return back


def tried(definition: Definition) -> list[tuple[str, Any]]:
    """What a dry-run shows, as plain data."""
    found = try_out(definition, Sample(SUBJECT, {}), REACH)
    assert found.end in (
        RunStatus.SUCCEEDED,
        RunStatus.FAILED,
        RunStatus.COMPENSATED,
        RunStatus.WAITING_MANUAL,
    )
    return [(one.step.key, one.visit, one.request, one.prompt, tuple(one.warnings)) for one in found.steps]  # type: ignore[misc]


# Five workflows of each of 200 draws: drawing costs more than everything that is then done with them.
@settings(UNHURRIED, max_examples=200)
@given(workflows(), st.lists(st.tuples(bodies, words, TRICKY), min_size=5, max_size=5))
def test_a_thousand_valid_workflows_survive_save_export_import_and_dry_run(
    definition: Definition, contents: list[tuple[Any, str, str]]
) -> None:
    for turn in range(5):
        steps = to_json(definition)
        for at, step in enumerate(steps):
            body, name, tricky = contents[(turn + at) % 5]
            step["name"] = name
            if step["type"] == "human":
                step["prompt"] = f"For {{{{ grantee.email }}}}:\n{tricky}"
            else:
                step["body"] = {"drawn": body, tricky: "{{ grantee.last_name }}"}
        drawn, problems = parse_definition(steps)
        assert drawn is not None, problems
        back = through(drawn)
        assert canonical(back) == canonical(drawn)
        assert tried(back) == tried(drawn)


@settings(UNHURRIED, max_examples=100)
@given(definitions, TRICKY)
def test_every_field_survives_save_export_and_import(raw: list[Any], word: str) -> None:
    definition, _problems = parse_definition(raw)
    if definition is not None:
        assert canonical(through(definition, f"{word.strip()} x")) == canonical(definition)


@settings(UNHURRIED)
@given(VALUES)
def test_any_value_is_read_as_it_was_written(value: Any) -> None:
    assert json.dumps(read(write(value)).value) == json.dumps(value)


@settings(UNHURRIED)
@given(st.text(max_size=200) | st.text("-:[]{}&*!|>'\"# \n\tab\0%?", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    problems: list[FileProblem] = []
    try:
        read_file(text)
    except BadFile as refused:
        problems = refused.problems
    assert all(one.line >= 1 and one.message for one in problems)


FILE = """# Ours
format: 2
application: Jira
name: Provision
trigger: access_granted
steps:
- key: create
  type: http
  connection: jira api
  method: POST
  path: /Users
  body:
    userName: "{{ grantee.email }}"
    country: no
- key: ask
  type: human
  prompt: |
    Which team?
    See the wiki.
  assignee:
    group: IT desk
"""
KNOWN = Names(connections={"4": "Jira API"}, groups={"7": "IT desk"}, users={"9": "ann@example.org"})


def problems_of(text: str) -> list[str]:
    with pytest.raises(BadFile) as refusal:
        with_ids(read_file(text), KNOWN)
    return [one.words for one in refusal.value.problems]


def test_a_hand_written_file_is_read_by_name() -> None:
    create, ask = with_ids(read_file(FILE), KNOWN)
    assert isinstance(create, dict)
    assert isinstance(ask, dict)
    assert create["connection_id"] == "4"
    # YAML 1.1 would have read false: Norway is a country.
    assert create["body"] == {"userName": "{{ grantee.email }}", "country": "no"}
    assert (ask["prompt"], ask["assignee"]) == ("Which team?\nSee the wiki.\n", {"group_id": "7"})


def test_what_is_written_reads_well() -> None:
    steps = [http_step(connection_id=4), human_step(assignee={"user_id": "9"}, prompt="First\n\nSecond")]
    definition, _ = parse_definition(steps)
    assert definition is not None
    text = write_file(HEAD, definition, KNOWN)
    assert "connection: Jira API\n" in text
    assert "    userName: '{{ grantee.email }}'\n" in text
    assert "  prompt: |-\n    First\n\n    Second\n" in text
    assert "    user: ann@example.org\n" in text
    assert "_id" not in text


def test_a_record_that_is_gone_cannot_be_named() -> None:
    definition, _ = parse_definition([http_step(connection_id=5)])
    assert definition is not None
    with pytest.raises(Conflict, match="The connection of “Create” does not exist any more"):
        write_file(HEAD, definition, KNOWN)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (("jira api", "Jira APl"), "Line 9: steps[0].connection: There is no connection “Jira APl” in this"),
        (("connection: jira api", "connection_id: 4"), "Line 9: steps[0].connection_id: Name the connection"),
        (
            ("connection: jira api", "connection: 4"),
            "Line 9: steps[0].connection: Give the connection's name",
        ),
        (("group: IT desk", "group_id: 7"), "Line 21: steps[1].assignee.group_id: Name who does it instead"),
        (("group: IT desk", "user: no@example.org"), "Line 21: steps[1].assignee.user: There is no person"),
        (("format: 2", "format: 3"), "Line 2: format: This console reads format 2"),
        (
            ("format: 2", "formt: 2"),
            "Line 2: formt: A workflow's file has no such field. Did you mean “format”?",
        ),
        (("steps:", "stepz:"), "Line 2: steps: Give the steps as a list"),
        (
            ("name: Provision", "name: Provision\nname: Other"),
            "Line 5: “name” is given twice; the first is on",
        ),
        (("body:", "body: &x"), "Line 12: Anchors (&) are not taken"),
        (("country: no", "country: *x"), "Line 14: Aliases (*) are not taken"),
        (("country: no", "country: !!python/object/apply:os.system [ls]"), "Line 14: Tags (!) are not taken"),
        (("country: no", "country: .nan"), "Line 14: .nan is no number that can be sent."),
        (("  method", "\tmethod"), "Line 10: This is not YAML"),
        (("# Ours", "# Ours\n---\na: 1\n---"), "Line 4: A second document begins here"),
    ],
)
def test_what_is_wrong_names_its_line(changed: tuple[str, str], problem: str) -> None:
    assert any(one.startswith(problem) for one in problems_of(FILE.replace(*changed, 1))), problems_of(
        FILE.replace(*changed, 1)
    )


def test_every_wrong_name_is_told_at_once() -> None:
    text = FILE.replace("jira api", "x").replace("IT desk", "y")
    assert [one.partition(":")[0] for one in problems_of(text)] == ["Line 9", "Line 21"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "- a",
        "just words",
        "a: [" + "[" * 100 + "]" * 100 + "]",
        "{a: " * 100_000,
        "[" * 1_000_000,
        "x: " + "y" * (MAX_BYTES + 1),
        "a: [" + "1," * 200_001 + "]",
        "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]",
        "? [a]\n: b",
        "a: \0",
        "a: 1" + "0" * 400,
        "<<: {a: 1}",
        FILE.partition("steps:")[0] + "steps:\n" + "- {connection: x}\n" * 51,
        FILE + "".join(f"odd{number}: 1\n" for number in range(5_000)),
    ],
)
def test_hostile_and_empty_files_are_refused_in_words(text: str) -> None:
    assert 1 <= len(problems_of(text)) <= 100


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(BadYaml, match="half of a character"):
        read("a: \ud800")
