"""Which value a failure is about that the console must know, read from the words of the failure."""

from __future__ import annotations

import re

# A MappingError's words, behind the place within the step.
_EMPTY = re.compile(r"(?:^|: )((?:account|grant\.kept|grantee|steps)\.[\w.-]+) is empty\b")
_ANOTHER = re.compile(r"([\w-]+) is not what is known of this person's account\b")


def missing_token(detail: str) -> str:
    """The token whose empty value kept a step from being sent: `account.id`; "" when none did."""
    found = _EMPTY.search(detail)
    return found[1] if found else ""


def can_be_typed(token: str) -> bool:
    """Whether its value is kept with the account or the grant, where somebody may type it."""
    return token.startswith(("account.", "grant.kept."))


def contradicted(detail: str) -> bool:
    """Whether a value that was found is another than the one known of the account."""
    return _ANOTHER.match(detail) is not None
