"""Applications."""

from __future__ import annotations

from typing import Annotated

from pydantic import field_validator

from app.net.target import BadTarget, parse_target
from app.schemas.base import Input
from app.schemas.kinds import MAX_URL, Flag, LongText, NameText, ShortText, Text


def application_url(text: str) -> str:
    """`text` as it is, when it is an http(s) address or a bare host such as `jira.example.com`.

    Raises ValueError with a sentence: what is stored here becomes a link.
    """
    if not text:
        return ""
    address = text if "://" in text else f"https://{text}"
    try:
        # The part after # stays in the browser, and single-page applications live by it.
        parse_target(address.partition("#")[0])
    except BadTarget:
        raise ValueError("Enter a web address, such as https://jira.example.com, or a host name.") from None
    return text


_Url = Annotated[str, Text(MAX_URL)]


class ApplicationIn(Input):
    """A new application."""

    name: NameText
    description: LongText = ""
    vendor: ShortText = ""
    category: ShortText = ""
    url: _Url = ""
    critical: Flag = False
    notes: LongText = ""

    _check_url = field_validator("url")(application_url)


class ApplicationPatch(Input):
    """Changes to an application; fields that are not sent stay."""

    name: NameText = ""
    description: LongText = ""
    vendor: ShortText = ""
    category: ShortText = ""
    url: _Url = ""
    critical: Flag = False
    notes: LongText = ""

    _check_url = field_validator("url")(application_url)
