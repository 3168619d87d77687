"""Jira Cloud's REST API 3 for users (developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-users and
api-group-user-search, /rate-limiting, read 2026-12-01).
"""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any, ClassVar

from tests.support.vendors.base import Answer, Asked, Vendor, route

PRODUCTS = {"jira-core", "jira-servicedesk", "jira-product-discovery", "jira-software"}


class Jira(Vendor):
    """A site. Who is removed from it keeps their Atlassian account, which is then shown as not active."""

    base: ClassVar[str] = "https://acme.atlassian.example"
    user: ClassVar[str] = "admin@example.org"

    def __init__(self, *, ignores_filters: bool = False) -> None:
        super().__init__()
        self.ignores_filters = ignores_filters
        self.users: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()

    def seed(self, email: str, *, active: bool = True) -> str:
        """Somebody who has an Atlassian account, on this site or not."""
        number = f"5b10a{next(self.numbers):06d}"
        self.users[number] = {
            "accountId": number,
            "accountType": "atlassian",
            "emailAddress": email,
            "displayName": email,
            "active": active,
        }
        return number

    def delete(self, number: str) -> None:
        """The Atlassian account is deleted."""
        del self.users[number]

    def is_on(self, number: str) -> bool:
        return number in self.users and bool(self.users[number]["active"])

    def signed_in(self, asked: Asked) -> bool:
        pair = base64.b64encode(f"{self.user}:{self.credential}".encode()).decode()
        return asked.headers.get("authorization") == f"Basic {pair}"

    def error(self, status: int, message: str) -> Answer:
        return Answer(status, {"errorMessages": [message], "errors": {}})

    def nothing_there(self) -> Answer:
        return Answer(404, page="<html><body>Oops, you've found a dead link.</body></html>")

    @route("GET", "/rest/api/3/myself")
    def myself(self, asked: Asked) -> Answer:
        return Answer(200, {"accountId": "5b10admin", "active": True})

    @route("GET", "/rest/api/3/user")
    def read(self, asked: Asked) -> Answer:
        return Answer(200, self._shown(self._user(asked)))

    @route("GET", "/rest/api/3/user/search")
    def search(self, asked: Asked) -> Answer:
        query = asked.query.get("query", "").lower()
        found = [one for one in self.users.values() if one["active"]]
        if not self.ignores_filters:
            found = [one for one in found if one["emailAddress"].lower().startswith(query)]
        return Answer(200, [self._shown(one) for one in found[: int(asked.query.get("maxResults", 50))]])

    @route("POST", "/rest/api/3/user")
    def create(self, asked: Asked) -> Answer:
        email, products = asked.body.get("emailAddress"), asked.body.get("products")
        if not email or not isinstance(products, list) or not set(products) <= PRODUCTS:
            self.refuse(400, "emailAddress and products are required.")
        found = next(
            (one for one in self.users.values() if one["emailAddress"].lower() == email.lower()), None
        )
        if found and not found["active"] and not products:
            self.refuse(400, "The user exists and no new product was asked for.")
        user = found or self.users[self.seed(email)]
        user["active"] = True
        self.wrote(asked, user["accountId"])
        return Answer(201, self._shown(user))

    @route("DELETE", "/rest/api/3/user")
    def remove(self, asked: Asked) -> Answer:
        user = self._user(asked)
        user["active"] = False
        self.wrote(asked, user["accountId"])
        return Answer(204)

    def _user(self, asked: Asked) -> dict[str, Any]:
        number = asked.query.get("accountId", "")
        if not number:
            self.refuse(400, "The query parameter accountId is required.")
        if number not in self.users:
            self.refuse(404, "Specified user does not exist or you do not have required permissions")
        return self.users[number]

    def _shown(self, user: dict[str, Any]) -> dict[str, Any]:
        shown = deepcopy(user)
        if user["accountId"] in self.hidden:
            del shown["emailAddress"]
        return shown
