"""A SCIM 2.0 service: RFC 7643 §4.1, §8.2 (user), RFC 7644 §3.3 to §3.12 (calls and errors), read 2026-12-01."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any, ClassVar

from tests.support.vendors.base import Answer, Asked, Refused, Vendor, route

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_FILTER = re.compile(r'([\w.]+) eq ("(?:[^"\\]|\\.)*")')


class Scim(Vendor):
    """`required` are the attributes without which it makes no account, as some services demand more than userName."""

    base: ClassVar[str] = "https://scim.example/v2"
    content: ClassVar[str] = "application/scim+json"
    filters: ClassVar[tuple[str, ...]] = ("userName", "externalId", "id")
    page: ClassVar[int] = 100

    def __init__(
        self, *, ignores_filters: bool = False, required: tuple[str, ...] = ("displayName",)
    ) -> None:
        super().__init__()
        self.ignores_filters, self.required = ignores_filters, required
        self.users: dict[str, dict[str, Any]] = {}

    def seed(self, email: str, **given: Any) -> str:
        """An account that somebody else made; its id."""
        user = {"userName": email, "active": True, "emails": [{"value": email, "primary": True}]} | given
        return self._kept(user)["id"]

    def delete(self, number: str) -> None:
        """An administrator removes it behind our back."""
        del self.users[number]

    def is_on(self, number: str) -> bool:
        return number in self.users and bool(self.users[number]["active"])

    def error(self, status: int, message: str, scim_type: str = "") -> Answer:
        kind = {"scimType": scim_type} if scim_type else {}
        return Answer(status, {"schemas": [ERROR], "status": str(status), "detail": message, **kind})

    def wrong(self, message: str, scim_type: str, status: int = 400) -> Refused:
        return Refused(self.error(status, message, scim_type))

    @route("GET", "/ServiceProviderConfig")
    def config(self, asked: Asked) -> Answer:
        return Answer(200, {"patch": {"supported": True}, "filter": {"supported": True, "maxResults": 200}})

    @route("POST", "/Users")
    def create(self, asked: Asked) -> Answer:
        if asked.body.get("schemas") != [USER]:
            raise self.wrong("schemas must name the User schema", "invalidSyntax")
        for name in ("userName", *self.required):
            if not _at(asked.body, name):
                raise self.wrong(f"{name} is required", "invalidValue")
        self._check(asked.body, None)
        user = self._kept({"active": True, **asked.body})
        self.wrote(asked, user["id"])
        return Answer(201, user, {"Location": f"{self.base}/Users/{user['id']}"})

    @route("GET", "/Users")
    def search(self, asked: Asked) -> Answer:
        found = [one for one in self.users.values() if self._meets(one, asked.query.get("filter", ""))]
        start, count = int(asked.query.get("startIndex", 1)), int(asked.query.get("count", self.page))
        shown = found[start - 1 : start - 1 + min(count, self.page)]
        listed = {"Resources": deepcopy(shown)} if shown else {}
        body = {
            "schemas": [LIST],
            "totalResults": len(found),
            "startIndex": start,
            "itemsPerPage": len(shown),
        }
        return Answer(200, body | listed)

    @route("GET", "/Users/{number}")
    def read(self, asked: Asked, number: str) -> Answer:
        return Answer(200, deepcopy(self._user(number)))

    @route("PATCH", "/Users/{number}")
    def patch(self, asked: Asked, number: str) -> Answer:
        user = deepcopy(self._user(number))
        if asked.body.get("schemas") != [PATCH] or not asked.body.get("Operations"):
            raise self.wrong("this is no PatchOp", "invalidSyntax")
        for one in asked.body["Operations"]:
            self._operate(user, one)
        self._check(user, number)
        self.users[number] = user
        self.wrote(asked, number)
        return Answer(200, deepcopy(user))

    def _operate(self, user: dict[str, Any], operation: dict[str, Any]) -> None:
        if operation.get("op") not in ("add", "replace") or "value" not in operation:
            raise self.wrong("an operation is add or replace, with a value", "invalidSyntax")
        path, value = operation.get("path"), operation["value"]
        if path not in ("active", "userName", "displayName", "externalId", "emails", "name"):
            raise self.wrong(f"no such attribute: {path}", "invalidPath")
        if isinstance(value, dict):
            value = user.get(path, {}) | value
        if path == "active" and not isinstance(value, bool):
            raise self.wrong("active is true or false", "invalidValue")
        user[path] = value

    def _meets(self, user: dict[str, Any], text: str) -> bool:
        if not text or self.ignores_filters:
            return True
        found = _FILTER.fullmatch(text)
        if not found or found[1] not in self.filters:
            raise self.wrong("this filter is not supported", "invalidFilter")
        return self._equals(user, found[1], _unquoted(found[2]))

    def _equals(self, user: dict[str, Any], attribute: str, wanted: str) -> bool:
        value = str(user.get(attribute, ""))
        # userName is compared without regard to case, ids and externalId with it (RFC 7643 §4.1.1, §3.1).
        return value.lower() == wanted.lower() if attribute == "userName" else value == wanted

    def _check(self, user: dict[str, Any], number: str | None) -> None:
        for place, value in _texts(user):
            if not value.strip():
                raise self.wrong(f"{place} is empty", "invalidValue")
        others = [one for key, one in self.users.items() if key != number]
        if any(one["userName"].lower() == user["userName"].lower() for one in others):
            raise self.wrong("this userName is taken", "uniqueness", 409)

    def _user(self, number: str) -> dict[str, Any]:
        if number not in self.users:
            raise Refused(self.error(404, f"Resource {number} not found"))
        return self.users[number]

    def _kept(self, user: dict[str, Any]) -> dict[str, Any]:
        number = self.new_id()
        self.users[number] = {**deepcopy(user), "id": number}
        return deepcopy(self.users[number])

    def new_id(self) -> str:
        return f"scim-{next(self.numbers)}"


def _at(user: dict[str, Any], dotted: str) -> Any:
    value: Any = user
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _texts(value: Any, at: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [one for name, inner in value.items() for one in _texts(inner, f"{at}.{name}".lstrip("."))]
    if isinstance(value, list):
        return [one for inner in value for one in _texts(inner, at)]
    return [(at, value)] if isinstance(value, str) else []


def _unquoted(text: str) -> str:
    return str(json.loads(text))
