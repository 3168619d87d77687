"""Seeded bugs: the engine as it would be with one passage of its source changed."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

from app.domain.runs import decide as deciding
from app.domain.runs import run as folding


def seed(monkeypatch: pytest.MonkeyPatch, module: ModuleType, passage: str, bug: str) -> None:
    """Let `module` work as if `passage` of its source read `bug`, for this test."""
    source = inspect.getsource(module)
    assert source.count(passage) == 1, "the passage that this seed replaces is no longer there"
    broken: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(source.replace(passage, bug), f"{module.__name__} with a bug", "exec"), broken)
    if module is folding:
        monkeypatch.setattr(folding, "evolve", broken["evolve"])
        monkeypatch.setattr(deciding, "fold", broken["fold"])
    else:
        monkeypatch.setattr(deciding, "decide", broken["decide"])
