"""When a connection is parked and how it comes back, by named examples."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.runs import breaker as b
from app.domain.runs.breaker import Act, Breaker, BreakerRules, BreakerState, Seen
from app.domain.runs.calls import Outcome
from app.domain.states import FailureClass as F
from tests.support.domain.runs import NOW

S = BreakerState
RULES = BreakerRules(failures=3, window=timedelta(seconds=60))
OFF = BreakerRules(failures=0)
WEBHOOK = replace(RULES, has_probe=False)


def after(
    *what: Seen, start: Breaker | None = None, rules: BreakerRules = RULES, apart: float = 1
) -> Breaker:
    breaker = start or Breaker()
    for number, one in enumerate(what):
        breaker = b.observe(breaker, one, NOW + timedelta(seconds=number * apart), rules, run=number)
    return breaker


def later(seconds: float):
    return NOW + timedelta(seconds=seconds)


PARKED = after(*[Seen.DOWN] * 3, apart=0)
TRIAL = b.probed(b.probing(PARKED, later(15)), Seen.DONE, later(16))
SENT = b.released(TRIAL, later(16), first=1)
DRAINING = b.observe(SENT, Seen.DONE, later(17), RULES, run=1)


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        (Outcome.success(201), Seen.DONE),
        (Outcome.failed(F.HTTP_5XX, http_status=503), Seen.DOWN),
        (Outcome.failed(F.TIMEOUT, lost=True), Seen.DOWN),
        (Outcome.failed(F.NETWORK), Seen.DOWN),
        (Outcome.failed(F.TIMEOUT, ours=True), None),
        (Outcome.failed(F.WAIT, http_status=429), None),
        (Outcome.failed(F.OUTCOME_UNKNOWN, lost=True), None),
        (Outcome.failed(F.EGRESS_BLOCKED), None),
        (Outcome.failed(F.HTTP_4XX, http_status=401), Seen.REFUSED),
        (Outcome.failed(F.CONFIGURATION, http_status=400, refused=True), Seen.REFUSED),
        (Outcome.failed(F.CONFIGURATION, http_status=400), Seen.ALIVE),
        (Outcome.failed(F.HTTP_4XX, http_status=403), Seen.ALIVE),
        (Outcome.failed(F.HTTP_4XX, http_status=404), Seen.ALIVE),
        (Outcome.failed(F.MAPPING, http_status=201), Seen.ALIVE),
    ],
)
def test_what_an_answer_says_about_its_connection(outcome, what):
    assert b.seen(outcome) is what


def test_as_many_failures_as_the_threshold_park_the_connection_until_the_first_probe():
    assert after(Seen.DOWN, Seen.DOWN).state is S.WATCHED
    parked = after(Seen.DOWN, Seen.DOWN, Seen.DOWN)
    assert (parked.state, parked.parked_at, parked.next_at) == (S.PARKED, later(2), later(17))


def test_each_run_counts_once_however_often_it_tries():
    breaker = Breaker()
    for second in range(10):
        breaker = b.observe(breaker, Seen.DOWN, later(second), RULES, run=second % 2)
    assert breaker.state is S.WATCHED
    assert b.observe(breaker, Seen.DOWN, later(10), RULES, run=2).state is S.PARKED


def test_who_wants_the_first_failure_to_park_is_obeyed():
    first = b.observe(Breaker(), Seen.DOWN, NOW, BreakerRules(failures=1), run=1)
    assert first.state is S.PARKED


def test_failures_further_apart_than_the_window_do_not_add_up():
    assert after(*[Seen.DOWN] * 6, apart=31).state is S.WATCHED
    assert after(*[Seen.DOWN] * 6, apart=30).state is S.PARKED


@pytest.mark.parametrize("answer", [Seen.DONE, Seen.ALIVE])
def test_any_answer_in_between_begins_the_count_anew(answer):
    assert after(Seen.DOWN, Seen.DOWN, answer) == Breaker(since=later(2))
    assert after(Seen.DOWN, Seen.DOWN, answer, Seen.DOWN, Seen.DOWN).state is S.WATCHED


def test_a_threshold_of_nought_never_parks():
    assert after(*[Seen.DOWN] * 9, *[Seen.REFUSED] * 9, rules=OFF) == Breaker()


def test_refusals_of_the_credential_park_without_any_probe_to_come():
    refused = after(*[Seen.REFUSED] * 5)
    assert (refused.state, refused.next_at) == (S.REFUSED, None)
    assert b.next_act(refused, now=later(99_999), rules=RULES, waiting=True) is None


def test_only_a_success_shows_that_the_credential_is_taken():
    four = [Seen.REFUSED] * 4
    assert after(*four, Seen.ALIVE, Seen.REFUSED).state is S.REFUSED
    assert after(*four, Seen.DONE, Seen.REFUSED).state is S.WATCHED


def test_what_left_before_the_parking_changes_nothing_any_more():
    for state in (S.PARKED, S.REFUSED, S.HELD):
        for what in Seen:
            breaker = replace(PARKED, state=state)
            assert b.observe(breaker, what, later(5), RULES, run=1) == breaker
            assert not b.matters(state, what)


def test_healthy_answers_of_a_healthy_connection_do_not_matter():
    assert not b.matters(S.CLOSED, Seen.DONE)
    assert not b.matters(S.CLOSED, Seen.ALIVE)
    assert b.matters(S.WATCHED, Seen.DONE)


def test_probes_come_further_and_further_apart_up_to_five_minutes():
    breaker, now, waits = PARKED, NOW, []
    for _ in range(8):
        assert breaker.next_at is not None
        waits.append((breaker.next_at - now).total_seconds())
        assert (
            b.next_act(breaker, now=breaker.next_at - timedelta(seconds=1), rules=RULES, waiting=True) is None
        )
        now = breaker.next_at
        assert b.next_act(breaker, now=now, rules=RULES, waiting=True) is Act.PROBE
        breaker = b.probed(b.probing(breaker, now), Seen.DOWN, now)
    assert waits == [15, 30, 60, 120, 240, 300, 300, 300]


def test_while_a_probe_is_being_made_no_other_is():
    probing = b.probing(PARKED, later(15))
    assert b.next_act(probing, now=later(74), rules=RULES, waiting=True) is None
    assert b.next_act(probing, now=later(75), rules=RULES, waiting=True) is Act.PROBE


def test_a_probe_that_fails_takes_back_what_trials_in_vain_said_of_their_runs():
    vain = replace(PARKED, vain=b.PATIENCE)
    assert b.may_blame(b.probed(b.probing(vain, later(15)), Seen.DONE, later(16)), Seen.DOWN)
    assert b.probed(b.probing(vain, later(15)), Seen.DOWN, later(16)).vain == 0


def test_a_probe_that_is_refused_ends_all_probing():
    refused = b.probed(b.probing(PARKED, later(15)), Seen.REFUSED, later(16))
    assert (refused.state, refused.next_at, refused.parked_at) == (S.REFUSED, None, NOW)


def test_after_a_good_probe_one_run_goes_and_the_others_only_once_it_was_answered():
    assert TRIAL.state is S.TRIAL
    assert b.next_act(TRIAL, now=later(16), rules=RULES, waiting=True) is Act.RELEASE
    assert b.to_release(TRIAL, later(16)) == 1
    assert b.next_act(SENT, now=later(60), rules=RULES, waiting=True) is None
    assert DRAINING.state is S.DRAINING


def test_a_trial_that_fails_parks_again_with_a_longer_wait():
    again = b.observe(SENT, Seen.DOWN, later(17), RULES, run=1)
    assert (again.state, again.next_at, again.parked_at) == (S.PARKED, later(17 + 30), NOW)


def test_a_trial_that_is_refused_parks_for_the_credential_at_once():
    assert b.observe(SENT, Seen.REFUSED, later(17), RULES, run=1).state is S.REFUSED


@pytest.mark.parametrize("what", [Seen.DOWN, Seen.REFUSED])
def test_a_call_that_left_before_the_parking_does_not_end_a_trial(what):
    assert b.observe(SENT, what, later(17), RULES, run=2) == SENT
    assert b.observe(SENT, Seen.DONE, later(17), RULES, run=2).state is S.DRAINING


def test_when_nothing_comes_of_a_trial_another_run_is_let_through():
    assert b.next_act(SENT, now=later(16 + 150), rules=RULES, waiting=True) is Act.RELEASE
    assert b.next_act(SENT, now=later(16 + 150), rules=RULES, waiting=False) is Act.CLOSE


def test_a_trial_that_is_spent_lets_another_run_through_at_once():
    spent = b.spent(SENT, later(18))
    assert b.next_act(spent, now=later(18), rules=RULES, waiting=True) is Act.RELEASE
    assert b.spent(DRAINING, later(18)) == DRAINING


def test_runs_go_on_a_few_at_first_and_at_most_ten_a_second():
    breaker, now, went = DRAINING, later(20), []
    for _ in range(7):
        went.append(b.to_release(breaker, now))
        breaker = b.released(breaker, now, first=1)
        now += timedelta(seconds=5)
    assert went == [2, 5, 10, 20, 40, 50, 50]
    assert b.to_release(breaker, now + timedelta(hours=1)) == b.MOST_DRAINED


def test_one_failure_while_draining_stops_nothing_and_the_threshold_parks_again():
    assert after(Seen.DOWN, Seen.DOWN, start=DRAINING).state is S.DRAINING
    again = after(Seen.DOWN, Seen.DOWN, Seen.DOWN, start=DRAINING, apart=0)
    assert (again.state, again.next_at, again.parked_at) == (S.PARKED, later(30), NOW)


def test_all_is_well_once_nothing_waits():
    assert b.next_act(DRAINING, now=later(20), rules=RULES, waiting=False) is Act.CLOSE
    assert b.closed(DRAINING, later(20)) == Breaker(since=later(20))


def test_a_webhook_has_a_run_for_its_probe_and_waits_for_one():
    parked = after(*[Seen.DOWN] * 3, rules=WEBHOOK, apart=0)
    assert b.next_act(parked, now=later(14), rules=WEBHOOK, waiting=True) is None
    assert b.next_act(parked, now=later(15), rules=WEBHOOK, waiting=False) is None
    assert b.next_act(parked, now=later(15), rules=WEBHOOK, waiting=True) is Act.RELEASE
    assert b.to_release(parked, later(15)) == 1
    assert b.released(parked, later(15), first=1).state is S.TRIAL


def test_parking_by_hand_lasts_until_its_end_and_is_then_probed():
    held = b.held(Breaker(), later(600), NOW)
    assert b.next_act(held, now=later(599), rules=RULES, waiting=True) is None
    assert b.next_act(held, now=later(600), rules=RULES, waiting=True) is Act.PROBE
    assert b.probing(held, later(600)).state is S.PARKED


def test_a_webhook_that_was_parked_by_hand_is_simply_in_use_again_when_nothing_waits():
    held = b.held(Breaker(), later(600), NOW)
    assert b.next_act(held, now=later(600), rules=WEBHOOK, waiting=False) is Act.CLOSE
    assert b.next_act(held, now=later(600), rules=WEBHOOK, waiting=True) is Act.RELEASE


def test_a_person_lets_one_run_through_whatever_parked_the_connection():
    for state in (S.PARKED, S.REFUSED, S.HELD):
        assert b.tried(replace(PARKED, state=state, until=later(600)), later(5)).state is S.TRIAL
    assert b.tried(Breaker(), NOW) == Breaker()


def test_a_run_that_began_to_wait_as_all_was_well_again_is_let_go():
    assert b.next_act(Breaker(), now=NOW, rules=RULES, waiting=True) is Act.RELEASE
    assert b.next_act(Breaker(), now=NOW, rules=RULES, waiting=False) is None
    assert b.released(Breaker(), NOW, first=1) == Breaker()


def test_a_probe_that_comes_back_late_does_not_undo_what_a_person_did():
    held = b.held(b.probing(PARKED, later(15)), later(600), later(16))
    assert b.probed(held, Seen.DONE, later(17)) == held
