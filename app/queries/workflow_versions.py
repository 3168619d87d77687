"""Workflows and their versions as they were saved, and the one answer to a version that cannot be read.

Saving refuses steps that cannot be read, so such a version was damaged since, or written by a newer console.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, Select, select
from sqlalchemy.orm import Session, defer, object_session

from app.domain.steps.registry import Step
from app.domain.workflows.definition import Definition, parse_definition
from app.errors import Conflict, NotFound
from app.models import Workflow, WorkflowVersion
from app.queries.paging import page_by_number

# The largest number that the column holds.
_MAX_NUMBER = 2**31 - 1


class UnreadableVersion(Conflict):
    """What was asked for needs the steps of a version that cannot be read."""


@dataclass(frozen=True, slots=True)
class ReadVersion:
    """What a stored version says: its steps, or `problem`, as a sentence that says what to do, and no steps."""

    definition: Definition
    problem: str = ""

    def step(self, key: str | None) -> Step | None:
        """The step of that key, where it is known."""
        return self.definition.step(key) if key is not None and key in self.definition else None

    def required(self) -> Definition:
        """The steps; raises UnreadableVersion where there is nothing to be done without them."""
        if self.problem:
            raise UnreadableVersion(self.problem)
        return self.definition


def read_steps(number: int, steps: object) -> ReadVersion:
    """What the stored steps of version `number` say."""
    definition, problems = parse_definition(steps)
    if definition is not None:
        return ReadVersion(definition)
    what = f"{problems[0].field}: {problems[0].message}"
    return ReadVersion(
        Definition(),
        f"Version {number} cannot be read ({what.rstrip('.')}). Restore another version, or save the steps anew.",
    )


def read_version(version: WorkflowVersion) -> ReadVersion:
    """What a version that is loaded already says."""
    session = object_session(version)
    if session is None:
        return read_steps(version.number, version.steps)
    cache = _cache_for(session.get_bind())
    found = cache.get(version.id)
    return (
        ReadVersion(found) if found is not None else _read(cache, version.id, version.number, version.steps)
    )


def definition_of(version: WorkflowVersion) -> Definition:
    """The steps of a version; raises UnreadableVersion."""
    return read_version(version).required()


def stored_steps(steps: object) -> list[dict[str, Any]]:
    """A version's steps as they are stored, as far as they are any: what mending a damaged one begins with."""
    return [one for one in steps if isinstance(one, dict)] if isinstance(steps, list) else []


def versions_by_id(connection: Connection, version_ids: Collection[int]) -> dict[int, ReadVersion]:
    """What these versions say, in one statement, or none when all have been read before."""
    cache = _cache_for(connection)
    known = {one: cache.get(one) for one in version_ids}
    found = {one: ReadVersion(definition) for one, definition in known.items() if definition is not None}
    missing = [one for one in known if one not in found]
    if missing:
        columns = (WorkflowVersion.id, WorkflowVersion.number, WorkflowVersion.steps)
        for row in connection.execute(select(*columns).where(WorkflowVersion.id.in_(missing))):
            found[row.id] = _read(cache, row.id, row.number, row.steps)
    return found


def step_names(session: Session, version_ids: Collection[int]) -> dict[tuple[int, str | None], str]:
    """The steps' names by version and key; none of a version that cannot be read."""
    found = versions_by_id(session.connection(), version_ids)
    return {(number, step.key): step.name for number, one in found.items() for step in one.definition.steps}


def version_list(
    session: Session,
    workflow: Workflow,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    with_steps: bool = True,
) -> Sequence[WorkflowVersion]:
    """Up to `limit` versions of a workflow, the newest first, from a neighbour's number on."""
    statement = select(WorkflowVersion).where(WorkflowVersion.workflow_id == workflow.id)
    if not with_steps:
        statement = statement.options(defer(WorkflowVersion.steps, raiseload=True))
    before, after = (None if one is None else min(one, _MAX_NUMBER) for one in (before, after))
    return session.scalars(
        page_by_number(statement, WorkflowVersion.number, before, after).limit(limit)
    ).all()


def version_of(session: Session, workflow: Workflow, number: int) -> WorkflowVersion:
    """The workflow's version `number`; raises NotFound."""
    wanted = select(WorkflowVersion).where(
        WorkflowVersion.workflow_id == workflow.id, WorkflowVersion.number == min(number, _MAX_NUMBER)
    )
    found = session.scalars(wanted).one_or_none()
    if found is None:
        raise NotFound(f"This workflow has no version {number}.")
    return found


def newest_version(session: Session, workflow: Workflow) -> WorkflowVersion | None:
    """The workflow's newest version, None while it has none."""
    return None if workflow.version_id is None else session.get_one(WorkflowVersion, workflow.version_id)


def saved_definition(session: Session, workflow: Workflow, number: int) -> Definition:
    """The steps of version `number`; raises NotFound, and UnreadableVersion."""
    return definition_of(version_of(session, workflow, number))


def newest_definition(session: Session, workflow: Workflow) -> Definition:
    """The steps of the newest version, none while there is no version; raises UnreadableVersion."""
    return read_newest(session, workflow).required()


def read_newest(session: Session, workflow: Workflow) -> ReadVersion:
    """What the workflow's newest version says; no steps while it has none."""
    if workflow.version_id is None:
        return ReadVersion(Definition())
    return versions_by_id(session.connection(), {workflow.version_id})[workflow.version_id]


class _DefinitionCache:
    """Parsed versions by id. Versions never change, so an entry is right for ever; the oldest is dropped."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[int, Definition] = OrderedDict()
        self._lock = Lock()

    def get(self, version_id: int) -> Definition | None:
        with self._lock:
            return self._kept.get(version_id)

    def put(self, version_id: int, definition: Definition) -> None:
        with self._lock:
            self._kept[version_id] = definition
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


_caches: dict[str, _DefinitionCache] = {}


def _cache_for(bind: Connection | Engine) -> _DefinitionCache:
    # Ids repeat between databases, which one process (a test run) may use several of.
    return _caches.setdefault(str(bind.engine.url), _DefinitionCache(256))


def forget_definitions() -> None:
    """Drop what is cached: for tests, which make databases anew under the same name."""
    _caches.clear()


def _read(cache: _DefinitionCache, version_id: int, number: int, steps: object) -> ReadVersion:
    found = read_steps(number, steps)
    if not found.problem:
        cache.put(version_id, found.definition)
    return found


# A workflow and its newest version, None while it has none.
Newest = tuple[Workflow, WorkflowVersion | None]


def workflow_list(
    session: Session, application_id: int, *, limit: int, before: int | None = None
) -> list[Newest]:
    """Up to `limit` live workflows of an application, the oldest first; `before` reads on behind that one."""
    statement = _live().where(Workflow.application_id == application_id)
    rows = session.execute(page_by_number(statement, Workflow.id, before, None, rising=True).limit(limit))
    return [(workflow, version) for workflow, version in rows]


def live_workflow(session: Session, workflow_id: int) -> Newest | None:
    """A workflow that is not deleted; None without one."""
    found = session.execute(_live().where(Workflow.id == workflow_id)).one_or_none()
    return (found[0], found[1]) if found else None


def _live() -> Select[Workflow, WorkflowVersion]:
    newest = WorkflowVersion.id == Workflow.version_id
    return (
        select(Workflow, WorkflowVersion)
        .outerjoin(WorkflowVersion, newest)
        .where(Workflow.deleted_at.is_(None))
    )
