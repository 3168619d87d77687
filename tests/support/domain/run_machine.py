"""Signals in any order, repeated and late: the rules that a run never breaks.

The judge (tests/support/domain/judge.py) checks every event; the machine plays workers, other systems and people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.domain.runs import decide as deciding
from app.domain.runs import signals as m
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from app.domain.states import RunStatus, TaskOrigin, TaskOutcome
from app.domain.steps.human.step import HumanStep
from app.domain.workflows.definition import Definition
from tests.support.domain.judge import Judge
from tests.support.domain.runs import STALE
from tests.support.domain.workflow_strategies import workflows

# What the other system does with a call: is it carried out, and what do we hear of it?
ANSWERS: dict[str, tuple[bool, Outcome]] = {
    "done": (True, Outcome.success(201, {"id": "7"})),
    "done, but the answer is lost": (True, Outcome.failed(F.TIMEOUT, lost=True)),
    "not done, and the answer is lost": (False, Outcome.failed(F.NETWORK, lost=True)),
    "never reached": (False, Outcome.failed(F.NETWORK)),
    "not let out": (False, Outcome.failed(F.TIMEOUT, ours=True)),
    "broken": (False, Outcome.failed(F.HTTP_5XX, http_status=503, retry_after=20)),
    "not yet": (False, Outcome.failed(F.WAIT, http_status=429)),
    "refused": (False, Outcome.failed(F.HTTP_4XX, http_status=422)),
    "done, but the id is missing": (True, Outcome.failed(F.MAPPING, http_status=201)),
}
DEATHS = ["the worker dies before the send", "the worker dies after the send"]
PASSING = ["broken", "broken", "not yet", "never reached", "not let out"]
PASSING += ["done, but the answer is lost"] * 2
FINAL = ["refused", "refused", "done, but the id is missing", "not done, and the answer is lost"]
fates = st.sampled_from(["done"] * 9 + PASSING + FINAL + DEATHS)
rough_fates = st.sampled_from(PASSING + FINAL + DEATHS * 3)
acts = st.sampled_from([TaskOutcome.SUBMITTED] * 3 + [TaskOutcome.RETRIED] * 2 + list(TaskOutcome))


@dataclass(frozen=True)
class Turn:
    """What happens next, in each case that the run may be in."""

    fate: str
    rough_fate: str
    act: TaskOutcome
    may_send: bool
    is_outage: bool  # is the connection parked by the time of the answer?


seldom = st.sampled_from([False, False, False, True])
turns = st.builds(Turn, fates, rough_fates, acts, seldom.map(lambda one: not one), seldom)
a_third = st.sampled_from([False, False, True])
disturbances = st.sampled_from(
    ["none"] * 6
    + ["an old signal arrives again"] * 3
    + ["the grant changes", "the grant changes unnoticed", "a person cancels", "from here on all goes well"]
    + ["the grant changes unnoticed", "a connection is parked"]
)
AFTER_THE_END = [
    m.Proceed(),
    m.WorkerLost(),
    m.TaskActed(TaskOutcome.SUBMITTED, "bob", {}),
    m.Cancel("bob", "too late"),
]
REOPENING = [m.Retry("bob"), m.Supersede()]


class RunMachine(RuleBasedStateMachine):
    @initialize(workflow=workflows(), rough=a_third)
    def a_run_is_queued(self, workflow: Definition, rough: bool) -> None:
        self.judge = Judge(workflow)
        self.sent: list[m.Signal] = []
        self.told = True  # has the run heard of the grant's last change?
        self.rough = rough

    def send(self, signal: m.Signal) -> Any:
        if isinstance(signal, m.Answered | m.TaskActed | m.WorkerLost):
            self.sent.append(signal)
        events = self.judge.send(signal)
        if any(isinstance(one, m.RunEnded) for one in events):
            event(f"a run ended {self.judge.run.status.value}")
        return events

    @property
    def status(self) -> RunStatus:
        return self.judge.run.status

    @rule(turn=turns, data=st.data())
    def life_goes_on(self, turn: Turn, data: st.DataObject) -> None:
        """Whatever comes next for this run: steered, so that most runs come to an ending of their own."""
        self.judge.may_send = turn.may_send
        if self.judge.call is not None:
            fate = turn.rough_fate if self.rough else turn.fate
            if turn.is_outage and fate in PASSING:
                self.connection_is_parked()
            self.call_meets(fate)
        elif self.judge.task is not None:
            self.person_acts(turn.act)
        elif self.judge.waits is not None:
            self.connection_comes_back()
        elif self.judge.due is not None:
            self.worker_takes_the_run()
        elif self.status is RunStatus.FAILED and data.draw(st.booleans(), "retry"):
            assert bool(self.send(m.Retry("bob"))) == (self.judge.stale is None)
        else:
            self.a_run_is_queued(data.draw(workflows()), data.draw(a_third))

    @rule(what=disturbances, which=st.integers(0, 99), turn=turns, data=st.data())
    def life_is_disturbed(self, what: str, which: int, turn: Turn, data: st.DataObject) -> None:
        match what:
            case "a connection is parked":
                self.judge.parked.add(["1", "2"][which % 2])  # as the tests' steps have them
            case "a person cancels" if self.status.is_open:
                self.person_cancels()
            case "the grant changes" | "the grant changes unnoticed":
                self.judge.stale = STALE if self.judge.stale is None else None
                self.told = what == "the grant changes"
                if self.told:
                    self.send(m.Supersede())
            case "an old signal arrives again" if self.sent:
                self.signal_arrives_again(self.sent[which % len(self.sent)])
            case "from here on all goes well" if self.judge.stale is None:
                self.all_goes_well()
        self.life_goes_on(turn, data)

    def connection_is_parked(self) -> None:
        assert self.judge.call is not None
        step = self.judge.step(self.judge.call[0])
        assert not isinstance(step, HumanStep)
        self.judge.parked.add(step.connection_id)

    def connection_comes_back(self) -> None:
        event("a run waited for its connection")
        self.judge.may_send = True
        told = self.judge.stale is None or self.judge.undoing
        assert bool(self.send(m.Proceed())) != told, "a run that waits takes nothing but what ends it"
        if self.judge.waits is not None:
            self.judge.parked.clear()
            assert self.send(m.Proceed()), "a run that is let go on can move"

    def person_cancels(self) -> None:
        out = self.judge.call is not None
        self.judge.cancelled = True
        self.send(m.Cancel("bob", "no longer wanted"))
        assert (self.status is RunStatus.CANCELLED) != out, "at once, unless a call is out"

    def signal_arrives_again(self, old: m.Signal) -> None:
        died_again = isinstance(old, m.WorkerLost) and self.judge.call is not None
        acts_again = isinstance(old, m.TaskActed) and self.judge.task is not None
        if not died_again and not acts_again:
            assert deciding.decide(self.judge.run, old, self.judge.world) == []

    def all_goes_well(self) -> None:
        """Whatever has happened: when nothing more goes wrong, the run comes to an end."""
        for _ in range(4 * len(self.judge.run.definition.steps)):
            if self.judge.call is not None:
                self.call_meets("done")
            elif self.judge.task is not None:
                self.person_acts(TaskOutcome.SUBMITTED)
            elif self.judge.waits is not None:
                self.connection_comes_back()
            elif self.judge.due is not None:
                self.worker_takes_the_run()
        assert not self.status.is_open

    def worker_takes_the_run(self) -> None:
        assert self.judge.due is not None
        self.judge.now = max(self.judge.now, self.judge.due)
        self.judge.may_send = True
        assert self.send(m.Proceed()), "a run that is due can move"

    def call_meets(self, fate: str) -> None:
        assert self.judge.call is not None
        call = self.judge.call
        if fate in DEATHS:
            self.carry_out(fate == DEATHS[1])
            self.send(m.WorkerLost())
            assert self.send(m.Answered(*call, Outcome.success(201))) == [], (
                "a worker thought dead is too late"
            )
        else:
            carried_out, outcome = ANSWERS[fate]
            self.carry_out(carried_out)
            self.send(m.Answered(*call, outcome))

    def carry_out(self, really: bool) -> None:
        if not really:
            return
        assert self.judge.call is not None
        step, _ = self.judge.call
        self.judge.effects[step] += 1
        if self.judge.effects[step] > 1 and not self.judge.step(step).idempotent:
            assert self.judge.doubles_are_owned_up(step)
            event("an effect happened twice, as flagged or asked for")

    def person_acts(self, outcome: TaskOutcome) -> None:
        values = {"id": "7"} if outcome is TaskOutcome.SUBMITTED else {}
        asked = self.judge.task is TaskOrigin.ESCALATED_FAILURE
        events = self.send(m.TaskActed(outcome, "bob", values, "because"))
        refused = outcome is TaskOutcome.RETRIED and not asked and self.judge.stale is None
        assert bool(events) != refused

    @invariant()
    def something_can_always_move_an_open_run(self) -> None:
        judge = self.judge
        waits = judge.waits is not None
        movers = [judge.call is not None, judge.task is not None, judge.due is not None, waits]
        assert sum(movers) == int(self.status.is_open)
        assert judge.run.waits_for == judge.waits
        assert judge.run.in_flight == (judge.call is not None)
        assert judge.run.task is judge.task

    @invariant()
    def no_stale_run_lingers(self) -> None:
        judge = self.judge
        if judge.stale is not None and self.told and judge.call is None and not judge.undoing:
            assert not self.status.is_open
            assert self.status is not RunStatus.FAILED or judge.compensating

    @invariant()
    def what_is_over_stays_over(self) -> None:
        if self.status.is_open:
            return
        deaf = (
            AFTER_THE_END
            if self.status is RunStatus.FAILED
            else [*AFTER_THE_END, m.Retry("bob"), m.Supersede()]
        )
        for signal in deaf:
            assert deciding.decide(self.judge.run, signal, self.judge.world) == []
