"""Where a token stands inside another language, and whether its value could get out of there.

A guess at what its author is writing, from the text around the token: it warns and refuses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.domain.mapping.templates import FilterCall, Token, compile_template

# Texts that other systems read; what people read is in no language.
_FIELDS = ("path", "query", "headers", "body")
# Values that the console makes itself.
_PLAIN = frozenset(
    {"event.id", "event.trigger", "event.occurred_at", "grantee.id", "application.id"}
    | {"grant.id", "grant.granted_at", "grant.expires_at"}
)
# Filters after which a value holds nothing that ends a text, whatever follows them.
_HARMLESS = frozenset({"number", "slug", "base64", "md5", "sha256", "date"})
_ESCAPES = frozenset({"json", "scim", "ldap", "xml"})
# Filters that add nothing of the value's after one that escapes it.
_NEUTRAL = frozenset({"default", "omit_empty", "text"})

_XML = re.compile(r"\s*<.*(</|/>)", re.DOTALL)
_LDAP = re.compile(r"\(\s*[A-Za-z][\w.;:-]*\s*[<>~:]?=[^()]*\Z")
_COMPARED = re.compile(r"(?:^|[\s(])(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+\Z", re.IGNORECASE)
_OPENS = re.compile(
    r"[=:(,\[<>~!]\s*\Z|(?:^|[\s(])(?:in|is|and|or|not|like|contains|where)\s+\Z", re.IGNORECASE
)
_FOLLOWS = re.compile(r"[:,(\[]\s*\Z")
# How much of the text before a token, or before its quotes, tells what it stands in.
_LOOKED_BACK = 200
_MARK = "\0"  # No template can hold it.


@dataclass(frozen=True, slots=True)
class _Place:
    """What holds a value in: the filters that keep it there, of which so many are needed, and what could happen."""

    fits: tuple[str, ...]
    words: str
    times: int = 1


_QUOTES = "A value that holds a quotation mark could leave its quotes here: write {}."
_IN_JSON = _Place(("json", "scim"), _QUOTES)
_IN_JSON_TWICE = _Place(("json", "scim"), _QUOTES, times=2)
_IN_SCIM = _Place(("scim", "json"), _QUOTES)
_IN_LDAP = _Place(("ldap",), "A value that holds a bracket or * could change the filter here: write {}.")
_IN_XML = _Place(("xml",), "A value that holds < or & could become markup here: write {}.")
_IN_APOSTROPHES = _Place(
    (),
    "A value that holds an apostrophe could leave its quotes here, and no filter keeps it in: ask by a value that"
    " holds none, such as an id, or write {} where plain letters do.",
)
_IN_BLOCK = _Place(
    (),
    'A value that holds a quotation mark could leave """ here, and no filter keeps it in: use "…" with json, or'
    " write {} where plain letters do.",
)
_BARE = _Place(
    (),
    "Nothing holds the value together here, so it could say more than one value: put it in quotes, or write {} for a"
    " number.",
)


def quoting_warnings(field: str, text: str) -> list[tuple[str, str, str]]:
    """Each token of a well-formed text whose value could leave its place: its name, the filter that is missing, and
    a sentence for the author."""
    if "{{" not in text or re.split(r"[.\[]", field, maxsplit=1)[0] not in _FIELDS:
        return []
    template = compile_template(text)
    if template.only is not None:
        return []
    shape = "".join(part if isinstance(part, str) else _MARK for part in template.parts)
    found = [
        (token.name, *_missing(token, place))
        for token, place in zip(template.tokens, _places(shape), strict=True)
        if place is not None and not _stays(token, place)
    ]
    return list(dict.fromkeys(found))


def _stays(token: Token, place: _Place) -> bool:
    names = [call.name for call in token.filters]
    if token.name in _PLAIN or _HARMLESS.intersection(names):
        return True
    while names and names[-1] in _NEUTRAL:
        names.pop()
    last = names[-place.times :]
    return len(last) == place.times and all(name in place.fits for name in last)


def _missing(token: Token, place: _Place) -> tuple[str, str]:
    """The filter to add, and the sentence."""
    needed = place.fits[0] if place.fits else "number" if place is _BARE else "slug"
    kept = [call for call in token.filters if call.name not in _ESCAPES]
    written = _written(token.name, [*kept, *[FilterCall(needed)] * place.times])
    return needed, place.words.format(written)


def _written(name: str, filters: list[FilterCall]) -> str:
    return f"{{{{ {' | '.join([name, *(_call(one) for one in filters)])} }}}}"


def _call(call: FilterCall) -> str:
    if not call.arguments:
        return call.name
    if call.name == "truncate":
        return f"truncate({call.arguments[0]})"
    texts = [one.replace("\\", "\\\\").replace('"', '\\"') for one in call.arguments]
    joined = '", "'.join(texts)
    return f'{call.name}("{joined}")'


def _places(shape: str) -> Iterator[_Place | None]:
    """What each token of `shape` stands in, None where that is no language known here."""
    if _XML.match(shape):
        yield from [_IN_XML] * shape.count(_MARK)
        return
    braced, whole = "{" in shape, shape.strip()
    bracketed = whole.startswith("(") and whole.endswith(")")
    quote, opened, inner, at = "", 0, 0, 0
    while at < len(shape):
        character = shape[at]
        if character == _MARK:
            end = opened if quote else at
            before = shape[max(0, end - _LOOKED_BACK) : end]
            if quote and shape.find(quote, at) > 0:
                yield _quoted(quote, before, inner, braced=braced)
            else:
                yield _unquoted(before, braced=braced, bracketed=bracketed)
        elif quote:
            if character == "\\" and quote == '"':
                inner += shape[at + 1 : at + 2] == '"'
                at += shape[at + 1 : at + 2] != _MARK
            elif shape.startswith(quote, at):
                at += len(quote) - 1
                quote = ""
        elif character == '"' or (character == "'" and not shape[at - 1 : at].isalnum()):
            quote = '"""' if shape.startswith('"""', at) else character
            opened, inner = at, 0
            at += len(quote) - 1
        at += 1


def _quoted(quote: str, before: str, inner: int, *, braced: bool) -> _Place | None:
    """The place inside `quote`, which opens after `before`; `inner` quotes inside it are escaped so far."""
    if quote == '"""':
        return _IN_BLOCK
    compared = _COMPARED.search(before) is not None
    if not (compared or braced or not before.strip() or _OPENS.search(before)):
        return None  # As in prose.
    if quote == "'":
        return _IN_APOSTROPHES
    if compared and not braced:
        return _IN_SCIM
    return _IN_JSON_TWICE if inner % 2 else _IN_JSON


def _unquoted(before: str, *, braced: bool, bracketed: bool) -> _Place | None:
    if bracketed and _LDAP.search(before):
        return _IN_LDAP
    return _BARE if (braced and _FOLLOWS.search(before)) or _COMPARED.search(before) else None
