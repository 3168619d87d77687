"""Pausing and resuming runs on System health."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.queries.system import paused
from tests.support.queries.stories import Story
from tests.support.web.readers import Reader, fresh


def pause(alice: Reader, reason: str = "The directory is being moved.") -> None:
    page = alice.client.get("/system").follow("Pause runs…")
    page.form("pause-form").fill(reason=reason).submit()


def test_alice_pauses_runs_and_everybody_who_may_mend_it_is_told(alice: Reader, web: Session) -> None:
    pause(alice)
    health = alice.client.get("/system")
    assert "Needs attention: Runs, " in health.text
    assert "by Alice Example" in health.text
    assert "The directory is being moved." in health.text
    banner = " ".join(alice.client.get("/").texts("#system-notice"))
    assert "Runs are paused since" in banner
    assert "The directory is being moved. Grants are recorded" in banner


def test_a_waiting_run_says_that_runs_are_paused(alice: Reader, web: Session) -> None:
    run = Story(web).run
    pause(alice)
    page = alice.client.get(f"/runs/{run.id}")
    assert "Runs are paused" in page.text
    assert "Alice Example paused them on" in page.text


def test_resuming_says_what_goes_on_before_the_click(alice: Reader, web: Session) -> None:
    Story(web)
    pause(alice)
    question = alice.client.get("/system").follow("Resume runs…")
    assert "1 open run will go on where it stopped." in question.text
    assert "After a restore" in question.text
    assert question.follow("See open runs").table("runs")
    question.press("Resume runs")
    fresh(web)
    assert paused(web) is None
    assert "paused" not in " ".join(alice.client.get("/").texts("#system-notice"))


def test_a_refused_reason_is_kept(alice: Reader) -> None:
    page = alice.client.get("/system/pause").form("pause-form").fill(reason="x" * 501).submit(expect=422)
    assert "up to 500 characters" in page.errors()["reason"]
    assert page.form("pause-form")["reason"] == "x" * 501
    part = alice.client.post("/system/pause", {"reason": ""}, expect=422, htmx=True)
    assert "reason" in part.errors()


def test_whoever_is_second_is_told(alice: Reader, web: Session) -> None:
    question = alice.client.get("/system/pause")
    pause(alice)
    again = question.form("pause-form").fill(reason="Also").submit().follow_redirect()
    assert "Alice Example has paused runs already." in again.text
    resume = alice.client.get("/system/resume")
    resume.press("Resume runs")
    assert "not paused" in resume.press("Resume runs").follow_redirect().text
    assert "Runs are not paused." in alice.client.get("/system/resume").text


def test_others_are_refused(bob: Reader, charlie: Reader) -> None:
    for reader in (bob, charlie):
        for address in ("/system/pause", "/system/resume"):
            assert "settings:manage" in reader.client.get(address, expect=403).text
            reader.client.post(address, {"reason": "x"}, expect=403, csrf=True)
