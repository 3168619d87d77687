"""Slack's SCIM API 2.0 (docs.slack.dev/reference/scim-api and /rate-limits, read 2026-12-01).

Its own user names, filters by `userName` and `email` alone, ten members a page, errors as one word in `detail`, and
DELETE that deactivates.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from tests.support.vendors.base import Answer, Asked, Refused, route
from tests.support.vendors.scim import ERROR, Scim


class Slack(Scim):
    base: ClassVar[str] = "https://api.slack.com/scim/v2"
    content: ClassVar[str] = "application/json"
    filters: ClassVar[tuple[str, ...]] = ("userName", "email")
    page: ClassVar[int] = 10

    def __init__(self, *, ignores_filters: bool = False) -> None:
        super().__init__(ignores_filters=ignores_filters, required=("emails",))

    def error(self, status: int, message: str, scim_type: str = "") -> Answer:
        return Answer(status, {"schemas": [ERROR], "detail": message, "status": status})

    @route("POST", "/Users")
    def create(self, asked: Asked) -> Answer:
        if "@" in asked.body.get("displayName", ""):
            raise Refused(self.error(400, "invalid_name_specials"))
        asked.body["userName"] = _slack_name(asked.body.get("userName", ""))
        asked.body.pop("externalId", None)
        return super().create(asked)

    @route("PATCH", "/Users/{number}")
    def patch(self, asked: Asked, number: str) -> Answer:
        if any(one.get("path") in ("displayName", "externalId") for one in asked.body.get("Operations", [])):
            raise Refused(self.error(400, "invalid_display_name"))
        return super().patch(asked, number)

    @route("DELETE", "/Users/{number}")
    def deactivate(self, asked: Asked, number: str) -> Answer:
        self._user(number)["active"] = False
        self.wrote(asked, number)
        return Answer(204)

    def _equals(self, user: dict[str, Any], attribute: str, wanted: str) -> bool:
        if attribute == "email":
            return any(one["value"].lower() == wanted.lower() for one in user["emails"])
        return super()._equals(user, attribute, wanted)

    def _check(self, user: dict[str, Any], number: str | None) -> None:
        others = [one for key, one in self.users.items() if key != number]
        mine = {one["value"].lower() for one in user["emails"]}
        if any(entry["value"].lower() in mine for one in others for entry in one["emails"]):
            raise Refused(self.error(409, "email_taken"))
        if any(one["userName"] == user["userName"] for one in others):
            raise Refused(self.error(409, "username_taken"))

    def new_id(self) -> str:
        return f"U0{next(self.numbers):07d}"

    def seed(self, email: str, **given: Any) -> str:
        return super().seed(email, userName=_slack_name(email), **given)


def _slack_name(given: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "_", given.lower())[:21]
