"""The editor's form as tests use it."""

from __future__ import annotations

import json
from typing import Any

from bs4 import BeautifulSoup

from tests.support.page import Page
from tests.support.page_rules import text_of
from tests.support.web.readers import Reader


def editor(reader: Reader, workflow: int, step: str = "") -> Page:
    """The editor, with that step open."""
    return reader.client.get(f"/workflows/{workflow}/edit" + (f"?step={step}" if step else ""))


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
    return page.texts("#editor .spine h3")


def preview(page: Page, **typed: object) -> Page:
    """What the open step would come to after this was typed, as the page asks for it meanwhile."""
    form = page.form("editor").fill(**typed)
    url = str(page.one("[data-apart]")["hx-post"])
    return page.client.post(url, dict(form.fields), expect=200, htmx=True, csrf=False)


def apart(page: Page, place: str) -> str:
    """What a preview puts elsewhere in the step: the words for the element whose id ends with `place`."""
    [piece] = [one for one in page.select("template") if str(one["data-to"]).endswith(f"-{place}")]
    return text_of(BeautifulSoup(piece.decode_contents(), "html.parser"))
