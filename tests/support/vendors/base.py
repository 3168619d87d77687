"""What every double has in common: routes below one base path, sign-in, a ledger of writes, and answers on demand.

A double answers a request of the one HTTP client by itself, without a socket. Whatever is asked beside its base path
gets a page in HTML, as from a web server; an id is never given twice.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from urllib3 import HTTPHeaderDict

from app.connectors.http import HttpClient
from app.connectors.messages import CallFailed, Reply, Request
from app.domain.states import FailureClass

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a vendor reads it; a query parameter that is given twice counts by its last value."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` goes out as JSON; `page` as HTML in its place."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    page: str = ""


class Refused(Exception):
    """The vendor does not do it, and says so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.body)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Write:
    """Something that was changed: whose account it was, and by which call."""

    method: str
    path: str
    whose: str


Handler = Callable[..., Answer]
NOT_HERE = Answer(404, page="<html><body><h1>Not Found</h1></body></html>")


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Marks what answers `method` at `path`, such as `/users/{id}`; each name is an argument, decoded."""

    def marked(handler: Handler) -> Handler:
        pattern = re.compile("".join(_piece(part) for part in re.split(r"({\w+})", path)))
        handler.route = (method, pattern)  # type: ignore[attr-defined]
        return handler

    return marked


def _piece(part: str) -> str:
    return rf"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)


class Vendor:
    """One vendor. `base` is where it is reached; `instead` holds the answers of the next calls.

    What it answers to the next call of a method in `loses` does not arrive, though it has done what it was asked.
    """

    base: ClassVar[str]
    content: ClassVar[str] = JSON
    credential: ClassVar[str] = "t0ken-of-the-console"

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.writes: list[Write] = []
        self.asked: list[Asked] = []
        self.instead: deque[Answer] = deque()
        self.loses: list[str] = []
        found = [getattr(type(self), name, None) for name in dir(type(self))]
        self._routes = [(*one.route, one) for one in found if hasattr(one, "route")]

    # What the vendor itself says
    def signed_in(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {self.credential}"

    def error(self, status: int, message: str) -> Answer:
        """How this vendor words a refusal."""
        raise NotImplementedError

    def not_signed_in(self) -> Answer:
        return self.error(401, "Bad credentials")

    def too_many(self) -> Answer:
        """Its answer to one that asks too often."""
        answer = self.error(429, "Too many requests")
        return Answer(429, answer.body, {"Retry-After": "20"})

    # What it does with a request
    def refuse(self, status: int, message: str) -> None:
        raise Refused(self.error(status, message))

    def wrote(self, asked: Asked, whose: object) -> None:
        self.writes.append(Write(asked.method, asked.path, str(whose)))

    def touched(self) -> set[str]:
        """Whose accounts were written to."""
        return {one.whose for one in self.writes}

    def send(self, request: Request) -> Reply:
        answer = self._answer(request)
        if request.method in self.loses:
            self.loses.remove(request.method)
            raise CallFailed(FailureClass.TIMEOUT, True, "No answer came in time.")
        raw = (
            answer.page.encode()
            if answer.page
            else b""
            if answer.body is None
            else json.dumps(answer.body).encode()
        )
        kind = "text/html; charset=utf-8" if answer.page else self.content
        headers = HTTPHeaderDict({**({"Content-Type": kind} if raw else {}), **answer.headers})
        return Reply(answer.status, headers, raw, False, 1)

    def _answer(self, request: Request) -> Answer:
        url = urlsplit(request.url)
        path = f"{url.scheme}://{url.netloc}{url.path}".removeprefix(self.base)
        if path.startswith("https://"):
            return NOT_HERE
        try:
            asked = self._read(request, path, url.query)
            self.asked.append(asked)
            if self.instead:
                return self.instead.popleft()
            if not self.signed_in(asked):
                return self.not_signed_in()
            return self._handle(asked)
        except Refused as refused:
            return refused.answer

    def _read(self, request: Request, path: str, query: str) -> Asked:
        headers = {name.lower(): value for name, value in request.headers.items()}
        pairs = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
        body: Any = None
        if request.body:
            kind = headers.get("content-type", "")
            if kind.startswith("application/x-www-form-urlencoded"):
                body = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
            elif "json" in kind:
                body = json.loads(request.body)
            else:
                self.refuse(415, "Unsupported media type")
        return Asked(request.method, path, pairs, headers, body)

    def _handle(self, asked: Asked) -> Answer:
        there = False
        for method, pattern, handler in self._routes:
            if found := pattern.fullmatch(asked.path):
                there = True
                if method == asked.method:
                    names = {name: unquote(value) for name, value in found.groupdict().items()}
                    answer: Answer = handler(self, asked, **names)
                    return answer
        return self.error(405, "Method not allowed") if there else self.nothing_there()

    def nothing_there(self) -> Answer:
        """What it says of a path below its base that it does not know."""
        return self.error(404, "Not found")


class Net(HttpClient):
    """The HTTP client with vendors for an outside world."""

    def __init__(self, *vendors: Vendor) -> None:
        self._vendors = vendors

    def close(self) -> None:
        """There is nothing to close."""

    def send(self, request: Request) -> Reply:
        host = urlsplit(request.url).netloc
        for one in self._vendors:
            if urlsplit(one.base).netloc == host:
                return one.send(request)
        raise AssertionError(f"nobody answers at {host}")
