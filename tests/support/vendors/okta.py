"""Okta's Users and User Lifecycle APIs (developer.okta.com/docs/api/openapi/okta-management,
/docs/reference/error-codes, /docs/reference/rl-best-practices, read 2026-12-01; what a deactivated user
answers: issue 721 of okta/okta-sdk-java).
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, ClassVar

from tests.support.vendors.base import Answer, Asked, Refused, Vendor, route

REQUIRED = ("firstName", "lastName", "email", "login")
_SEARCH = re.compile(r'profile\.(login|email) eq "((?:[^"\\]|\\.)*)"')


class Okta(Vendor):
    """`slow` is after how many calls an activation is done: it is asynchronous."""

    base: ClassVar[str] = "https://acme.okta.example"

    def __init__(self, *, ignores_filters: bool = False, slow: int = 0) -> None:
        super().__init__()
        self.ignores_filters, self.slow = ignores_filters, slow
        self.users: dict[str, dict[str, Any]] = {}
        self.mails: list[str] = []
        self._activating: dict[str, int] = {}

    def seed(self, email: str, status: str = "ACTIVE", **profile: str) -> str:
        """A user whom somebody else made."""
        known = {"firstName": "Some", "lastName": "Body", "email": email, "login": email} | profile
        return self._kept(known, status)["id"]

    def delete(self, number: str) -> None:
        """An administrator removes it behind our back."""
        del self.users[number]

    def is_on(self, number: str) -> bool:
        return number in self.users and self.users[number]["status"] in ("ACTIVE", "PROVISIONED")

    def signed_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"SSWS {self.credential}"

    def error(self, status: int, message: str, code: str = "E0000001", *causes: str) -> Answer:
        listed = [{"errorSummary": one} for one in causes]
        body = {"errorCode": code, "errorSummary": message, "errorLink": code, "errorCauses": listed}
        return Answer(status, body | {"errorId": f"oae{next(self.numbers)}"})

    def not_signed_in(self) -> Answer:
        return self.error(401, "Invalid token provided", "E0000011")

    def too_many(self) -> Answer:
        answer = self.error(429, "API call exceeded rate limit due to too many requests.", "E0000047")
        headers = {
            "X-Rate-Limit-Limit": "600",
            "X-Rate-Limit-Remaining": "0",
            "X-Rate-Limit-Reset": "1772366430",
        }
        return Answer(429, answer.body, headers)

    def nothing_there(self) -> Answer:
        return Answer(404, page="<html><body>Page not found</body></html>")

    @route("GET", "/api/v1/users/me")
    def me(self, asked: Asked) -> Answer:
        return Answer(200, {"id": "00uadmin", "status": "ACTIVE"})

    @route("GET", "/api/v1/users")
    def search(self, asked: Asked) -> Answer:
        text = asked.query.get("search", asked.query.get("filter", ""))
        found = _SEARCH.fullmatch(text)
        if text and not found:
            raise Refused(self.error(400, "Invalid search criteria.", "E0000031"))
        users = [deepcopy(one) for one in self.users.values()]
        if found and not self.ignores_filters:
            users = [one for one in users if one["profile"][found[1]].lower() == found[2].lower()]
        return Answer(200, users)

    @route("POST", "/api/v1/users")
    def create(self, asked: Asked) -> Answer:
        profile = asked.body.get("profile", {})
        self._check(profile, None)
        active = asked.query.get("activate", "true") == "true"
        user = self._kept(profile, "PROVISIONED" if active else "STAGED")
        self.wrote(asked, user["id"])
        if active:
            self.mails.append(profile["email"])
        return Answer(200, user)

    @route("GET", "/api/v1/users/{number}")
    def read(self, asked: Asked, number: str) -> Answer:
        return Answer(200, deepcopy(self._user(number)))

    @route("POST", "/api/v1/users/{number}")
    def update(self, asked: Asked, number: str) -> Answer:
        user = self._changeable(number)
        profile = user["profile"] | asked.body.get("profile", {})
        self._check(profile, user["id"])
        user["profile"] = profile
        self.wrote(asked, user["id"])
        return Answer(200, deepcopy(user))

    @route("POST", "/api/v1/users/{number}/lifecycle/activate")
    def activate(self, asked: Asked, number: str) -> Answer:
        user = self._user(number)
        if user["status"] not in ("STAGED", "DEPROVISIONED"):
            message = "Activation failed because the user is already active"
            raise Refused(self.error(403, message, "E0000016"))
        self.wrote(asked, user["id"])
        if asked.query.get("sendEmail", "true") == "true":
            self.mails.append(user["profile"]["email"])
        if self.slow:
            self._activating[user["id"]] = self.slow
            user["transitioningToStatus"] = "ACTIVE"
        else:
            user["status"] = "PROVISIONED"
        return Answer(200, {})

    @route("POST", "/api/v1/users/{number}/lifecycle/reactivate")
    def reactivate(self, asked: Asked, number: str) -> Answer:
        user = self._user(number)
        if user["status"] not in ("PROVISIONED", "RECOVERY"):
            message = "This operation is not allowed in the user's current status."
            raise Refused(self.error(403, message, "E0000038"))
        self.wrote(asked, user["id"])
        if asked.query.get("sendEmail", "false") == "true":
            self.mails.append(user["profile"]["email"])
        return Answer(200, {})

    @route("POST", "/api/v1/users/{number}/lifecycle/deactivate")
    def deactivate(self, asked: Asked, number: str) -> Answer:
        user = self._changeable(number)
        user["status"] = "DEPROVISIONED"
        self.wrote(asked, user["id"])
        return Answer(200, {})

    def _user(self, number: str) -> dict[str, Any]:
        for one in self.users.values():
            if number == one["id"] or number.lower() == one["profile"]["login"].lower():
                self._go_on(one)
                return one
        raise Refused(self.error(404, f"Not found: Resource not found: {number} (User)", "E0000007"))

    def _go_on(self, user: dict[str, Any]) -> None:
        left = self._activating.pop(user["id"], 0)
        if left > 1:
            self._activating[user["id"]] = left - 1
        elif left:
            user |= {"status": "PROVISIONED", "transitioningToStatus": None}

    def _changeable(self, number: str) -> dict[str, Any]:
        user = self._user(number)
        if user["status"] == "DEPROVISIONED":
            raise Refused(self.error(404, f"Not found: Resource not found: {number} (User)", "E0000007"))
        return user

    def _check(self, profile: dict[str, str], number: str | None) -> None:
        missing = [f"{name}: The field cannot be left blank" for name in REQUIRED if not profile.get(name)]
        if missing:
            raise Refused(self.error(400, f"Api validation failed: {missing[0]}", "E0000001", *missing))
        login = profile["login"].lower()
        if any(
            one["id"] != number and one["profile"]["login"].lower() == login for one in self.users.values()
        ):
            cause = "login: An object with this field already exists in the current organization"
            raise Refused(self.error(400, "Api validation failed: login", "E0000001", cause))

    def _kept(self, profile: dict[str, str], status: str) -> dict[str, Any]:
        number = f"00u{next(self.numbers):06d}"
        self.users[number] = {
            "id": number,
            "status": status,
            "transitioningToStatus": None,
            "profile": dict(profile),
        }
        return deepcopy(self.users[number])
