"""The editor's form as tests use it."""

from __future__ import annotations

import json
from typing import Any

from tests.page import Page


def press(page: Page, do: str, *, expect: int = 200, htmx: bool = False, **typed: object) -> Page:
    """Send the editor by the button whose value is `do`, after filling in what was typed."""
    form = page.form("editor").fill(**typed)
    assert page.select(f'#editor button[name="do"][value="{do}"]'), f"the editor has no button {do}"
    data: dict[str, object] = {**form.fields, "do": do}
    return page.client.post(str(form.element["action"]), data, expect=expect, htmx=htmx, csrf=False)


def steps_of(page: Page) -> list[dict[str, Any]]:
    """The draft as it travels in the form."""
    return [json.loads(str(one["value"])) for one in page.select('#editor input[name="step"]')]


def names_of(page: Page) -> list[str]:
    """The headings of the steps."""
    return page.texts("#editor h3")
