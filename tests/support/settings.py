"""The app under other settings for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from app.config.settings import Settings


@contextmanager
def with_settings(app: Flask, **more: object) -> Iterator[None]:
    """The app under other settings until the block ends."""
    before = app.extensions["settings"]
    _set(app, before.model_copy(update=more))
    try:
        yield
    finally:
        _set(app, before)


def _set(app: Flask, settings: Settings) -> None:
    app.extensions["settings"] = settings
    provider = app.extensions.pop("oidc", None)  # it was made from the settings before
    if provider is not None:
        provider.close()
