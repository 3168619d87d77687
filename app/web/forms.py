"""Forms: what one shows, blank or refused, and the one way in which a refused form is answered.

A refused form is sent back with 422: to a browser as its page, to htmx as the part that holds the form. What was
typed is still in it, each message stands at its field, and the error summary takes the focus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps

from flask import Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from app.errors import FieldError, Invalid
from app.schemas.base import ModelT, parse
from app.web.htmx import is_fragment, retarget

View = Callable[..., ResponseReturnValue]


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
    def sent(cls, errors: Iterable[FieldError] = ()) -> FormState:
        """From this request: the form as it was sent, and what was wrong with it."""
        return cls(request.form.to_dict(flat=False), list(errors))

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


def shows_again(show: View, *, secret: bool = False) -> Callable[[View], View]:
    """Of a view that takes a form: refused, it is answered by `show(form, …)` with the address's own arguments.

    The values of a `secret` form do not come back.
    """

    def around(view: View) -> View:
        @wraps(view)
        def answer(**address: int | str) -> ResponseReturnValue:
            try:
                return view(**address)
            except Invalid as refused:
                errors = refused.errors or [FieldError("", refused.message)]
                return show(FormState(errors=errors) if secret else FormState.sent(errors), **address)

        return answer

    return around


def parse_typed(model: type[ModelT], data: Mapping[str, object], words: Mapping[str, str]) -> ModelT:
    """`data` as `model` reads it; raises Invalid, with `words` for fields that a page asks for in its own way."""
    try:
        return parse(model, data)
    except Invalid as refused:
        errors = [FieldError(one.field, words.get(one.field, one.message)) for one in refused.errors]
        raise Invalid(refused.message, errors) from None


def form_page(name: str, form: FormState, /, **material: object) -> Response:
    """The page `name` (such as `groups/new`) with its form, or what htmx swaps after sending it: `_new_form`."""
    template = _part(name, "form") if request.method == "POST" and is_fragment() else f"{name}.html"
    return make_response(render_template(template, form=form, **material), 422 if form.errors else 200)


def question(name: str, dialog: str, form: FormState, /, **material: object) -> Response:
    """The page `name` that asks before an act; a refused form is put back into its `dialog` by htmx."""
    if not (form.errors and is_fragment()):
        return form_page(name, form, **material)
    response = make_response(render_template(_part(name, "dialog"), form=form, **material), 422)
    # Of the dialog only its form is swapped: a new dialog would be a closed one.
    response.headers["HX-Reselect"] = f"#{dialog} form"
    return retarget(response, f"#{dialog} form", "outerHTML")


def _part(name: str, kind: str) -> str:
    folder, _, page = name.rpartition("/")
    return f"{folder}/_{page}_{kind}.html"


def _typed(value: object) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return ["1"]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [str(item) for item in value]
    return [str(value)]
