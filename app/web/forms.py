"""What a form shows, blank or refused: the values as typed and the message at each field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import FieldError


@dataclass(frozen=True, slots=True)
class FormState:
    """Values by input name, each a list because a name may repeat, and the errors in reading order."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    errors: Sequence[FieldError] = ()

    @classmethod
    def of(cls, values: Mapping[str, object], errors: Iterable[FieldError] = ()) -> FormState:
        """From stored or default values: None is blank, True a ticked box, a list several choices."""
        return cls({name: _typed(value) for name, value in values.items()}, list(errors))

    @classmethod
    def typed(cls, form: Mapping[str, Sequence[str]], errors: Iterable[FieldError] = ()) -> FormState:
        """From a refused submission: `request.form.to_dict(flat=False)` and what was wrong with it."""
        return cls(form, list(errors))

    def value(self, name: str) -> str:
        """The (first) value of `name`, "" when there is none. A page cannot hold a NUL, so none is shown."""
        found = self.values.get(name, ())
        return found[0].replace("\0", "") if found else ""

    def chosen(self, name: str) -> Sequence[str]:
        """Every value of `name`: the ticked boxes of a group."""
        return self.values.get(name, ())

    def error(self, name: str) -> str:
        """The first message for `name`, "" when it was accepted."""
        return next((error.message for error in self.errors if error.field == name), "")


def _typed(value: object) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return ["1"]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [str(item) for item in value]
    return [str(value)]
