"""What to expect of an answer, proposed from its shape: many systems answer 200 and say that they failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.json_reader import Json
from app.domain.steps.conditions import Condition, Conditions, Is, is_blank


@dataclass(frozen=True, slots=True)
class Shape:
    """A way in which systems say how it went. `known_as` names it where it is offered without an answer."""

    expect: Conditions
    failure_reason: str = ""
    known_as: str = ""

    @property
    def words(self) -> str:
        """What a step expects then: `$.ok is true`."""
        return " and ".join(one.words for one in self.expect)


SHAPES: Mapping[str, Shape] = {
    "ok": Shape((Condition("$.ok", Is.EQUAL, True),), "$.error", "Slack: ok"),
    "errors": Shape((Condition("$.errors", Is.EMPTY),), "$.errors[*].message", "GraphQL: errors"),
    "rpc": Shape((Condition("$.error", Is.EMPTY),), "$.error.message", "JSON-RPC: error"),
    "success": Shape((Condition("$.success", Is.EQUAL, True),)),
    "error": Shape((Condition("$.error", Is.EMPTY),)),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What an answer says of itself, in words, and which of `SHAPES` holds others to it. `failed`: it says no."""

    shape: str
    words: str
    failed: bool


def noticed(answer: Json) -> list[Notice]:
    """How the answer says whether it worked, beyond its status."""
    if not isinstance(answer, dict):
        return []
    found: list[Notice] = []
    for name in ("ok", "success"):
        said = answer.get(name)
        if isinstance(said, bool) or said in ("true", "false"):
            word = str(said).lower()
            found.append(_notice(name, f"{name}: {word}", failed=word == "false"))
    if "errors" in answer:
        found.append(_member("errors", "errors", answer))
    if "jsonrpc" in answer or "error" in answer:
        found.append(_member("rpc" if "jsonrpc" in answer else "error", "error", answer))
    return found


def _member(shape: str, name: str, answer: Mapping[str, Json]) -> Notice:
    failed = not is_blank(answer.get(name))
    return _notice(shape, f"it holds {name}" if failed else f"no {name}", failed=failed)


def _notice(shape: str, said: str, *, failed: bool) -> Notice:
    question = "Shall it count as a success?" if failed else "Shall every answer have to?"
    return Notice(shape, f"This one says {said}. {question}", failed)
