"""Short ways to write steps and to check them."""

from __future__ import annotations

from app.domain.json_reader import Problem
from app.domain.states import Trigger
from app.domain.steps.scope import ScopeInfo
from app.domain.workflows.checks import check_definition
from app.domain.workflows.definition import parse_definition

INFO = ScopeInfo(
    connections={"4": "http", "5": "webhook"},
    user_ids={"1"},
    group_ids=frozenset({"2"}),
    account_names=frozenset({"id"}),
    trigger=Trigger.ACCESS_GRANTED,
)


def http(key: str, **fields: object) -> dict:
    return {"key": key, "type": "http", "connection_id": "4", "method": "GET", "path": "/", **fields}


def webhook(key: str, **fields: object) -> dict:
    return {"key": key, "type": "webhook", "connection_id": "5", **fields}


def human(key: str, **fields: object) -> dict:
    return {"key": key, "type": "human", "prompt": "Do it", "assignee": {"anyone": True}, **fields}


def check(*steps: dict, info: ScopeInfo = INFO) -> list[Problem]:
    definition, problems = parse_definition(list(steps))
    assert problems == []
    assert definition is not None
    return check_definition(definition, info)


def errors(*steps: dict, info: ScopeInfo = INFO) -> list[tuple[str, str]]:
    return [(one.field, one.message) for one in check(*steps, info=info) if one.severity == "error"]


def warnings(*steps: dict, info: ScopeInfo = INFO) -> list[tuple[str, str]]:
    found = check(*steps, info=info)
    assert all(one.severity == "warning" for one in found)
    return [(one.field, one.message) for one in found]
