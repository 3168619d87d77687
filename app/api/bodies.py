"""Reading what came: JSON without the liberties that Python's reader takes, and query parameters."""

from __future__ import annotations

import json
import math
from typing import TypeVar

from flask import request
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from app.api.problems import Malformed, WrongMediaType
from app.domain.json_reader import NamedTwice, NoConstant, shown, strict_json, unstorable
from app.errors import FieldError, Invalid
from app.schemas.base import parse

ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_DEPTH = 64


def read_body() -> object:
    """The request's body as decoded JSON; an empty one counts as `{}`, for calls that need none.

    Raises RequestEntityTooLarge above the limit, WrongMediaType for another media type, Malformed for what is
    not JSON (RFC 8259), for a name that occurs twice in one object, for nesting deeper than 64, and for
    characters that cannot be stored.
    """
    raw = request.get_data(cache=True)
    if request.content_length is None and len(raw) >= (request.max_content_length or math.inf):
        # A body that comes in chunks is cut at the limit, whatever follows.
        raise RequestEntityTooLarge
    if not raw:
        return {}
    if request.mimetype != "application/json":
        raise WrongMediaType("Send the body as application/json.")
    try:
        text = raw.decode("utf-8")
        value = strict_json(text)
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except NamedTwice as twice:
        raise Malformed(f"The name “{shown(str(twice))}” occurs twice in one object.") from None
    except NoConstant as word:
        raise Malformed(f"{word} is no JSON number.") from None
    except RecursionError:
        raise Malformed(f"The body is nested deeper than {MAX_DEPTH}.") from None
    except ValueError:
        raise Malformed("The body holds a number with too many digits.") from None
    _check(value)
    return value


def read_query(model: type[ModelT]) -> ModelT:
    """The query parameters as `model`; raises Malformed naming each that is unknown or unreadable."""
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        message = "This parameter can be given once."
        raise Malformed(message, [FieldError(shown(name), message) for name in repeated])
    for name, value in request.args.items():
        problem = unstorable(name) or unstorable(value)
        if problem:
            raise Malformed(problem, [FieldError(shown(name), problem)])
    try:
        return parse(model, request.args.to_dict())
    except Invalid as refused:
        raise Malformed(refused.message, refused.errors) from None


def _check(value: object) -> None:
    """Walk without recursion: the depth is exactly what a caller may try to make too large."""
    waiting: list[tuple[object, int]] = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, str):
            _check_text(one)
        elif isinstance(one, float) and not math.isfinite(one):
            raise Malformed("The body holds a number that is too large.")
        elif isinstance(one, list | dict):
            if depth > MAX_DEPTH:
                raise Malformed(f"The body is nested deeper than {MAX_DEPTH}.")
            if isinstance(one, dict):
                for name in one:
                    _check_text(name)
            inner = one.values() if isinstance(one, dict) else one
            waiting.extend((each, depth + 1) for each in inner)


def _check_text(text: str) -> None:
    problem = unstorable(text)
    if problem:
        raise Malformed(f"A text in the body cannot be stored. {problem}")
