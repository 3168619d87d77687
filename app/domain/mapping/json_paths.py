"""JSONPaths whose string literals hold tokens: `$.items[?@.email == '{{ grantee.email }}'].id`.

A value stays inside the quotes that its token stands in (RFC 9535 §2.3.1.1), whatever it holds; a token anywhere
else would be a piece of the path itself, and is refused.
"""

from __future__ import annotations

from app.domain.mapping.filters import as_text
from app.domain.mapping.paths import CONTROL
from app.domain.mapping.templates import MappingError, Token, compile_template
from app.domain.mapping.values import Context, single_value_of

_HEADER = "header:"
_OUTSIDE = "A path takes {{ %s }} only inside quotes, as in $.items[?@.email == '{{ grantee.email }}'].id."


def render_json_path(template: str, context: Context, *, field: str = "capture") -> str:
    """The path with each token's value in its quotes; raises MappingError for what is empty or cannot stand there.

    What the answer's header is called (`header:Location`) holds no token and stays as it is.
    """
    if "{{" not in template:
        return template
    problems = json_path_problems(template)
    if problems:
        raise MappingError(field, problems[0])
    try:
        return "".join(
            part if isinstance(part, str) else _inside(quote, part, context)
            for part, quote in _quoted_parts(template)
        )
    except MappingError as error:
        raise error.inside(field) from None


def json_path_problems(template: str) -> list[str]:
    """Where tokens stand that a path cannot take, in sentences for its author."""
    if "{{" not in template:
        return []
    if template.startswith(_HEADER):
        return ["The name of a header holds no token."]
    try:
        parts = _quoted_parts(template)
    except MappingError as error:
        return [error.message]
    outside = [part.name for part, quote in parts if isinstance(part, Token) and not quote]
    return [_OUTSIDE % name for name in dict.fromkeys(outside)]


def stand_in(template: str) -> str:
    """A path of the same shape without tokens, for whoever checks it; the template has no problems of ours."""
    if "{{" not in template:
        return template
    return "".join(part if isinstance(part, str) else "x" for part in compile_template(template).parts)


def _quoted_parts(template: str) -> list[tuple[str | Token, str]]:
    """Each part with the quotation mark that is open where it begins, "" outside of quotes."""
    parts: list[tuple[str | Token, str]] = []
    quote, escaped = "", False
    for part in compile_template(template).parts:
        parts.append((part, quote))
        if isinstance(part, Token):
            if escaped:
                raise MappingError("", f"A backslash cannot stand before {{{{ {part.name} }}}}.")
            continue
        for character in part:
            if escaped:
                escaped = False
            elif quote and character == "\\":
                escaped = True
            elif character == quote:
                quote = ""
            elif not quote and character in "\"'":
                quote = character
    if quote:
        raise MappingError("", f"The path never closes the quotes that {quote} opens.")
    return parts


def _inside(quote: str, token: Token, context: Context) -> str:
    text = as_text(single_value_of(token, context))
    if not text.strip():
        raise MappingError("", f"{token.name} is empty, so the path would find something else.")
    if CONTROL.search(text):
        raise MappingError("", f"{token.name} holds a control character, which a path cannot.")
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
