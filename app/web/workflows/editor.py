"""The editor of a workflow's steps. Its form holds the whole draft; every button sends all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from app.clock import now
from app.domain.mapping.filters import FILTERS
from app.domain.states import Trigger
from app.domain.steps.base import StepType
from app.domain.steps.call_fields import UNITS
from app.domain.steps.fields import RowGroup, first, table
from app.domain.steps.forms import FORMS, kind_shown
from app.domain.steps.http.step import METHODS
from app.domain.steps.proposals import SHAPES
from app.domain.steps.scope import ScopeInfo
from app.errors import Conflict, FieldError, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Application, Group, User, Workflow
from app.permissions import may
from app.queries.connections import connections_by_name
from app.queries.lookup import load
from app.queries.workflow_scope import scope_info
from app.queries.workflow_versions import newest_version, read_version, stored_steps
from app.schemas.base import parse
from app.schemas.kinds import record_id
from app.schemas.workflows import VersionIn
from app.services import workflows
from app.services.transaction import transaction
from app.web.applications.header import application_header
from app.web.htmx import is_fragment, retarget, see_other
from app.web.workflows import cards, moves
from app.web.workflows.blueprint import bp
from app.web.workflows.drafts import Draft
from app.web.workflows.folds import FOLDED, opened, said, used
from app.web.workflows.inputs import fields_of
from app.web.workflows.preview import counts, look, pieces
from app.web.workflows.row_choices import row_choices
from app.web.workflows.sample_grants import sampling
from app.web.workflows.version_diff import SavedMeanwhile, saved_meanwhile
from app.web.workflows.workflow_facts import live


@bp.get("/workflows/<int:workflow_id>/edit")
@requires("workflow:manage")
def edit(workflow_id: int) -> ResponseReturnValue:
    """The newest version as a draft. `step` in the address opens the step of that key."""
    workflow = live(workflow_id)
    version = newest_version(db.session(), workflow)
    draft = Draft.of(stored_steps(version.steps) if version else [], workflow.version_number)
    wanted = request.args.get("step", "")
    if any(slot.uid == wanted for slot in draft.slots):
        draft.show(wanted)
    return _page(workflow, draft, unreadable=read_version(version).problem if version else "")


@bp.post("/workflows/<int:workflow_id>/edit")
@requires("workflow:manage")
def change(workflow_id: int) -> ResponseReturnValue:
    """Do what the pressed button says to the draft, or save it."""
    workflow = live(workflow_id)
    draft = draft_of_form()
    do = request.form.get("do", "")
    if do == "save" and not draft.errors:
        return _save(workflow, draft)
    try:
        focus = moves.apply(draft, do, connections=_by_type(workflow))
    except Invalid as refused:
        if not refused.errors:
            raise
        return _page(workflow, draft, errors=refused.errors), 422
    if draft.errors and (do == "save" or not focus):
        return _page(workflow, draft, refused=True), 422
    return _page(workflow, draft, focus=focus)


def draft_of_form() -> Draft:
    """The draft as the editor's form holds it; raises Invalid for a form that is none."""
    draft = Draft.from_form(request.form.to_dict(flat=False))
    find_people(draft)
    return draft


def _save(workflow: Workflow, draft: Draft) -> ResponseReturnValue:
    workflow_id = workflow.id
    try:
        data = parse(VersionIn, {"steps": draft.steps(), "note": draft.note, "based_on": draft.based_on})
        with transaction() as session:
            saved = workflows.save_version(
                session, current_actor(), live(workflow_id, session=session), data, now=now()
            )
            number, is_new = (saved.version.number if saved.version else 0), saved.is_new
    except Conflict as conflict:
        return _saved_meanwhile(live(workflow_id), draft, conflict.message)
    except Invalid as refused:
        _open_first(draft, refused.errors)
        return _page(live(workflow_id), draft, errors=refused.errors, refused=True), 422
    if is_new:
        flash(f"Version {number} is saved. Open runs stay on the version that they started with.", "ok")
    else:
        flash("Nothing had changed, so no version was made.", "info")
    return see_other(url_for(".edit", workflow_id=workflow_id))


def _saved_meanwhile(workflow: Workflow, draft: Draft, message: str) -> Response:
    """409: the draft stays, and saving it again is then a decision made with the difference known."""
    conflict = saved_meanwhile(db.session(), workflow, draft, message)
    draft.based_on = workflow.version_number
    response = make_response(_page(workflow, draft, conflict=conflict), 409)
    return retarget(response, "#editor", "outerHTML") if is_fragment() else response


def _open_first(draft: Draft, errors: Sequence[FieldError]) -> None:
    """Open the first step that was refused, unless the open one is among them."""
    positions = sorted(cards.by_step(errors))
    uids = [draft.slots[at].uid for at in positions if at < len(draft.slots)]
    if uids and draft.open not in uids:
        draft.show(uids[0])


def _by_type(workflow: Workflow) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in connections_by_name(db.session(), workflow.application_id):
        found.setdefault(one.type, []).append(str(one.id))
    return found


def page(workflow: Workflow, draft: Draft, **more: Any) -> str:
    """The whole editor with what else its page shows, such as what trying the draft came to."""
    return _page(workflow, draft, more=more)


