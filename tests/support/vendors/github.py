"""GitHub's REST API for members of an organisation (docs.github.com/rest/orgs/members, /rest/users/users,
/rest/using-the-rest-api/rate-limits-for-the-rest-api, read 2026-12-01).
"""

from __future__ import annotations

from typing import Any, ClassVar

from tests.support.vendors.base import Answer, Asked, Vendor, route

VERSIONS = ("2022-11-28", "2026-03-10")


class GitHub(Vendor):
    """Logins are compared without regard to case and can be given up; the number of a user stays."""

    base: ClassVar[str] = "https://api.github.example"

    def __init__(self) -> None:
        super().__init__()
        self.logins: dict[int, str] = {}
        self.members: dict[int, dict[str, str]] = {}
        self.join("the-owner", role="admin")

    def seed(self, login: str) -> int:
        """Somebody who has an account at GitHub."""
        number = 1000 + next(self.numbers)
        self.logins[number] = login
        return number

    def join(self, login: str, role: str = "member") -> int:
        """Somebody who is in the organisation already."""
        number = self.seed(login)
        self.members[number] = {"role": role, "state": "active"}
        return number

    def is_on(self, number: int) -> bool:
        return number in self.members

    def error(self, status: int, message: str) -> Answer:
        body = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        }
        return Answer(status, body)

    def too_many(self) -> Answer:
        answer = self.error(403, "API rate limit exceeded for user ID 1.")
        return Answer(403, answer.body, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1772366430"})

    def too_fast(self) -> Answer:
        """The secondary limit."""
        answer = self.error(429, "You have exceeded a secondary rate limit.")
        return Answer(429, answer.body, {"Retry-After": "60"})

    def _handle(self, asked: Asked) -> Answer:
        if asked.headers.get("x-github-api-version") not in VERSIONS:
            return self.error(400, "This API version is not supported")
        return super()._handle(asked)

    @route("GET", "/user/{number}")
    def by_number(self, asked: Asked, number: str) -> Answer:
        if not number.isdecimal() or int(number) not in self.logins:
            self.refuse(404, "Not Found")
        return Answer(200, self._shown(int(number)))

    @route("GET", "/users/{login}")
    def by_login(self, asked: Asked, login: str) -> Answer:
        return Answer(200, self._shown(self._number(login)))

    @route("GET", "/orgs/acme")
    def organisation(self, asked: Asked) -> Answer:
        return Answer(200, {"login": "acme", "id": 1})

    @route("GET", "/orgs/acme/memberships/{login}")
    def membership(self, asked: Asked, login: str) -> Answer:
        number = self._number(login)
        if number not in self.members:
            self.refuse(404, "Not Found")
        return Answer(200, self._membership(number))

    @route("PUT", "/orgs/acme/memberships/{login}")
    def set_membership(self, asked: Asked, login: str) -> Answer:
        number, role = self._number(login), (asked.body or {}).get("role", "member")
        if role not in ("member", "admin"):
            self.refuse(422, "Validation Failed")
        known = self.members.get(number, {"state": "pending"})
        self.members[number] = known | {"role": role}
        self.wrote(asked, number)
        return Answer(200, self._membership(number))

    @route("DELETE", "/orgs/acme/memberships/{login}")
    def remove(self, asked: Asked, login: str) -> Answer:
        number = self._number(login)
        if number not in self.members:
            self.refuse(404, "Not Found")
        del self.members[number]
        self.wrote(asked, number)
        return Answer(204)

    def _number(self, login: str) -> int:
        for number, known in self.logins.items():
            if known.lower() == login.lower():
                return number
        self.refuse(404, "Not Found")
        raise AssertionError

    def _shown(self, number: int) -> dict[str, Any]:
        return {"login": self.logins[number], "id": number, "type": "User"}

    def _membership(self, number: int) -> dict[str, Any]:
        return self.members[number] | {
            "user": self._shown(number),
            "organization": {"login": "acme", "id": 1},
        }
