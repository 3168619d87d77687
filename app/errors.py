"""What can go wrong, in the domain's words. No HTTP here: each entrance turns these into its own answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused field: `field` is the input's name (`steps[1].path`), `message` a sentence for a person."""

    field: str
    message: str


class AppError(Exception):
    """A failure that a person can be told about: `message` is fit for the screen."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(AppError):
    """It does not exist, or the reader may not know that it does."""


class NotAllowed(AppError):
    """The actor lacks a permission, which `permission` names."""

    def __init__(self, message: str, permission: str = "") -> None:
        super().__init__(message)
        self.permission = permission


class Conflict(AppError):
    """The current state forbids it (409). `context` carries ids that the answer names."""

    def __init__(self, message: str, context: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.context = dict(context or {})


class Busy(AppError):
    """Nobody is free to do it at this moment, so nothing was done (503)."""

    def __init__(self) -> None:
        super().__init__(
            "Other calls from here to the outside still wait for their answers, so this one was not sent."
        )


class Invalid(AppError):
    """Well-formed but refused (422). `errors` names each field."""

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors)

    @classmethod
    def field(cls, name: str, message: str) -> Invalid:
        """One refused field."""
        return cls(message, [FieldError(name, message)])
