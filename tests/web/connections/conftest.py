"""Bob builds connections and may not touch credentials; Alice may."""

from __future__ import annotations

from tests.web.workflows.conftest import Place, bob, place, workflow

__all__ = ["Place", "bob", "place", "workflow"]
