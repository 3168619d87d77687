"""A walk without an outside world comes to an end, whatever is supposed on its way."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.runs.simulate import Known, Supposing, walk
from app.domain.states import RunStatus
from app.domain.steps.base import GoTo
from app.domain.steps.conditions import Condition, Is
from app.domain.workflows.definition import Definition
from tests.support.domain.workflow_strategies import workflows

conditions = st.sampled_from(
    [
        (),
        (Condition("{{ account.id }}", Is.EMPTY),),
        (Condition("{{ account.id }}", Is.NOT_EMPTY),),
        (Condition("{{ account.id | number }}", Is.EMPTY),),
    ]
)


@given(workflows(), st.data())
def test_every_walk_ends_and_comes_to_no_step_twice(definition: Definition, data: st.DataObject) -> None:
    keys = [one.key for one in definition.steps]
    ordinary = [key for key in keys if key not in definition.compensation_keys]
    steps = []
    for one in definition.steps:
        later = ordinary[ordinary.index(one.key) + 1 :] if one.key in ordinary else []
        ways = {404: GoTo(data.draw(st.sampled_from(later)))} if later and one.calls_out else {}
        changed = {"on_status": ways} if one.calls_out else {}
        steps.append(replace(one, only_if=data.draw(conditions), **changed))
    some = st.lists(st.sampled_from(keys), max_size=2, unique=True)
    supposing = Supposing(
        failing=data.draw(some),
        statuses=dict.fromkeys(data.draw(some), data.draw(st.sampled_from([200, 404, 500]))),
        absent=data.draw(st.sampled_from([(), ("account.id",)])),
    )
    found = walk(
        Definition(tuple(steps)),
        known=Known({}, data.draw(st.sampled_from([{}, {"id": "u-7"}])), {}),
        look=lambda _step, _known: None,
        filled=lambda known: {"account": dict(known.account)},
        supposing=supposing,
    )
    visited = [one.step.key for one in found.visits]
    assert len(visited) == len(set(visited))
    assert found.end is RunStatus.WAITING_MANUAL or not found.end.is_open
    for one in found.visits:
        assert one.skipped in ("", *(f"Condition not met: “{term.words}”." for term in one.step.only_if))
        assert one.branch is None or (one.ok and supposing.statuses[one.step.key] == one.branch)
        assert not one.ok or not (one.step.key in supposing.failing and one.outcome == "succeeded")
