"""An account has one person: what an answer says of it is held against what is known of everybody else's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, String, cast, select

from app.domain.json_reader import Json
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass
from app.models import ExternalAccount, User
from app.queries.run_facts import Loaded

# What names an account, and not something that several people may have.
ID = "id"
# As the index has it, and as text also where the database keeps a number.
KNOWN_ID = cast(ExternalAccount.captured[ID].as_string(), String)
# An application, and the id of an account in it as text.
_Account = tuple[int, str]
# A person by id, and their email.
_Owner = tuple[int, str]


def believed(connection: Connection, answers: Sequence[tuple[m.Signal, Loaded | None]]) -> list[m.Signal]:
    """The signals, but for answers that name an account which is known as somebody else's: those are `wrong_account`.

    Nothing of such an answer is kept.  One statement for all, none where no answer names an account.
    """
    named: dict[_Account, int] = {}
    for signal, loaded in answers:
        if loaded is not None and (account := _named(signal, loaded)) is not None:
            named.setdefault(account, loaded.row.user_id)
    others = _owners(connection, named) if named else {}
    return [_looked_at(signal, loaded, named, others) for signal, loaded in answers]


def owner_of(connection: Connection, application_id: int, user_id: int, value: Json) -> str | None:
    """Whose account the id is known as, by email, where it is another person's."""
    account = (application_id, str(value))
    others = _owners(connection, [account]).get(account, ())
    return next((email for other, email in others if other != user_id), None)


def _named(signal: m.Signal, loaded: Loaded) -> _Account | None:
    """The account that an answer names for its person, of a step that says it finds the same one."""
    if not isinstance(signal, m.Answered) or not signal.outcome.captured:
        return None
    step, value = loaded.step(signal.step), signal.outcome.captured.get(ID)
    says = step is not None and any(rule.name == ID and rule.same for rule in step.keeps)
    return (loaded.row.application_id, str(value)) if says and value not in (None, "") else None


def _owners(connection: Connection, accounts: Collection[_Account]) -> dict[_Account, list[_Owner]]:
    """Who is known to have each of these accounts; whose access was taken away has it no more."""
    found: dict[_Account, list[_Owner]] = {}
    rows = connection.execute(
        select(ExternalAccount.application_id, KNOWN_ID, ExternalAccount.user_id, User.email)
        .join(User, User.id == ExternalAccount.user_id)
        .where(
            ExternalAccount.application_id.in_(sorted({application for application, _ in accounts})),
            KNOWN_ID.in_(sorted({value for _, value in accounts})),
            ExternalAccount.state != "deprovisioned",
        )
    )
    for application, value, user_id, email in rows:
        found.setdefault((application, value), []).append((user_id, email))
    return found


def _looked_at(
    signal: m.Signal,
    loaded: Loaded | None,
    named: Mapping[_Account, int],
    others: Mapping[_Account, Sequence[_Owner]],
) -> m.Signal:
    account = _named(signal, loaded) if loaded is not None else None
    if account is None or loaded is None or not isinstance(signal, m.Answered):
        return signal
    whose = next((email for user_id, email in others.get(account, ()) if user_id != loaded.row.user_id), None)
    # Of two who learn of one account at once, only the first is believed.
    if whose is None and named[account] == loaded.row.user_id:
        return signal
    detail = f"{ID} is known as the account of {whose or 'somebody else'}: nothing more was done with it."
    status = signal.outcome.http_status
    wrong = Outcome.failed(FailureClass.WRONG_ACCOUNT, http_status=status, detail=detail)
    return replace(signal, outcome=wrong)
