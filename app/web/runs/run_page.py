"""Everything that a run's page and its fragment show, gathered by one function: the two cannot differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy.orm import Session

from app.clock import now as clock_now
from app.domain.states import RunStatus, Trigger
from app.errors import NotFound
from app.models import AttemptStatus, ManualTask, Run
from app.permissions import Actor, may
from app.queries.connections import Parking, parkings_of
from app.queries.recovery_plan import Action, RecoveryPlan, overridable_fields, plan
from app.queries.replay import asks_to_regrant, replay_refusals
from app.queries.run_rules import waits_for
from app.queries.run_words import Actions, RunChip, actions, failure_words, run_chip_of
from app.queries.runs import RunDetail, run_detail
from app.queries.system import may_see_system
from app.queries.task_rules import MayAct, may_act
from app.queries.timeline import Entry, timeline
from app.queries.trouble import QueueTrouble, queue_trouble
from app.queue import RunQueue
from app.web.polling import Poll, Watched, pace, watched_as
from app.web.runs.timeline import SYSTEM_HEALTH, EventLine, StepCard, draw, failed_entry, task_page
from app.web.template_filters import absolute


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as its page shows it at one moment.

    `failure` is the try that failed the run, `waiting` the turn of a person, `ahead`
    the run whose turn comes first, `parked` the connection that it waits for, `not_reached` the names of the
    steps that no try was made of.
    Of a failed run `retry_plan` is what Retry would do, `fields` what one-off values may be given for;
    `regrant`: the way on is to revoke and to grant again, and the reader may.
    `sees_records`: the reader may open the person, the application and the grant; `may_act`: the task.
    """

    detail: RunDetail
    at: datetime
    chip: RunChip
    actions: Actions
    retry_plan: RecoveryPlan | None
    regrant: bool
    fields: Sequence[str]
    entries: Sequence[StepCard | EventLine]
    poll: Poll
    failure: Entry | None
    waiting: Entry | None
    ahead: int | None
    parked: Parking | None
    trouble: QueueTrouble | None
    not_reached: Sequence[str]
    announcement: str
    health_href: str
    sees_records: bool
    may_act: MayAct | None

    @property
    def run(self) -> Run:
        return self.detail.run

    @property
    def trigger(self) -> Trigger:
        return Trigger(self.run.trigger)

    @property
    def duration_ms(self) -> float | None:
        """How long the run took, or has been going."""
        if self.run.started_at is None:
            return None
        return ((self.run.finished_at or self.at) - self.run.started_at).total_seconds() * 1000

    @property
    def task_href(self) -> str:
        """The task that the run waits for; "" when it waits for none."""
        return task_page(self.waiting.task_id) if self.waiting and self.waiting.task_id else ""

    @property
    def waiting_since(self) -> str:
        """Since when, and until when, the run waits for a person."""
        if self.waiting is None:
            return ""
        due = f" Due {absolute(self.waiting.due_at)}." if self.waiting.due_at else ""
        return f"Since {absolute(self.waiting.at)}.{due}"

    @property
    def told_to_wait(self) -> str:
        """Since when, and until when at most, the other system is asked again; "" when it is not."""
        since, step = self.run.told_to_wait_at, self.detail.version.step(self.run.cursor)
        if since is None or step is None or step.call is None:
            return ""
        until = since + timedelta(seconds=step.call.retry.poll.for_seconds)
        again = f" It is asked again {absolute(self.run.due_at)}." if self.run.due_at else ""
        return f"It has said “not yet” since {absolute(since)}.{again} It is asked until {absolute(until)}."

    @property
    def poll_words(self) -> str:
        """What the page does to stay up to date."""
        if self.poll.seconds:
            return "Updating live."
        if self.run.status == RunStatus.WAITING_MANUAL:
            return "A person is to act next. Reload to see whether someone has."
        return "Finished. This page is no longer updating."

    @property
    def failure_sentence(self) -> str:
        """Where and with what the run failed."""
        name = self.detail.step_name(self.run.failure_step)
        where = f"Failed at “{name}”" if name else "Failed"
        words = failure_words(self.run.failure_class, self.run.failure_status)
        return f"{where}: {words}." if words else f"{where}."


