"""The unsaved draft of a workflow, which travels in the editor's own form.

Each step is a hidden field with its JSON; one step may be open, and then its fields stand beside that JSON
and win over it. Nothing is kept on the server, so any number of tabs and of lost sessions harm nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from app.domain.json_reader import Json
from app.domain.steps.base import MAX_KEY
from app.domain.steps.fields import StepJson, Values, first, text_of
from app.domain.steps.forms import from_values, to_values
from app.domain.steps.rows import is_showable
from app.errors import FieldError, Invalid
from app.web.request_values import small_number

_UNREADABLE = "The draft in this form cannot be read. Open the editor again from the Workflows tab."


@dataclass(slots=True)
class Slot:
    """A step of the draft. `uid` stays the same while the step is moved or given another key."""

    uid: str
    step: StepJson

    @property
    def name(self) -> str:
        """What to call the step on the page."""
        return text_of(self.step.get("name")) or text_of(self.step.get("key")) or "New step"

    @property
    def key(self) -> str:
        return text_of(self.step.get("key"))

    def packed(self) -> Markup:
        """The step as JSON for an attribute in single quotes: in double ones every quote would take five bytes."""
        return htmlsafe_json_dumps(self.step, dumps=json.dumps, ensure_ascii=False, separators=(",", ":"))


@dataclass(slots=True)
class Draft:
    """The steps as they are now. `typed` are the fields of the open step, `errors` those no JSON can hold."""

    slots: list[Slot] = field(default_factory=list)
    based_on: int = 0
    note: str = ""
    open: str = ""
    typed: Values = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)
    removed: Slot | None = None
    removed_at: int = 0
    is_changed: bool = False
    # Whom the open step is previewed for, and whether a save was refused, so that problems stay on the page.
    sample: str = ""
    is_refused: bool = False

    @classmethod
    def of(cls, steps: Iterable[Mapping[str, Json]], number: int) -> Draft:
        """The draft that changes nothing yet in version `number`."""
        draft = cls(based_on=number)
        for step in steps:
            draft.slots.append(Slot(draft.fresh_uid(text_of(step.get("key")) or "step"), dict(step)))
        return draft

    @classmethod
    def from_form(cls, form: Values) -> Draft:
        """The draft as the form holds it, the open step read from its fields; raises Invalid for no draft."""
        uids, packed = list(form.get("uid", ())), list(form.get("step", ()))
        if len(uids) != len(packed) or len(set(uids)) != len(uids):
            raise Invalid(_UNREADABLE)
        number = first(form, "based_on")
        draft = cls(
            slots=[Slot(_uid(uid), _unpacked(one)) for uid, one in zip(uids, packed, strict=True)],
            based_on=small_number(number, digits=9) or 0,
            note=first(form, "note"),
            is_changed=True,
            sample=first(form, "sample"),
            is_refused=bool(first(form, "refused")),
        )
        if first(form, "removed"):
            draft.removed = Slot(_uid(first(form, "removed_uid")), _unpacked(first(form, "removed")))
            place = first(form, "removed_at")
            draft.removed_at = small_number(place) or 0
        if first(form, "open"):
            draft._read_open(first(form, "open"), form)
        return draft

    def _read_open(self, uid: str, form: Values) -> None:
        slot = self.slot(uid)
        self.open, self.typed = uid, form
        step, problems = from_values(form)
        self.errors = [FieldError(one.field, one.message) for one in problems]
        if self.errors:
            return
        if not first(form, "key").strip() and step["key"]:
            step["key"] = self._free_key(text_of(step["key"]), uid)
        self._follow_key(slot, text_of(step["key"]))
        slot.step = step

    def slot(self, uid: str) -> Slot:
        """The step `uid`; raises Invalid when the draft has none."""
        for one in self.slots:
            if one.uid == uid:
                return one
        raise Invalid(_UNREADABLE)

    @property
    def opened(self) -> Slot | None:
        return self.slot(self.open) if self.open else None

    def steps(self) -> list[StepJson]:
        return [one.step for one in self.slots]

    def show(self, uid: str) -> None:
        """Open the step `uid`, closing the one that is open; its fields must have been read without error."""
        self.open = uid
        self.typed = to_values(self.slot(uid).step) if uid else {}

    def retype(self, values: Mapping[str, Sequence[str]]) -> None:
        """Change fields of the open step, as if a person had typed them."""
        self.typed = {**self.typed, **values}

    def reread(self) -> None:
        """Read the open step anew from its fields, once a button has changed them."""
        self._read_open(self.open, self.typed)

    def add(self, step: StepJson, at: int | None = None) -> Slot:
        """Put a step in at a place, by default the last, and open it."""
        slot = Slot(self.fresh_uid("new"), step)
        self.slots.insert(len(self.slots) if at is None else at, slot)
        self.show(slot.uid)
        return slot

    def copy(self, uid: str) -> Slot:
        """Put a copy of a step below it, under a key of its own."""
        slot = self.slot(uid)
        step = deepcopy(slot.step)
        step["key"] = self._free_key(slot.key or "step", "")
        step["name"] = f"{slot.name} (copy)"
        return self.add(step, self.slots.index(slot) + 1)

    def move(self, uid: str, by: int) -> bool:
        """Move a step one place; False at the end of the list."""
        at = self.slots.index(self.slot(uid))
        if not 0 <= at + by < len(self.slots):
            return False
        self.slots.insert(at + by, self.slots.pop(at))
        return True

    def remove(self, uid: str) -> None:
        """Take a step out and keep it for undoing."""
        slot = self.slot(uid)
        self.removed, self.removed_at = slot, self.slots.index(slot)
        self.slots.remove(slot)
        if self.open == uid:
            self.open, self.typed, self.errors = "", {}, []

    def restore(self) -> Slot | None:
        """Put the removed step back in its place."""
        slot = self.removed
        if slot is not None:
            slot.uid = self.fresh_uid(slot.uid)
            self.slots.insert(min(self.removed_at, len(self.slots)), slot)
            self.removed = None
        return slot

    def fresh_uid(self, wanted: str) -> str:
        """A uid that no step has, made from `wanted`."""
        base = "".join(c for c in wanted if c.isascii() and (c.isalnum() or c in "_-"))[:MAX_KEY] or "step"
        taken = {one.uid for one in self.slots}
        return base if base not in taken else _numbered(base, taken)

    def _free_key(self, wanted: str, uid: str) -> str:
        taken = {one.key for one in self.slots if one.uid != uid}
        return _numbered(wanted, taken) if wanted in taken else wanted

    def _follow_key(self, slot: Slot, key: str) -> None:
        """Edges that name the step keep leading to it when its key changes."""
        old = slot.key
        if not old or not key or old == key or any(one.key == old for one in self.slots if one is not slot):
            return
        for one in self.slots:
            for name in ("on_success", "on_failure"):
                if name in one.step:
                    one.step[name] = _renamed(one.step[name], old, key)
            ways = one.step.get("on_status")
            if isinstance(ways, dict):
                one.step["on_status"] = {code: _renamed(edge, old, key) for code, edge in ways.items()}


def _renamed(edge: Json, old: str, key: str) -> Json:
    if not isinstance(edge, dict):
        return edge
    return {kind: key if target == old else target for kind, target in edge.items()}


def _numbered(base: str, taken: set[str]) -> str:
    number = 2
    while f"{base[: MAX_KEY - 4]}_{number}" in taken:
        number += 1
    return f"{base[: MAX_KEY - 4]}_{number}"


def _uid(text: str) -> str:
    if (
        not text
        or len(text) > MAX_KEY + 8
        or not all(c.isascii() and (c.isalnum() or c in "_-") for c in text)
    ):
        raise Invalid(_UNREADABLE)
    return text


def _unpacked(text: str) -> StepJson:
    try:
        step = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid(_UNREADABLE) from None
    if not isinstance(step, dict) or not is_showable(step):
        raise Invalid(_UNREADABLE)
    return step
