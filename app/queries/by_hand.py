"""What a person can give for a failed step: the values that it would have kept, and those that it goes by."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.mapping.templates import compile_template
from app.domain.mapping.tokens import KEPT, is_account, is_kept
from app.domain.states import FailureClass
from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition
from app.models import ExternalAccount, Grant, Run


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value that somebody may type. `field` says how, of a step that asks a person; `many`: it is a list.

    `hint` says what is known of it.
    """

    name: str
    label: str
    required: bool
    many: bool = False
    field: Mapping[str, Any] | None = None
    hint: str = ""

    @property
    def choices(self) -> list[tuple[str, str]]:
        """What a choice is made from, for a form."""
        return [("", "Choose…"), *((one, one) for one in (self.field or {}).get("options", ()))]


def wanted_of(step: Step | None) -> list[Wanted]:
    """What `step` would have captured, or what it asks a person for."""
    if step is None:
        return []
    if step.call is not None:
        return [Wanted(one.name, one.name, not one.optional, one.many) for one in step.call.captures]
    return [
        Wanted(one.name, one.label, one.required, field={"type": one.type.value, "options": one.options})
        for one in step.asks_for
    ]


def lacking(wanted: Collection[Wanted], found: Collection[str]) -> list[Wanted]:
    """What of it is not known yet."""
    return [one for one in wanted if one.name not in found]


def known_to(session: Session, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is known of the account of the run's person, and what is kept with its grant."""
    of_pair = (ExternalAccount.user_id == run.user_id, ExternalAccount.application_id == run.application_id)
    account = session.scalar(select(ExternalAccount.captured).where(*of_pair))
    kept = session.scalar(select(Grant.kept).where(Grant.id == run.grant_id))
    return account or {}, kept or {}


def typeable(definition: Definition) -> tuple[list[Wanted], list[Wanted]]:
    """What the steps name, or keep, of the account and of the grant: all that may be typed for a run of them."""
    named = {token: False for step in definition.steps for token, _ in _tokens(step)}
    for step in definition.steps:
        named |= {("account." if one.keep == "account" else KEPT) + one.name: one.many for one in step.keeps}
    account = [
        Wanted(one.removeprefix("account."), one, False, many)
        for one, many in named.items()
        if is_account(one)
    ]
    kept = [Wanted(one.removeprefix(KEPT), one, False, many) for one, many in named.items() if is_kept(one)]
    return account, kept


def asked_of(
    step: Step | None, run: Run, account: Mapping[str, Any], kept: Mapping[str, Any]
) -> list[Wanted]:
    """What somebody should type so that the failed `step` can go on, under `account.<name>` and `kept.<name>`.

    That is what it names and nobody knows; where another account was found, what is known and is contradicted.
    """
    if step is None:
        return []
    if run.failure_class == FailureClass.WRONG_ACCOUNT:
        same = [f"account.{one.name}" for one in step.keeps if one.same]
        return [
            Wanted(one, one, False, hint=f"Known: {account.get(one.removeprefix('account.'), 'nothing')}.")
            for one in same
        ]
    asked: dict[str, Wanted] = {}
    for token, needed in _tokens(step):
        home, name = (
            (account, token.removeprefix("account."))
            if is_account(token)
            else (kept, token.removeprefix(KEPT))
        )
        if home.get(name) in (None, "", []):
            field = token if is_account(token) else f"kept.{name}"
            asked[token] = Wanted(field, token, needed or (token in asked and asked[token].required))
    return list(asked.values())


def _tokens(step: Step) -> Iterator[tuple[str, bool]]:
    """The values kept with the account or the grant that its request names, and whether it goes without them."""
    for field, text in step.texts():
        if not field.startswith("only_if"):
            for token in compile_template(text).tokens:
                if is_account(token.name) or is_kept(token.name):
                    yield token.name, not token.optional
