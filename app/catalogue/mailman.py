"""GNU Mailman 3 by its REST API 3.1: list members subscribed and unsubscribed, one list a grant.

docs.mailman3.org/projects/mailman (REST API: Membership), read 2026-12-01. A member is one address on one list and
has an id of its own, which is kept with the grant.
"""

from __future__ import annotations

from typing import Any

from app.catalogue.kinds import (
    ASKS_FOR_JSON,
    OR_NOTHING,
    Step,
    SystemTemplate,
    TemplateQuestion,
    go_to,
    http,
    if_empty,
    if_known,
    in_passing,
    look,
    none_at,
)

REASON = {"failure_reason": "$.description"}


def find(key: str, name: str, connection_id: str, **more: Any) -> Step:
    """The membership of this address on this list; an asterisk in an address would stand for anything."""
    others = (
        '$.entries[?@.email != "{{ grantee.email }}" || @.list_id != "{{ grant.access_level }}"].member_id'
    )
    more["expect"] = [
        {"path": "$.total_size", "is": "less", "than": 2},
        none_at(others),
        *more.get("expect", []),
    ]
    wanted = {"list_id": "{{ grant.access_level }}", "subscriber": "{{ grantee.email }}", "role": "member"}
    return look(key, name, connection_id, "/members/find", query=wanted, **REASON, **more)


def leave(key: str, name: str, connection_id: str, member: str, **more: Any) -> Step:
    path = f"/members/{{{{ {member} }}}}"
    return http(key, name, connection_id, "DELETE", path, only_if=if_known(member), **REASON, **more)


def grant(connection_id: str) -> list[Step]:
    return [
        http(
            "subscribe",
            "Subscribe to the list",
            connection_id,
            "POST",
            "/members",
            body={
                "list_id": "{{ grant.access_level }}",
                "subscriber": "{{ grantee.email }}",
                "display_name": '{{ grantee.first_name | default("") }} {{ grantee.last_name | default("") }}',
                "pre_verified": "true",
                "pre_confirmed": "true",
                "pre_approved": "true",
            },
            body_format="form",
            # 409: already a member, which is what was wanted.
            success_statuses=["200-299", 409],
            idempotent=True,
            **REASON,
        ),
        find(
            "lookup",
            "Find the membership",
            connection_id,
            capture={"member_id": {"path": "$.entries[*].member_id", "keep": "grant"}},
        ),
    ]


def revoke(connection_id: str) -> list[Step]:
    found = {"path": "$.entries[*].member_id", "keep": False, "optional": True}
    return [
        look(
            "member",
            "Look at the membership",
            connection_id,
            "/members/{{ grant.kept.member_id }}",
            only_if=if_known("grant.kept.member_id"),
            capture={"id": in_passing("$.member_id")},
            on_status={"404": go_to("lookup")},
            **REASON,
        ),
        leave("unsubscribe", "Unsubscribe", connection_id, "steps.member.id", success_statuses=OR_NOTHING),
        # Whoever has this address now may be somebody who was given it.
        find(
            "gone",
            "Make sure that nobody is left",
            connection_id,
            only_if=if_known("steps.member.id"),
            expect=[{"path": "$.total_size", "is": "equal", "than": 0}],
        ),
        # Whom a grant without automation is about, or who came back by themselves.
        find(
            "lookup",
            "Look who is on the list",
            connection_id,
            only_if=if_empty("steps.member.id"),
            capture={"member_id": found},
        ),
        leave("leave", "Unsubscribe who was found", connection_id, "steps.lookup.member_id"),
    ]


TEMPLATE = SystemTemplate(
    key="mailman",
    name="GNU Mailman 3",
    vendor="GNU Mailman",
    summary="Subscribes the person to the list that the access level names; unsubscribes on revoke.",
    needs="The access level of a grant is the list's id, such as staff.example.org; a person may have a grant for "
    "each of several lists, one a list. The REST API is internal by design: EGRESS_ALLOW must list it.",
    credential="The REST password (admin_pass).",
    documented_at="docs.mailman3.org, REST API, read 2026-12-01",
    config={
        "auth": "basic",
        "username": "restadmin",
        "headers": ASKS_FOR_JSON,
        "health_path": "/system/versions",
    },
    questions=(
        TemplateQuestion(
            "base_url", "Base URL", "Host and port of the REST server.", "http://localhost:8001/3.1"
        ),
        TemplateQuestion("username", "User name", "The REST user (admin_user).", "restadmin"),
    ),
    grant=grant,
    revoke=revoke,
    revoke_policy="each_grant",
)
