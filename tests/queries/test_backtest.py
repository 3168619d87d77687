"""Backtest: which requests of the last grants another definition changes, and which it breaks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.connectors.http import HttpClient
from app.crypto import KeyRing
from app.errors import Invalid, NotFound
from app.models import ExternalAccount
from app.permissions import Actor
from app.queries.backtest import GRANTS, Backtest, Verdict, backtest
from app.queries.dry_run_diff import DifferenceKind
from app.services import grants
from tests.support.factories import NOW, add_version, human_step, make_user
from tests.support.services.dry_runs import Bench


class Many(Bench):
    """The bench with further people who have, or had, access."""

    def grant_to(self, name: str, *, revoked: bool = False, **person: Any) -> None:
        user = make_user(self.session, first_name=name, last_name="Example", **person)
        given = grants.grant(self.session, self.admin, application=self.application, user=user, now=NOW)
        if revoked:
            grants.revoke(self.session, self.admin, given, now=NOW)

    def test(self, *steps: dict[str, Any], **options: Any) -> Backtest:
        assert self.workflow is not None
        given = {"steps": list(steps)} if steps else {}
        return backtest(self.session, self.workflow, now=NOW, **given, **options)


@pytest.fixture
def bench(session: Session, admin: Actor) -> Many:
    return Many(session, admin)


def verdicts(found: Backtest) -> dict[str, Verdict]:
    return {one.person: one.verdict for one in found.tried}


def words(found: Backtest, at: int = 0) -> list[str]:
    return [one.words for one in found.tried[at].differences]


def test_the_same_steps_change_nothing(bench: Many) -> None:
    bench.set_up(bench.step())
    bench.grant_to("Bo", revoked=True)
    found = bench.test(bench.step())
    assert verdicts(found) == {"Bo Example": Verdict.SAME, "Ada Løvelace": Verdict.SAME}
    assert [one.is_active for one in found.tried] == [False, True]
    assert (found.findings, found.against) == ([], 1)


def test_a_changed_request_is_told_part_by_part(bench: Many) -> None:
    bench.set_up(bench.step(body={"userName": "{{ grantee.email }}", "active": True}))
    found = bench.test(
        bench.step(
            method="PUT",
            path="/People",
            headers={"X-Team": "IT"},
            body={"userName": "{{ grantee.last_name }}", "active": True},
        )
    )
    assert verdicts(found) == {"Ada Løvelace": Verdict.CHANGED}
    assert words(found) == [
        "“Create”, method: POST → PUT",
        "“Create”, URL: https://target.example/Users → https://target.example/People",
        "“Create”, body.userName: ada@example.org → Løvelace",
        "“Create”, header x-team is added: IT",
    ]


def test_what_breaks_is_named_with_the_people_whom_it_hits(bench: Many) -> None:
    bench.set_up(bench.step())
    bench.grant_to("Bo", employee_id=None)
    bench.grant_to("Cy", employee_id=None)
    found = bench.test(bench.step(path="/Users/{{ grantee.employee_id }}"))
    assert verdicts(found) == {
        "Cy Example": Verdict.BREAKS,
        "Bo Example": Verdict.BREAKS,
        "Ada Løvelace": Verdict.CHANGED,
    }
    worst = found.findings[0]
    assert (worst.kind, worst.what, worst.count) == (DifferenceKind.BREAKS, "“Create” fails", 2)
    assert list(worst.people) == ["Cy Example", "Bo Example"]
    assert worst.example.words.startswith("“Create” fails: path: grantee.employee_id is empty")
    assert "The run ends as failed instead of succeeded." in words(found)


def test_what_was_broken_before_is_told_apart_from_what_breaks_now(bench: Many, session: Session) -> None:
    bench.set_up(bench.step(path="/{{ account.id }}"))
    assert verdicts(bench.test(bench.step(path="/x/{{ account.id }}"))) == {
        "Ada Løvelace": Verdict.STILL_BREAKS
    }
    mended = bench.test(bench.step())
    assert verdicts(mended) == {"Ada Løvelace": Verdict.CHANGED}
    assert "“Create” no longer fails." in words(mended)
    account = session.query(ExternalAccount).one()
    account.captured = {"id": "u-1"}
    assert verdicts(bench.test()) == {"Ada Løvelace": Verdict.SAME}


def test_steps_that_come_and_go_are_told(bench: Many) -> None:
    bench.set_up(bench.step(), human_step("ask", name="Ask"))
    found = bench.test(bench.step(), bench.step("tell", path="/tell"))
    assert words(found) == [
        "“Tell” is sent as well: POST https://target.example/tell",
        "“Ask” is no longer asked.",
    ]
    swapped = bench.test(human_step("ask", name="Ask"), bench.step())
    assert words(swapped) == ["The order of the steps: as before → another one"]


def test_a_first_draft_is_compared_with_nothing(bench: Many) -> None:
    bench.set_up()
    found = bench.test(bench.step())
    assert found.against == 0
    assert words(found) == ["“Create” is sent as well: POST https://target.example/Users"]


def test_a_version_is_compared_with_the_newest(bench: Many, session: Session) -> None:
    bench.set_up(bench.step(path="/Old"))
    assert bench.workflow is not None
    add_version(session, bench.workflow, bench.step(path="/New"))
    assert verdicts(bench.test(version=2)) == {"Ada Løvelace": Verdict.SAME}
    assert words(bench.test(version=1)) == [
        "“Create”, URL: https://target.example/New → https://target.example/Old"
    ]
    with pytest.raises(NotFound):
        bench.test(version=3)


def test_a_draft_that_could_not_be_saved_is_refused_by_step_and_field(bench: Many) -> None:
    bench.set_up(bench.step())
    with pytest.raises(Invalid) as refusal:
        bench.test(bench.step(path="/{{ grantee.emial }}"))
    assert [one.field for one in refusal.value.errors] == ["steps[0].path"]


def test_the_last_fifty_cost_no_more_statements_than_one_and_nothing_is_done(
    bench: Many, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a backtest touched the outside world or a secret")

    monkeypatch.setattr(HttpClient, "send", forbidden)
    monkeypatch.setattr(KeyRing, "open", forbidden)
    bench.set_up(bench.step())
    sent: list[str] = []

    def note(_c: object, _cur: object, statement: str, *_rest: object) -> None:
        sent.append(statement.split(maxsplit=1)[0].upper())

    engine = session.get_bind()
    session.commit()
    event.listen(engine, "before_cursor_execute", note)
    try:
        bench.test(bench.step(path="/People"))
        few = len(sent)
        event.remove(engine, "before_cursor_execute", note)
        for number in range(GRANTS + 5):
            bench.grant_to(f"N{number}")
        session.commit()
        session.expire_all()
        event.listen(engine, "before_cursor_execute", note)
        sent.clear()
        found = bench.test(*[bench.step(f"s{at}", path="/People") for at in range(20)])
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(found.tried) == GRANTS
    assert len(sent) <= few
    assert set(sent) <= {"SELECT", "BEGIN"}
