"""Microsoft Graph 1.0 for users, with the directory's token endpoint (learn.microsoft.com/graph/api/user-get,
user-list, user-update, user-revokesigninsessions, /graph/errors, /graph/throttling, read 2026-12-01).
"""

from __future__ import annotations

import re
import uuid
from typing import Any, ClassVar

from tests.support.vendors.base import Answer, Asked, Refused, Vendor, route

_FILTER = re.compile(r"(mail|userPrincipalName) eq '((?:[^']|'')*)'")


class EntraTokens(Vendor):
    """Where the app registration signs in."""

    base: ClassVar[str] = "https://login.entra.example/tenant/oauth2/v2.0"

    def signed_in(self, asked: Asked) -> bool:
        return True

    def error(self, status: int, message: str) -> Answer:
        return Answer(status, {"error": "invalid_client", "error_description": message})

    @route("POST", "/token")
    def token(self, asked: Asked) -> Answer:
        given = asked.body.get("client_secret"), asked.body.get("grant_type")
        if given != (self.credential, "client_credentials"):
            self.refuse(401, "AADSTS7000215: Invalid client secret provided.")
        return Answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": "graph-token"})


class Entra(Vendor):
    """`may` are the application permissions that an administrator has consented to."""

    base: ClassVar[str] = "https://graph.microsoft.example/v1.0"

    def __init__(self, *, ignores_filters: bool = False) -> None:
        super().__init__()
        self.ignores_filters = ignores_filters
        self.may = {"User.Read.All", "User.EnableDisableAccount.All", "User.RevokeSessions.All"}
        self.users: dict[str, dict[str, Any]] = {}
        self.signed_out: list[str] = []

    def seed(self, email: str, **given: Any) -> str:
        """An account as HR's feed makes them."""
        number = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{email}-{next(self.numbers)}"))
        self.users[number] = {
            "id": number,
            "userPrincipalName": email,
            "mail": email,
            "accountEnabled": True,
            "displayName": email,
        } | given
        return number

    def delete(self, number: str) -> None:
        """An administrator removes it behind our back."""
        del self.users[number]

    def is_on(self, number: str) -> bool:
        return number in self.users and bool(self.users[number]["accountEnabled"])

    def signed_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == "Bearer graph-token"

    def error(self, status: int, message: str, code: str = "Request_BadRequest") -> Answer:
        return Answer(
            status, {"error": {"code": code, "message": message, "innerError": {"request-id": "r"}}}
        )

    def not_signed_in(self) -> Answer:
        return self.error(401, "Access token is empty.", "InvalidAuthenticationToken")

    def nothing_there(self) -> Answer:
        return self.error(400, "Resource not found for the segment.", "BadRequest")

    @route("GET", "/users")
    def search(self, asked: Asked) -> Answer:
        self._needs("User.Read.All")
        found = _FILTER.fullmatch(asked.query.get("$filter", ""))
        if "$filter" in asked.query and not found:
            raise Refused(self.error(400, "Invalid filter clause", "BadRequest"))
        users = list(self.users.values())
        if found and not self.ignores_filters:
            wanted = found[2].replace("''", "'").lower()
            users = [one for one in users if (one[found[1]] or "").lower() == wanted]
        shown = users[: int(asked.query.get("$top", 100))]
        context = f"{self.base}/$metadata#users"
        return Answer(200, {"@odata.context": context, "value": [self._shown(asked, one) for one in shown]})

    @route("GET", "/users/{number}")
    def read(self, asked: Asked, number: str) -> Answer:
        self._needs("User.Read.All")
        return Answer(200, self._shown(asked, self._user(number)))

    @route("PATCH", "/users/{number}")
    def update(self, asked: Asked, number: str) -> Answer:
        user = self._user(number)
        if set(asked.body) != {"accountEnabled"} or not isinstance(asked.body["accountEnabled"], bool):
            self.refuse(400, "Invalid value specified for property.")
        self._needs("User.EnableDisableAccount.All")
        user["accountEnabled"] = asked.body["accountEnabled"]
        self.wrote(asked, user["id"])
        return Answer(204)

    @route("POST", "/users/{number}/revokeSignInSessions")
    def sign_out(self, asked: Asked, number: str) -> Answer:
        user = self._user(number)
        self._needs("User.RevokeSessions.All")
        self.signed_out.append(user["id"])
        self.wrote(asked, user["id"])
        return Answer(200, {"@odata.context": f"{self.base}/$metadata#Edm.Boolean", "value": True})

    def _needs(self, permission: str) -> None:
        if not self.may & {permission, "User.ReadWrite.All"}:
            message = "Insufficient privileges to complete the operation."
            raise Refused(self.error(403, message, "Authorization_RequestDenied"))

    def _shown(self, asked: Asked, user: dict[str, Any]) -> dict[str, Any]:
        # accountEnabled is not among what is given by default.
        default = "displayName,mail,userPrincipalName,id"
        return {name: user[name] for name in asked.query.get("$select", default).split(",")}

    def _user(self, number: str) -> dict[str, Any]:
        for one in self.users.values():
            if number.lower() in (one["id"], one["userPrincipalName"].lower()):
                return one
        raise Refused(self.error(404, f"Resource '{number}' does not exist.", "Request_ResourceNotFound"))
