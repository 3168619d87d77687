"""What every template may count on: navigation, the reader, theme, assets.

The app factory calls `init_app` with three functions, so nothing here knows services or models:

* `viewer()` gives the signed-in reader or None,
* `may(permission)` says whether that reader holds it,
* `counts()` gives the numbers beside navigation items, by item id, and "alerts" for the bell.

A view may pass `nav="runs"` to mark another item than the one its address falls under."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from flask import Flask, request, url_for

from app.guard import BARE_PAGE
from app.web.htmx import HTMX_CONFIG

THEMES = ("system", "light", "dark")
THEME_COOKIE = "theme"
KEYS_COOKIE = "keys"
# Under it the API answers, in JSON also when there is no such address.
API_PREFIX = "/api/"


class Viewer(NamedTuple):
    """The signed-in reader, as the page shows them."""

    name: str
    email: str | None


class NavEntry(NamedTuple):
    """A possible navigation item. `permission` "" is for everybody signed in; `key` is pressed after g.

    `also` is another permission that opens the page.
    """

    id: str
    label: str
    href: str
    icon: str
    permission: str = ""
    group: str = ""
    key: str = ""
    also: str = ""


@dataclass(frozen=True, slots=True)
class NavItem:
    """One shown navigation item. `count` None shows no number; 0 keeps the place for a later one."""

    id: str
    label: str
    href: str
    icon: str
    count: int | None
    group: str
    key: str


NAV: tuple[NavEntry, ...] = (
    NavEntry("home", "Home", "/", "home", key="h"),
    NavEntry("applications", "Applications", "/applications", "apps", "grant:read", key="a"),
    NavEntry("runs", "Runs", "/runs", "runs", "workflow:read", key="r"),
    NavEntry("tasks", "Inbox", "/tasks", "inbox", "workflow:task", key="i", also="workflow:read"),
    NavEntry("people", "People", "/people", "person", "grant:read", "People", key="p"),
    NavEntry("groups", "Groups", "/groups", "people", "grant:read", "People"),
    NavEntry("roles", "Roles", "/roles", "shield", "user:manage", "People"),
    NavEntry("audit", "Audit", "/audit", "list", "audit:read", "System"),
    NavEntry("tokens", "API tokens", "/tokens", "key", "settings:manage", "System"),
    NavEntry(
        "system", "System health", "/system", "health", "settings:manage", "System", "s", also="workflow:run"
    ),
    NavEntry("help", "Help", "/help", "help", group="System"),
)

# Pages that base.html links to besides the navigation.
URLS = {
    "sign_in": "/sign-in",
    "sign_out": "/sign-out",
    "account": "/account",
    "preferences": "/preferences",
    "search": "/runs",
    "alerts": "/alerts",
}


def init_app(
    app: Flask,
    *,
    viewer: Callable[[], Viewer | None],
    may: Callable[[str], bool],
    counts: Callable[[], Mapping[str, int]],
    exists: Callable[[str], bool] = bool,
    notice: Callable[[], object | None] = lambda: None,
) -> None:
    """Register the context processor, and `asset` as a template global.

    `exists` says whether there is a page at an address: navigation leads to none that is still to come.
    `notice` gives the banner about the console itself; only a whole page asks for it.
    """
    app.add_template_global(asset)

    def shared() -> dict[str, object]:
        # A page that reports broken storage must not ask storage who is reading, nor one that is the same for all.
        reader = None if request.environ.get(BARE_PAGE) else viewer()
        numbers = counts() if reader else {}
        items = tuple(item for item in nav_items(may, numbers) if exists(item.href)) if reader else ()
        return {
            "viewer": reader,
            "nav_items": items,
            "unread_alerts": numbers.get("alerts", 0),
            "nav": active_item(request.path, items),
            "system_notice": notice if reader else lambda: None,
            "theme": theme(),
            "keys": "off" if request.cookies.get(KEYS_COOKIE) == "off" else "on",
            "htmx_config": HTMX_CONFIG,
            "urls": URLS,
            "here": here(),
            "sign_in_href": f"{URLS['sign_in']}?next={quote(here(), safe='/')}",
        }

    app.context_processor(shared)


def is_api() -> bool:
    """True when the request is for the API, which finds out by itself who asks."""
    return request.path.startswith(API_PREFIX)


def nav_items(may: Callable[[str], bool], counts: Mapping[str, int]) -> tuple[NavItem, ...]:
    """The items that the reader may open, in order, with their counts."""
    return tuple(
        NavItem(entry.id, entry.label, entry.href, entry.icon, counts.get(entry.id), entry.group, entry.key)
        for entry in NAV
        if not entry.permission or may(entry.permission) or (entry.also and may(entry.also))
    )


def active_item(path: str, items: tuple[NavItem, ...]) -> str:
    """The id of the item whose address is `path` or a parent of it, "" when none is."""
    for item in items:
        if path == item.href or (item.href != "/" and path.startswith(item.href + "/")):
            return item.id
    return ""


def theme() -> str:
    """The reader's theme: what the cookie says, "system" for anything else."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"


def here() -> str:
    """This page's address without its host, to come back to; "/" for a POST, whose address leads nowhere."""
    if request.method not in ("GET", "HEAD"):
        return "/"
    return request.full_path.rstrip("?")


def asset(path: str) -> str:
    """The address of a static file with its content hash, so that it may be cached for ever.

    Raises FileNotFoundError for a file that is not there: a page must not link to nothing.
    """
    return url_for("static", filename=path, v=_content_hash(path))


_hashes: dict[tuple[str, int, int], str] = {}


def _content_hash(path: str) -> str:
    file = _static_folder() / path
    stat = file.stat()
    # Size and time in the key: an edited file gets its new hash without a restart.
    key = (str(file), stat.st_mtime_ns, stat.st_size)
    if key not in _hashes:
        _hashes[key] = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return _hashes[key]


def _static_folder() -> Path:
    return Path(__file__).resolve().parent.parent / "static"
