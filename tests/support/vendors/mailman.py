"""GNU Mailman 3's REST API 3.1 for members (docs.mailman3.org/projects/mailman, Membership, read 2026-12-01).

The words of its errors are those of the package mailman 3.3.
"""

from __future__ import annotations

import base64
import fnmatch
from typing import Any, ClassVar

from tests.support.vendors.base import Answer, Asked, Vendor, route


class Mailman(Vendor):
    """Several lists on one server; a member is one address on one list, and has a number of its own."""

    base: ClassVar[str] = "https://mailman.example/3.1"

    def __init__(self, *, ignores_filters: bool = False) -> None:
        super().__init__()
        self.ignores_filters = ignores_filters
        self.lists = {"staff.example.org", "news.example.org"}
        self.members: dict[str, dict[str, str]] = {}

    def seed(self, email: str, list_id: str = "staff.example.org") -> str:
        """Somebody who is on a list already."""
        number = f"9{next(self.numbers):05d}"
        self.members[number] = {
            "member_id": number,
            "email": email,
            "list_id": list_id,
            "role": "member",
            "self_link": f"{self.base}/members/{number}",
        }
        return number

    def delete(self, number: str) -> None:
        """They leave by themselves."""
        del self.members[number]

    def is_on(self, number: str) -> bool:
        return number in self.members

    def on(self, list_id: str) -> list[str]:
        return sorted(one["email"] for one in self.members.values() if one["list_id"] == list_id)

    def signed_in(self, asked: Asked) -> bool:
        pair = base64.b64encode(f"restadmin:{self.credential}".encode()).decode()
        return asked.headers.get("authorization") == f"Basic {pair}"

    def error(self, status: int, message: str) -> Answer:
        return Answer(status, {"title": f"{status}", "description": message})

    @route("GET", "/system/versions")
    def versions(self, asked: Asked) -> Answer:
        return Answer(200, {"mailman_version": "GNU Mailman 3.3.10", "api_version": "3.1"})

    @route("GET", "/members/find")
    def find(self, asked: Asked) -> Answer:
        found = list(self.members.values())
        if not self.ignores_filters:
            found = [one for one in found if self._meets(one, asked.query)]
        listed: dict[str, Any] = {"start": 0, "total_size": len(found), "http_etag": '"e"'}
        return Answer(200, listed | ({"entries": [dict(one) for one in found]} if found else {}))

    @route("POST", "/members")
    def subscribe(self, asked: Asked) -> Answer:
        if "application/x-www-form-urlencoded" not in asked.headers.get("content-type", ""):
            self.refuse(400, "Missing Parameter: list_id, subscriber")
        known = {"list_id", "subscriber", "display_name", "pre_verified", "pre_confirmed", "pre_approved"}
        if unknown := set(asked.body) - known:
            self.refuse(400, f"Unexpected parameters: {', '.join(unknown)}")
        list_id, email = asked.body.get("list_id"), asked.body.get("subscriber")
        if list_id not in self.lists:
            self.refuse(400, "No such list")
        if not email or "@" not in email:
            self.refuse(400, "Invalid email address")
        if any(one["list_id"] == list_id and one["email"] == email.lower() for one in self.members.values()):
            self.refuse(409, "Member already subscribed")
        if {asked.body.get(name) for name in ("pre_verified", "pre_confirmed", "pre_approved")} != {"true"}:
            return Answer(202, {"token": "0" * 40, "token_owner": "subscriber"})
        number = self.seed(email.lower(), list_id)
        self.wrote(asked, number)
        return Answer(201, None, {"Location": f"{self.base}/members/{number}"})

    @route("GET", "/members/{number}")
    def read(self, asked: Asked, number: str) -> Answer:
        if number not in self.members:
            self.refuse(404, "404 Not Found")
        return Answer(200, dict(self.members[number]))

    @route("DELETE", "/members/{number}")
    def unsubscribe(self, asked: Asked, number: str) -> Answer:
        if number not in self.members:
            self.refuse(404, "404 Not Found")
        del self.members[number]
        self.wrote(asked, number)
        return Answer(204)

    def _meets(self, member: dict[str, str], query: dict[str, str]) -> bool:
        wanted = {"list_id": "list_id", "role": "role"}
        same = all(member[name] == query.get(asked, member[name]) for name, asked in wanted.items())
        # An asterisk stands for anything.
        return same and fnmatch.fnmatch(member["email"], query.get("subscriber", "*").lower())
