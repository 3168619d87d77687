"""A client of the API that checks of every answer what all answers promise."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

PREFIX = "/api/v1"
PROBLEM = {"type", "title", "status", "detail", "code", "errors", "instance"}


@dataclass(frozen=True)
class World:
    """The ids of what the `world` fixture made. There is no task and no bulk retry in it."""

    user: int
    application: int
    connection: int
    workflow: int
    group: int
    grant: int
    run: int
    task: int = 1
    bulk_retry: int = 1

    def fill(self, path: str) -> str:
        """`/grants/{grant_id}` with this world's ids."""
        return path.format(**{f"{name}_id": number for name, number in asdict(self).items()})


class ApiClient:
    """Sends requests with one token ("" sends none)."""

    def __init__(self, app: Flask, secret: str) -> None:
        self.app = app
        self.secret = secret

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        """The answer, whatever it is; problems are checked for their shape."""
        sent = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        data = raw if raw is not None else (json.dumps(body) if body is not None else None)
        if data is not None:
            sent["Content-Type"] = "application/json"
        address = path if path.startswith("/") and path.startswith(PREFIX) else f"{PREFIX}{path}"
        answer = self.app.test_client().open(
            address, method=method, data=data, headers={**sent, **(headers or {})}
        )
        assert answer.headers.get("X-Request-ID")
        assert "Set-Cookie" not in answer.headers
        if answer.status_code >= 400:
            assert answer.mimetype == "application/problem+json", answer.get_data(as_text=True)
            document = answer.get_json(force=True)
            assert set(document) >= PROBLEM
            assert document["status"] == answer.status_code
            assert all(set(one) == {"field", "message"} for one in document["errors"])
        return answer

    def expect(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The decoded answer, which must have this status; None for an empty one."""
        answer = self.send(method, path, body, **more)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json(force=True) if answer.data else None

    def get(self, path: str, status: int = 200) -> Any:
        return self.expect(status, "GET", path)

    def post(self, path: str, body: Any = None, status: int = 201, **more: Any) -> Any:
        return self.expect(status, "POST", path, body, **more)

    def patch(self, path: str, body: Any, status: int = 200) -> Any:
        return self.expect(status, "PATCH", path, body)

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        return self.expect(status, "PUT", path, body)

    def delete(self, path: str, status: int = 204) -> Any:
        return self.expect(status, "DELETE", path)
