"""Which tokens may be named, and what is said about the others."""

from __future__ import annotations

import pytest

from app.domain.mapping.tokens import KNOWN_TOKENS, Scope, check_template

SCOPE = Scope(
    outputs={"create": ("id", "login"), "tell": ()},
    account_names=frozenset({"id"}),
    too_late=frozenset({"steps.last.id"}),
)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ grantee.emial }}", "grantee.emial is not available. Did you mean grantee.email?"),
        ("{{ Grantee.Email }}", "Grantee.Email is not available. Did you mean grantee.email?"),
        ("{{ steps.create.idd }}", "steps.create.idd is not available. Did you mean steps.create.id?"),
        ("{{ steps.made_long_ago.id }}", "steps.made_long_ago.id is not available. Did you mean account.id?"),
        (
            "{{ steps.last.id }}",
            "steps.last.id is not available here: its step cannot have run before this one.",
        ),
        (
            "{{ event.zzzzzzzzzzzz }}",
            "event.zzzzzzzzzzzz is not available. Choose from event.id, event.trigger, event.occurred_at.",
        ),
        (
            "{{ steps.create.zzzzzzzz }}",
            "steps.create.zzzzzzzz is not available. The step create keeps id, login.",
        ),
        ("{{ steps.tell.zzzzzzzz }}", "steps.tell.zzzzzzzz is not available. The step tell keeps no values."),
        ("{{ zzzzzzzzzzzz }}", "zzzzzzzzzzzz is not available."),
        ("{ grantee.email }}", "“}}” closes nothing: open the token with {{."),
    ],
)
def test_an_unknown_token_is_answered_with_the_nearest_real_one(template, problem):
    assert check_template(template, SCOPE) == [problem]


def test_each_known_token_is_accepted_as_are_outputs_and_any_account_name():
    known = [*KNOWN_TOKENS, "steps.create.id", "account.id", "account.later", "grant.kept.id"]
    assert check_template(" ".join(f"{{{{ {name} }}}}" for name in known), SCOPE) == []
    assert check_template('{"a":{"b":"{{ grantee.email }}"}}', SCOPE) == []


def test_problems_of_one_template_are_counted_once_each_and_are_few():
    assert len(check_template("{{ a.b }}" * 1000, SCOPE)) == 1
    assert len(check_template("".join(f"{{{{ a.b{n} }}}}" for n in range(1000)), SCOPE)) == 10


def test_what_is_kept_with_the_grant_is_offered_with_the_grant():
    scope = Scope(kept_names=frozenset({"team", "membership"}))
    offered = [name for name in scope.available if name.startswith("grant.")]
    assert offered[-2:] == ["grant.kept.membership", "grant.kept.team"]