def _page(
    workflow: Workflow,
    draft: Draft,
    *,
    errors: Sequence[FieldError] = (),
    refused: bool = False,
    conflict: SavedMeanwhile | None = None,
    focus: str = "",
    unreadable: str = "",
    more: dict[str, Any] | None = None,
) -> str:
    if draft.open:
        show_person(draft)
    reading = cards.read(draft)
    info = scope_info(db.session(), workflow, reading.definition)
    reading = reading.checked(info)
    draft.is_refused = draft.is_refused or refused or bool(errors)
    # Once a save was refused, what is wrong stays beside its step and field until it is mended.
    marked = errors or (reading.errors if draft.is_refused else ())
    at = draft.slots.index(draft.slot(draft.open)) if draft.open else -1
    form = cards.open_form(draft, cards.by_step(marked).get(at, ()))
    template = "workflows/_editor.html" if is_fragment() else "workflows/edit.html"
    return render_template(
        template,
        workflow=workflow,
        unreadable=unreadable,
        trigger_label=Trigger(workflow.trigger).label,
        draft=draft,
        cards=cards.cards(draft, reading, marked),
        notes=reading.notes,
        form=form,
        counts=counts(moves.form_of(draft), form.errors),
        step_types=[(kind, StepType(kind).label, one.icon) for kind, one in FORMS.items()],
        summary=_summary(draft, errors),
        refused=refused or bool(errors),
        conflict=conflict,
        focus="" if refused or errors else focus,
        may_try=may(current_actor(), "grant:read"),
        **(more or {"trial": None}),
        **_choices(workflow, draft, reading, info, open_folds=opened(draft.open, form.errors, focus)),
        **application_header(load(db.session(), Application, workflow.application_id), "workflows"),
    )


def _summary(draft: Draft, errors: Sequence[FieldError]) -> list[tuple[str, str]]:
    """What was refused: words, and the id of the element that they are about."""
    lines = [(one.message, f"step-{draft.open}-{one.field}") for one in draft.errors]
    for at, found in cards.by_step(errors).items():
        slot = draft.slots[at] if at < len(draft.slots) else None
        if slot is None:
            continue
        where = f"{at + 1}. {slot.name}: "
        shown = fields_of(found, draft.typed)
        for error, one in zip(found, shown, strict=True):
            place = one.field if slot.uid == draft.open else "open"
            lines.append((f"{where}{error.message}", f"step-{slot.uid}-{place}"))
    lines += [(one.message, "") for one in errors if not one.field.startswith("steps[")]
    return lines


def _choices(
    workflow: Workflow, draft: Draft, reading: cards.Reading, info: ScopeInfo, *, open_folds: set[str]
) -> dict[str, Any]:
    if not draft.open:
        return {}
    kind = first(draft.typed, "type")
    sample = sampling(workflow, draft.sample, info)
    targets = cards.targets(draft)
    return {
        "sampling": sample,
        "preview": look(db.session(), draft, reading, info, sample.sample),
        "pieces": pieces,
        "filters": FILTERS,
        "methods": [(one, one) for one in METHODS],
        "connections": [
            (str(one.id), one.name)
            for one in connections_by_name(db.session(), workflow.application_id)
            if one.type == kind
        ],
        "group_choices": group_choices(),
        "targets": targets,
        "kinds": row_choices(targets),
        "said": said(draft.typed, targets),
        "opened": open_folds,
        "used": used(draft.typed) | open_folds,
        "shapes": [(key, one.known_as) for key, one in SHAPES.items() if one.known_as],
        "units": [(str(seconds), words) for seconds, words in UNITS.items()],
        "rows": {name: _rows(draft, group) for name, group in moves.form_of(draft).groups.items()},
        "step_form": moves.form_of(draft),
        "step_template": f"steps/{kind_shown(kind)}.html",
    }


def _rows(draft: Draft, group: RowGroup) -> list[tuple[str, ...]]:
    """The rows of a group as typed, the last one blank but in a fold."""
    rows = table(draft.typed, *group.columns)
    if group in FOLDED:
        return rows
    ends_blank = bool(rows) and not any(rows[-1][at].strip() for at in group.typed)
    return rows if ends_blank else [*rows, ("",) * len(group.columns)]


@bp.post("/workflows/<int:workflow_id>/edit/preview")
@requires("workflow:manage")
def preview(workflow_id: int) -> ResponseReturnValue:
    """What the open step of the draft would send for the chosen sample, and what is wrong with it."""
    workflow = live(workflow_id)
    draft = draft_of_form()
    reading = cards.read(draft)
    info = scope_info(db.session(), workflow, reading.definition)
    sample = sampling(workflow, draft.sample, info).sample
    found = look(db.session(), draft, reading.checked(info), info, sample)
    if found is None:
        return "", 204
    return render_template(
        "workflows/_previewed.html", preview=found, pieces=pieces, at=f"step-{draft.open}", apart=True
    )


_MAX_GROUPS = 500


def find_people(draft: Draft) -> None:
    """An email address typed as the assignee becomes the person's id; another text stays, to be refused."""
    slot = draft.opened
    assignee = slot.step.get("assignee") if slot else None
    if slot is None or not isinstance(assignee, dict) or not isinstance(assignee.get("user_id"), str):
        return
    found = db.session.scalar(
        select(User.id).where(func.lower(User.email) == str(assignee["user_id"]).lower())
    )
    if found is not None:
        slot.step["assignee"] = {"user_id": str(found)}


def show_person(draft: Draft) -> None:
    """Where a person is stored as an id, the editor shows their email address."""
    number = record_id(first(draft.typed, "person"))
    person = db.session.get(User, number) if number else None
    if person is not None:
        draft.retype({"person": [person.email]})


def group_choices() -> list[tuple[str, str]]:
    """The groups as choices of who may do a task."""
    rows = db.session.execute(select(Group.id, Group.name).order_by(Group.name).limit(_MAX_GROUPS))
    return [(f"group:{number}", f"Group: {name}") for number, name in rows]