def find(session: Session, run_id: int) -> RunDetail:
    """The run with that number; raises NotFound without one."""
    detail = run_detail(session, run_id)
    if detail is None:
        raise NotFound(f"There is no run {run_id}, or you may not see it.")
    return detail


def locked(session: Session, run_id: int) -> Run:
    """The run as it stands, kept from everybody else who would move it."""
    run = session.get(Run, run_id, with_for_update={"key_share": True}, populate_existing=True)
    if run is None:
        raise NotFound(f"There is no run {run_id}, or you may not see it.")
    return run


def live_of(session: Session, run_id: int, actor: Actor) -> RunView:
    """The run as `actor` sees it now; raises NotFound without one."""
    detail, now = find(session, run_id), clock_now()
    run = detail.run
    entries = timeline(session, run, detail.version)
    ahead = waits_for(session, run)
    run_queue: RunQueue = current_app.extensions["run_queue"]
    turns = [one for one in entries if one.kind == "attempt"]
    waiting = next((one for one in turns if one.outcome is AttemptStatus.WAITING), None)
    chip = run_chip_of(run, now=now, of=detail.of)
    no_replay = replay_refusals(session, [run], {run.id: detail.stale})[run.id]
    return RunView(
        detail=detail,
        at=now,
        chip=chip,
        actions=actions(
            run,
            actor,
            stale=detail.stale,
            replaced_by=detail.replaced_by,
            no_replay=no_replay,
            unreadable=detail.version.problem,
        ),
        retry_plan=plan(session, run, Action.RETRY) if run.status == RunStatus.FAILED else None,
        regrant=asks_to_regrant(no_replay) and may(actor, "grant:write"),
        fields=overridable_fields(session, run) if run.status == RunStatus.FAILED else (),
        entries=draw(entries, run, actor, now),
        poll=run_poll(watched_as(run), now),
        failure=failed_entry(turns, run) if run.status == RunStatus.FAILED else None,
        waiting=waiting,
        ahead=ahead,
        parked=parkings_of(session, [run.waits_for_id]).get(run.waits_for_id) if run.waits_for_id else None,
        trouble=None
        if ahead is not None
        else queue_trouble(session, run, now=now, queue_problem=lambda: run_queue.look().problem),
        not_reached=_not_reached(detail, turns),
        announcement=_announcement(detail, turns, chip),
        health_href=SYSTEM_HEALTH if may_see_system(actor) else "",
        sees_records=may(actor, "grant:read"),
        may_act=_may_act(session, actor, waiting),
    )


def run_poll(run: Watched, now: datetime) -> Poll:
    """How the page of a run asks; of one that stays queued it says, by the minute, what holds it up."""
    status, age = RunStatus(run.status), now - run.changed_at
    if status is RunStatus.QUEUED and age > timedelta(minutes=1):
        return run.poll(10, minute=age)
    return run.poll(pace(age) if status.moves_by_itself else 0)


def _may_act(session: Session, actor: Actor, waiting: Entry | None) -> MayAct | None:
    if waiting is None or waiting.task_id is None:
        return None
    return may_act(session, actor, session.get_one(ManualTask, waiting.task_id))


def _not_reached(detail: RunDetail, turns: Sequence[Entry]) -> list[str]:
    tried = {one.step for one in turns}
    undoing = detail.definition.compensation_keys
    return [
        f"{place}. {step.name}"
        for place, step in enumerate(detail.definition.steps, start=1)
        if step.key not in tried and step.key not in undoing
    ]


def _announcement(detail: RunDetail, turns: Sequence[Entry], chip: RunChip) -> str:
    """One sentence for those who hear the page: where the run stands."""
    run = detail.run
    if not RunStatus(run.status).is_open or not turns:
        return f"Run {run.id}: {chip.label}."
    last = turns[-1]
    step = f"Step {last.step_number} of {len(detail.definition.steps)}, {last.step_name}"
    if last.outcome is AttemptStatus.WAITING:
        return f"{step}, is waiting for a person."
    if last.outcome is AttemptStatus.STARTED:
        return f"{step}, is running."
    return f"{step}: {chip.label}."
