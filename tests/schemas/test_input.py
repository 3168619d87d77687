"""What input is taken, and what is said about the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.errors import Invalid
from app.schemas.applications import ApplicationIn
from app.schemas.base import parse
from app.schemas.grants import CancelIn, GrantIn, GrantPatch, RetryIn
from app.schemas.people import MembersIn, RoleIn, TokenIn, UserIn, UserPatch
from app.schemas.workflows import VersionIn, WorkflowIn


def refused(model: type[Any], data: object) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse(model, data)
    return {error.field: error.message for error in caught.value.errors}


def application(**fields: object) -> ApplicationIn:
    return parse(ApplicationIn, {"name": "Jira", **fields})


def test_every_refused_field_is_named_at_once() -> None:
    errors = refused(ApplicationIn, {"name": " ", "vendor": "v" * 201, "critical": "maybe"})
    assert errors == {
        "name": "Enter a name.",
        "vendor": "Use at most 200 characters.",
        "critical": "This must be true or false.",
    }


def test_a_missing_name_is_asked_for_in_the_same_words() -> None:
    assert refused(ApplicationIn, {}) == {"name": "Enter a name."}


def test_an_unknown_field_is_refused_with_the_nearest_known_one() -> None:
    errors = refused(ApplicationIn, {"name": "Jira", "vender": "Atlassian"})
    assert errors == {"vender": "There is no field “vender” here. Did you mean vendor?"}


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_what_is_no_object_is_refused_as_a_whole(data: object) -> None:
    assert refused(ApplicationIn, data) == {"": "Send an object of fields and values."}


def test_text_is_trimmed_and_composed() -> None:
    assert application(vendor="  Cafe\u0301 ").vendor == "Café"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\0b", "It holds a NUL character."),
        ("a\ud800", "It holds half of a character (a lone surrogate)."),
        ("a\x1b[31m", "Leave out control characters."),
        ("two\nlines", "Write this on one line."),
    ],
)
def test_text_that_cannot_be_stored_or_shown_is_refused(text: str, message: str) -> None:
    assert refused(ApplicationIn, {"name": text}) == {"name": message}


def test_notes_may_have_lines_and_keep_one_kind_of_line_end() -> None:
    assert application(notes="one\r\ntwo\rthree").notes == "one\ntwo\nthree"


def test_limits_count_characters_and_hold_exactly() -> None:
    assert len(application(description="é" * 2000).description) == 2000
    assert refused(ApplicationIn, {"name": "x", "description": "é" * 2001}) == {
        "description": "Use at most 2,000 characters."
    }


@pytest.mark.parametrize(
    "url", ["https://jira.example.com/#/login", "http://10.0.0.8:8080", "jira.example.com", ""]
)
def test_an_application_is_found_at_a_web_address_or_bare_host(url: str) -> None:
    assert application(url=url).url == url


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "ftp://files.example", "https://u:p@host.example", "no host"]
)
def test_an_address_that_is_no_safe_link_is_refused(url: str) -> None:
    assert "url" in refused(ApplicationIn, {"name": "x", "url": url})


def test_an_email_is_kept_in_lower_case() -> None:
    assert parse(UserIn, {"email": " Ana@Example.COM "}).email == "ana@example.com"


@pytest.mark.parametrize("email", ["", "ana", "ana@", "@x.org", "a b@x.org", "a@x..org", "a@b@c.org"])
def test_what_is_no_email_address_is_refused(email: str) -> None:
    assert "email" in refused(UserIn, {"email": email})


def test_a_person_without_a_role_may_do_nothing() -> None:
    assert parse(UserIn, {"email": "a@x.org"}).role == "viewer"


def test_a_role_is_one_of_three() -> None:
    assert refused(UserIn, {"email": "a@x.org", "role": "root"}) == {
        "role": "Choose one of: admin, member, viewer."
    }


def test_a_change_knows_which_fields_were_sent() -> None:
    assert parse(UserPatch, {"username": None}).given() == {"username": ""}
    assert refused(UserPatch, {"email": None}) == {"email": "Enter an email address."}


@pytest.mark.parametrize(("sent", "read"), [("7", 7), (7, 7), (str(2**63 - 1), 2**63 - 1)])
def test_an_id_is_digits_as_text_or_a_number(sent: object, read: int) -> None:
    assert parse(GrantIn, {"application_id": sent, "user_id": "1"}).application_id == read


@pytest.mark.parametrize("sent", ["0", "-1", "1.5", "x", str(2**63), "9" * 500, True, 1.0, [], "٣"])
def test_what_is_no_id_is_refused(sent: object) -> None:
    assert "application_id" in refused(GrantIn, {"application_id": sent, "user_id": "1"})


def test_a_missing_id_is_asked_for() -> None:
    assert refused(GrantIn, {"application_id": ""}) == {
        "application_id": "Choose an application.",
        "user_id": "Choose a person.",
    }


def test_a_time_means_one_moment() -> None:
    grant = parse(
        GrantIn, {"application_id": "1", "user_id": "1", "expires_at": "2026-11-30T10:00:00.5+01:00"}
    )
    assert grant.expires_at == datetime(2026, 11, 30, 9, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "sent", ["2026-11-30", "2026-11-30T09:00:00", "2026-13-30T09:00:00Z", "0001-01-01T00:00:00+14:00", 5, "x"]
)
def test_a_time_without_a_zone_or_meaning_is_refused(sent: object) -> None:
    assert "expires_at" in refused(GrantPatch, {"expires_at": sent})


def test_null_takes_an_expiry_away() -> None:
    assert parse(GrantPatch, {"expires_at": None}).given() == {"expires_at": None}


def test_a_member_is_listed_once_and_a_bad_one_by_place() -> None:
    assert parse(MembersIn, {"user_ids": ["2", 2, "1"]}).user_ids == [2, 1]
    assert refused(MembersIn, {"user_ids": ["1", "x"]}) == {"user_ids[1]": "This is no id: ids are digits."}
    assert refused(MembersIn, {"user_ids": "1"}) == {"user_ids": "This must be a list."}


def test_permissions_are_known_ones() -> None:
    assert parse(RoleIn, {"permissions": ["grant:write", "grant:read", "grant:read"]}).permissions == [
        "grant:read",
        "grant:write",
    ]
    assert refused(RoleIn, {"permissions": ["grant:fly"]}) == {
        "permissions": "There is no permission “grant:fly”."
    }
    assert refused(TokenIn, {"name": "ci", "permissions": []}) == {"permissions": "Give at least one."}


def test_a_reason_is_needed_to_cancel() -> None:
    assert refused(CancelIn, {"reason": " \n "}) == {"reason": "Enter a reason."}


def test_overrides_do_not_show_themselves() -> None:
    assert "hunter2" not in repr(parse(RetryIn, {"overrides": {"password": "hunter2"}}))


def test_a_policy_belongs_to_its_trigger() -> None:
    revoke = {"name": "Deprovision", "trigger": "access_revoked"}
    assert parse(WorkflowIn, revoke).policy == "last_active_grant"
    assert refused(WorkflowIn, {**revoke, "grant_policy": "each_grant"}) == {
        "grant_policy": "A workflow for Access revoked has a revoke_policy instead."
    }
    assert refused(WorkflowIn, {**revoke, "revoke_policy": "first_active_grant"}) == {
        "revoke_policy": "Choose one of: last_active_grant, each_grant."
    }


def test_steps_are_any_json_here_but_must_be_there() -> None:
    assert parse(VersionIn, {"steps": [{"key": "a"}], "based_on": "3"}).based_on == 3
    assert refused(VersionIn, {}) == {"steps": "This is needed."}
