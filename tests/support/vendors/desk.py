"""A system of no vendor's, as many are at home: it answers 200 whatever happens, and a person may be in two teams."""

from __future__ import annotations

from typing import Any, ClassVar

from app.catalogue.kinds import SystemTemplate, TemplateQuestion, http, if_empty, if_known
from tests.support.vendors.base import Answer, Asked, Vendor, route

OK = [{"path": "$.ok", "is": "equal", "than": True}]
NOT_YET = {
    "attempts": 2,
    "wait_when": [{"path": "$.state", "is": "equal", "than": "pending"}],
    "poll": {"every_seconds": 5, "for_seconds": 60},
}


class Desk(Vendor):
    """Accounts and their seats in teams. `ignores` what it is asked to look for; `repeats` what it lists."""

    base: ClassVar[str] = "https://desk.example/api"

    def __init__(self) -> None:
        super().__init__()
        self.ignores = self.repeats = False
        self.pending = 0
        self.accounts: dict[str, dict[str, Any]] = {}
        self.seats: dict[str, dict[str, str]] = {}

    def error(self, status: int, message: str) -> Answer:
        return Answer(200, {"ok": False, "error": message})

    def seed(self, mail: str) -> str:
        number = f"u{next(self.numbers)}"
        self.accounts[number] = {"id": number, "mail": mail, "name": ""}
        return number

    def teams_of(self, number: str) -> list[str]:
        return sorted(one["team"] for one in self.seats.values() if one["account"] == number)

    @route("GET", "/accounts")
    def find(self, asked: Asked) -> Answer:
        found = [
            one for one in self.accounts.values() if self.ignores or one["mail"] == asked.query.get("mail")
        ]
        return Answer(200, {"ok": True, "accounts": found * (2 if self.repeats else 1)})

    @route("POST", "/accounts")
    def create(self, asked: Asked) -> Answer:
        if any(one["mail"] == asked.body["mail"] for one in self.accounts.values()):
            self.refuse(409, "mail_taken")
        number = self.seed(asked.body["mail"])
        self.accounts[number]["name"] = asked.body["name"]
        self.wrote(asked, number)
        return Answer(200, {"ok": True, "account": {"id": number}})

    @route("POST", "/seats")
    def join(self, asked: Asked) -> Answer:
        account, team = asked.body["account"], asked.body["team"]
        if account not in self.accounts:
            self.refuse(404, "no_such_account")
        number = f"s{next(self.numbers)}"
        self.seats[number] = {"id": number, "account": account, "team": team}
        self.wrote(asked, account)
        return Answer(200, {"ok": True, "seat": {"id": number}})

    @route("GET", "/seats/{number}")
    def seat(self, asked: Asked, number: str) -> Answer:
        if self.pending:
            self.pending -= 1
            return Answer(200, {"ok": True, "state": "pending"})
        return Answer(200, {"ok": True, "state": "there" if number in self.seats else "gone"})

    @route("DELETE", "/seats/{number}")
    def leave(self, asked: Asked, number: str) -> Answer:
        if number not in self.seats:
            self.refuse(404, "no_such_seat")
        seat = self.seats.pop(number)
        self.wrote(asked, seat["account"])
        return Answer(200, {"ok": True})


def grant(connection_id: str) -> list[dict[str, Any]]:
    mine = '$.accounts[?@.mail == "{{ grantee.email }}"].id'
    return [
        http(
            "find",
            "Find the account",
            connection_id,
            "GET",
            "/accounts",
            only_if=if_empty("account.id"),
            query={"mail": "{{ grantee.email }}"},
            expect=OK,
            capture={"id": {"path": mine, "same": True, "optional": True}},
        ),
        http(
            "create",
            "Create the account",
            connection_id,
            "POST",
            "/accounts",
            only_if=if_empty("account.id"),
            body={"mail": "{{ grantee.email }}", "name": '{{ grantee.first_name | default("") }}'},
            expect=OK,
            failure_reason="$.error",
            capture={"id": "$.account.id"},
        ),
        http(
            "join",
            "Join the team",
            connection_id,
            "POST",
            "/seats",
            body={"account": "{{ account.id }}", "team": "{{ grant.access_level }}"},
            expect=OK,
            failure_reason="$.error",
            capture={"seat": {"path": "$.seat.id", "keep": "grant"}},
        ),
        http(
            "ready",
            "Wait until the seat is there",
            connection_id,
            "GET",
            "/seats/{{ grant.kept.seat }}",
            retry=NOT_YET,
            expect=[*OK, {"path": "$.state", "is": "equal", "than": "there"}],
        ),
    ]


def revoke(connection_id: str) -> list[dict[str, Any]]:
    return [
        http(
            "leave",
            "Leave the team",
            connection_id,
            "DELETE",
            "/seats/{{ grant.kept.seat }}",
            only_if=if_known("grant.kept.seat"),
            # It says 200 whatever happens: the next step sees for itself.
        ),
        http(
            "gone",
            "See that the seat is gone",
            connection_id,
            "GET",
            "/seats/{{ grant.kept.seat }}",
            only_if=if_known("grant.kept.seat"),
            retry=NOT_YET,
            expect=[*OK, {"path": "$.state", "is": "equal", "than": "gone"}],
        ),
    ]


TEMPLATE = SystemTemplate(
    key="desk",
    name="Desk",
    vendor="Nobody",
    summary="Accounts and seats.",
    needs="Nothing.",
    credential="A token.",
    documented_at="",
    config={"auth": "bearer", "headers": {"Accept": "application/json"}},
    questions=(TemplateQuestion("base_url", "Base URL", ""),),
    grant=grant,
    revoke=revoke,
    revoke_policy="each_grant",
)
