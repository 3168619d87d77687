"""Bugs put into the machine on purpose, each of which the properties must find: else they prove nothing.

A seed replaces one passage of the source.  When a passage is no longer there once, its seed needs a new home.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from app.domain.runs import decide as deciding
from app.domain.runs import run as folding
from tests.support.domain.run_machine import RunMachine
from tests.support.domain.seeds import seed

BRIEFLY = settings(
    stateful_step_count=50,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)

SEEDS = {
    "a stale run starts its next step": (
        deciding,
        "if (why := _stale(run, world)) is not None:\n        return [*reached,",
        "if (why := None) is not None:\n        return [*reached,",
    ),
    "a stale run is proceeded with": (
        deciding,
        "if (why := _stale(run, world)) is not None:\n        return [m.RunEnded",
        "if (why := None) is not None:\n        return [m.RunEnded",
    ),
    "a stale run is retried": (
        deciding,
        "run.status is RunStatus.FAILED and world.stale is None",
        "run.status is RunStatus.FAILED",
    ),
    "a task of a stale run is acted on": (
        deciding,
        "if world.stale is not None:\n        return _superseded",
        "if False:\n        return _superseded",
    ),
    "a stale run waits to try again": (
        deciding,
        "goes_on = not run.cancel_requested and _stale(run, world) is None",
        "goes_on = not run.cancel_requested",
    ),
    "a compensation under way is given up when the run is stale": (
        deciding,
        "return None if under_way and _step(run).calls_out else world.stale",
        "return world.stale",
    ),
    "a retry does not give fresh tries": (
        folding,
        "status=RunStatus.RUNNING, tries=0, deaths=0",
        "status=RunStatus.RUNNING, deaths=0",
    ),
    "the next step inherits the tries of the last": (
        folding,
        "case m.StepReached(step=step):\n            return replace(run, cursor=step, attempt=0, tries=0,",
        "case m.StepReached(step=step):\n            return replace(run, cursor=step, attempt=0,",
    ),
    "a lost answer is sent again although a person was to be asked": (
        deciding,
        'step.retry.lost_answer == "ask"',
        'step.retry.lost_answer == "never"',
    ),
    "a lost answer is not flagged": (
        deciding,
        "unknown = outcome.lost and not step.idempotent",
        "unknown = False",
    ),
    "a lost answer is forgotten at the next try": (
        deciding,
        "m.StepFailed(step.key, outcome, unknown or run.unknown)",
        "m.StepFailed(step.key, outcome, unknown)",
    ),
    "every failure is tried again, a 4xx too": (
        deciding,
        "not asks and outcome.failure in TRANSIENT and again",
        "not asks and again",
    ),
    "one try too many": (deciding, "run.tries < step.retry.attempts", "run.tries <= step.retry.attempts"),
    "one try too few": (deciding, "run.tries < step.retry.attempts", "run.tries + 1 < step.retry.attempts"),
    "compensation is skipped": (
        deciding,
        "return begun + _begin(fold(run, begun), key, world)",
        "return [*begun, m.RunEnded(RunStatus.COMPENSATED)]",
    ),
    "a failed compensation counts as done": (
        deciding,
        "if run.compensating:\n        return m.RunEnded(RunStatus.FAILED)",
        "if run.compensating:\n        return m.RunEnded(RunStatus.COMPENSATED)",
    ),
    "deaths are not counted": (folding, "return replace(run, deaths=deaths, ", "return replace(run, "),
    "deaths never park a run": (deciding, "MAX_DEATHS = 3", "MAX_DEATHS = 99"),
    "a death costs an idempotent step a try": (
        deciding,
        "costs_try=not forgiven",
        "costs_try=True",
    ),
    "a death is forgiven although the step is not idempotent": (
        deciding,
        "forgiven = step.idempotent and",
        "forgiven = True and",
    ),
    "a late answer is accepted": (
        deciding,
        "if not run.in_flight or step != run.cursor or attempt != run.attempt:",
        "if run.cursor != step:",
    ),
    "the answer of an earlier try is accepted": (deciding, " or attempt != run.attempt:", ":"),
    "attempt numbers begin anew": (
        deciding,
        "number = max(world.made(key), run.attempt if run.cursor == key else 0) + 1",
        "number = run.tries + 1",
    ),
    "a cancel is ignored while a call is out": (
        folding,
        "return replace(run, cancel_requested=True)",
        "return run",
    ),
    "a cancelled run goes on to its next step": (
        deciding,
        "if run.cancel_requested:\n        return [*reached,",
        "if False:\n        return [*reached,",
    ),
    "a cancel does not wait for the call": (
        deciding,
        "if run.in_flight:\n        return [requested]",
        "if False:\n        return [requested]",
    ),
    "a task stays open when its run ends": (
        deciding,
        "if run.task is None or run.cursor is None:\n        return []",
        "return []",
    ),
    "a task can be acted on twice": (
        deciding,
        "if run.task is None or run.status is not RunStatus.WAITING_MANUAL:",
        "if run.cursor is None:",
    ),
    "an ignored failure leaves no trace": (
        folding,
        "return replace(run, failure_ignored=True)",
        "return run",
    ),
    "continuing anyway sends the failed step again": (
        deciding,
        "return ignored + _reach(fold(run, ignored), run.definition.next_after(step.key), world)",
        "return ignored + _reach(fold(run, ignored), step.key, world)",
    ),
    "a second report of a death cuts a backoff short": (
        deciding,
        "if not run.in_flight:\n        return []",
        "if not run.in_flight:\n        return [m.WorkerDied(run.cursor, run.deaths)]",
    ),
    "a call goes out on a parked connection": (
        deciding,
        "if step.connection_id in world.parked:",
        "if False:",
    ),
    "an outage costs a run its tries": (deciding, "gives_back=True", "gives_back=False"),
    "a call that never left costs the run a try": (deciding, "due, costs_try=False", "due"),
    "an outage fails a run": (
        deciding,
        "outcome.failure in OUTAGE and step.connection_id in world.parked",
        "False",
    ),
    "an outage hides that an answer was lost": (
        deciding,
        "if goes_on and not unknown and not run.one_off and",
        "if goes_on and not run.one_off and",
    ),
    "a run says again and again that it waits": (
        deciding,
        "return [] if waits_already else",
        "return",
    ),
    "a run that is let go on still counts as waiting": (
        folding,
        "in_flight=True, waits_for=None",
        "in_flight=True",
    ),
    "a call is ordered where nobody can make it": (deciding, "if not world.may_send:", "if False:"),
}


def try_everything(examples: int = 150) -> None:
    run_state_machine_as_test(RunMachine, settings=settings(BRIEFLY, max_examples=examples))


def test_without_a_bug_the_properties_hold():
    try_everything(examples=30)


@pytest.mark.parametrize("bug", SEEDS)
def test_the_properties_find(bug, monkeypatch):
    seed(monkeypatch, *SEEDS[bug])
    with pytest.raises(AssertionError):
        try_everything()
