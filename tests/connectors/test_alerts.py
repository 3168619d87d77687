"""Alerts to the webhook: what is sent, how it is signed, which targets are open to it, and what an answer means."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from standardwebhooks import Webhook

from app import clock
from app.connectors.alerts import Channels, Hook, OutgoingAlert, hook_policy
from app.connectors.egress import EgressBlocked, EgressPolicy
from app.connectors.http import HttpClient
from app.domain.alerts.rules import AlertKind, Channel
from app.net.target import BadTarget, parse_target
from tests.support.factories import NOW
from tests.support.target import Answer, Target, running_target

Make = Callable[..., Channels]
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OUTGOING = OutgoingAlert(
    delivery_id=1,
    tries=1,
    channel=Channel.WEBHOOK,
    uid="ab" * 16,
    alert_id=7,
    kind=AlertKind.FAILURES,
    transition="opened",
    title="Jira & Co: “Create” fails",
    lines=("3 runs of <!channel> failed.",),
    path="/runs?status=attention",
    at=NOW,
)


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as found:
        yield found


@pytest.fixture
def channels() -> Iterator[Make]:
    """Makes the ways out with a webhook at a URL, and perhaps its secret."""
    clients: list[HttpClient] = []

    def make(url: str, secret: str = "") -> Channels:
        hook = Hook(url, secret)
        clients.append(HttpClient(hook_policy(hook, allow=(), own=[], production=True)))
        return Channels(mail=None, hook=hook, client=clients[-1], base_url="https://console.example/")

    yield make
    for client in clients:
        client.close()


def test_without_a_secret_it_is_text_as_slack_takes_it(target: Target, channels: Make) -> None:
    assert channels(target.url).send(OUTGOING, now=NOW).delivered
    [call] = target.calls
    assert (call.method, call.headers["user-agent"]) == ("POST", "AccessAutomation/1")
    assert call.body == {
        "text": "*Jira &amp; Co: “Create” fails*\n3 runs of &lt;!channel&gt; failed.\n"
        "<https://console.example/runs?status=attention>"
    }


def test_with_a_secret_it_is_signed_json_with_one_id_over_all_tries(target: Target, channels: Make) -> None:
    out = channels(f"{target.url}/hook", SECRET)
    for tries in (1, 2):
        assert out.send(replace(OUTGOING, tries=tries), now=clock.now()).delivered
    first, second = target.calls
    Webhook(SECRET).verify(first.raw.decode(), first.headers)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"alert_{OUTGOING.uid}"
    assert first.body["type"] == "access_automation.alert.failures"
    assert first.body["data"] == {
        "id": f"alert_{OUTGOING.uid}",
        "alert": "7",
        "kind": "failures",
        "transition": "opened",
        "title": OUTGOING.title,
        "lines": list(OUTGOING.lines),
        "url": "https://console.example/runs?status=attention",
    }


@pytest.mark.parametrize(
    ("status", "lasting", "down"),
    [(503, False, True), (429, False, True), (404, True, False), (302, True, False)],
)
def test_an_answer_says_whether_another_try_helps(
    target: Target, channels: Make, status: int, lasting: bool, down: bool
) -> None:
    target.answer = lambda _call: Answer(status, {})
    outcome = channels(target.url).send(OUTGOING, now=NOW)
    assert (outcome.delivered, outcome.lasting, outcome.down) == (False, lasting, down)
    assert outcome.problem == f"The webhook answered HTTP {status}."


def test_a_lost_answer_leaves_it_open(target: Target, channels: Make) -> None:
    target.answer = lambda _call: Answer(200, lost=True)
    outcome = channels(target.url).send(OUTGOING, now=NOW)
    assert (outcome.delivered, outcome.uncertain) == (False, True)


def test_what_the_setting_names_is_open_to_alerts_and_its_neighbours_are_not() -> None:
    policy = hook_policy(Hook("http://alerts.internal:9093/x"), allow=(), own=[], production=True)
    policy.check_target(parse_target("http://alerts.internal:9093/other"))
    for closed in ("http://alerts.internal:9094/", "http://10.0.0.7/"):
        with pytest.raises(EgressBlocked):
            policy.check_target(parse_target(closed))


def test_the_floor_stays_under_the_setting() -> None:
    own = Hook("http://127.0.0.1:6379/")
    policy = hook_policy(own, allow=(), own=[("127.0.0.1", 6379)], production=True)
    with pytest.raises(EgressBlocked):
        policy.check_target(parse_target(own.url))
    with pytest.raises(ValueError, match="never allowed"):
        hook_policy(Hook("http://169.254.169.254/latest"), allow=(), own=[], production=True)
    with pytest.raises(BadTarget):
        hook_policy(Hook("https://user:pw@alerts.example/"), allow=(), own=[], production=True)


def test_a_target_that_is_closed_is_told_as_that(target: Target) -> None:
    out = Channels(
        mail=None,
        hook=Hook(target.url),
        client=HttpClient(EgressPolicy()),
        base_url="https://console.example",
    )
    outcome = out.send(OUTGOING, now=NOW)
    assert "is not an allowed target" in outcome.problem
    assert not outcome.delivered


def test_a_channel_that_is_not_set_up_any_more_says_so() -> None:
    out = Channels(
        mail=None, hook=None, client=HttpClient(EgressPolicy()), base_url="https://console.example"
    )
    assert out.names == frozenset()
    assert "ALERT_WEBHOOK_URL" in out.send(OUTGOING, now=NOW).problem
    assert "SMTP_URL" in out.send(replace(OUTGOING, channel=Channel.MAIL), now=NOW).problem


def test_a_parcel_that_cannot_be_made_is_no_exception(target: Target, channels: Make) -> None:
    outcome = channels(target.url, "not a secret").send(OUTGOING, now=NOW)
    assert outcome.problem.startswith("It could not be made")
    assert not outcome.lasting
