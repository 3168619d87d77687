"""Alerts on their way out: one to one person by mail, or to the webhook; never an exception, always a word.

The webhook is called with the console's HTTP client under its egress rules. What `ALERT_WEBHOOK_URL` names counts as
listed in `EGRESS_ALLOW`, for alerts alone: both are start-up settings of the same operator, who means an internal
receiver when they write one down, while nobody who builds a connection gains a target by it. The floor stays: cloud
metadata and the console's own database, Redis and web ports are refused whatever the setting says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.mail import Mail, MailFailed, MailServer, send_mail
from app.connectors.messages import CallFailed, Request
from app.connectors.webhook_signature import signatures
from app.domain.alerts.rules import AlertKind, Channel
from app.domain.mapping.context import rfc3339
from app.domain.steps.calls import USER_AGENT
from app.net.target import parse_target

HOOK_SECONDS = 10.0
# Statuses by which a receiver says "not now".
NOT_NOW = frozenset({408, 425, 429})

log = structlog.get_logger("alerts")


@dataclass(frozen=True, slots=True)
class OutgoingAlert:
    """A message for one recipient. `uid` is the same in every try; `to` is empty for the webhook.

    `tries` counts this one too: what is noted later holds only while nobody else has begun another.
    """

    delivery_id: int
    tries: int
    channel: Channel
    uid: str
    alert_id: int | None
    kind: AlertKind
    transition: str
    title: str
    lines: tuple[str, ...]
    path: str
    at: datetime
    to_name: str = ""
    to_address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What came of a try. `problem` is our own sentence.

    `lasting`: another try would be refused as well.  `down`: the channel cannot be used, whatever the message.
    `uncertain`: it may have arrived.
    """

    delivered: bool
    problem: str = ""
    lasting: bool = False
    down: bool = False
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """Where the webhook's alerts go. With a secret they are signed JSON, else text as Slack takes it."""

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)


class Channels:
    """The ways out that are set up. `base_url` begins the links in messages."""

    def __init__(
        self, *, mail: MailServer | None, hook: Hook | None, client: HttpClient, base_url: str
    ) -> None:
        self._mail = mail
        self._hook = hook
        self._client = client
        self._base_url = base_url.rstrip("/")
        there = {Channel.MAIL: mail is not None, Channel.WEBHOOK: hook is not None}
        self.names = frozenset(name for name, is_there in there.items() if is_there)

    def send(self, outgoing: OutgoingAlert, *, now: datetime) -> DeliveryOutcome:
        """Send it. One that cannot even be made is one that is not delivered, and stops no other."""
        try:
            return (
                self._by_mail(outgoing) if outgoing.channel is Channel.MAIL else self._by_hook(outgoing, now)
            )
        except Exception as fault:
            log.exception("alerts.parcel_failed", delivery=outgoing.delivery_id)
            return DeliveryOutcome(False, f"It could not be made ({type(fault).__name__}).")

    def place(self, channel: Channel) -> str:
        """Where a channel leads, in words for its operator: no password, no path, since a webhook's is a secret."""
        if channel is Channel.MAIL:
            if self._mail is None:
                return "Not set up: SMTP_URL is empty"
            return f"{self._mail.host}, from {self._mail.sender}"
        if self._hook is None:
            return "Not set up: ALERT_WEBHOOK_URL is empty"
        form = "signed events" if self._hook.secret else "text as Slack takes it"
        return f"{parse_target(self._hook.url).host}, {form}"

    def link(self, outgoing: OutgoingAlert) -> str:
        """The page that the message leads to."""
        return self._base_url + outgoing.path

    def _by_mail(self, outgoing: OutgoingAlert) -> DeliveryOutcome:
        if self._mail is None:
            return DeliveryOutcome(False, "Mail is not set up any more (SMTP_URL).", lasting=True)
        mail = Mail(
            to_name=outgoing.to_name,
            to_address=outgoing.to_address,
            subject=outgoing.title,
            text="\n".join((*outgoing.lines, "", self.link(outgoing), "")),
            id=f"alert.{outgoing.uid}",
            thread=f"alerts.{outgoing.alert_id}" if outgoing.alert_id is not None else "",
        )
        try:
            send_mail(self._mail, mail)
        except MailFailed as failed:
            return DeliveryOutcome(
                False, failed.detail, lasting=failed.lasting, down=failed.down, uncertain=failed.lost
            )
        return DeliveryOutcome(True)

    def _by_hook(self, outgoing: OutgoingAlert, now: datetime) -> DeliveryOutcome:
        if self._hook is None:
            return DeliveryOutcome(
                False, "The webhook is not set up any more (ALERT_WEBHOOK_URL).", lasting=True
            )
        try:
            reply = self._client.send(self._request(self._hook, outgoing, now))
        except CallFailed as failed:
            return DeliveryOutcome(False, failed.detail, down=True, uncertain=failed.lost)
        if 200 <= reply.status < 300:
            return DeliveryOutcome(True)
        problem = f"The webhook answered HTTP {reply.status}."
        is_passing = reply.status >= 500 or reply.status in NOT_NOW
        return DeliveryOutcome(False, problem, lasting=not is_passing, down=is_passing)

    def _request(self, hook: Hook, outgoing: OutgoingAlert, now: datetime) -> Request:
        message_id = f"alert_{outgoing.uid}"
        headers = {"User-Agent": USER_AGENT, "Content-Type": "application/json"}
        if not hook.secret:
            body = json.dumps({"text": self._slack_text(outgoing)}).encode("ascii")
            return Request("POST", hook.url, headers, body, timeout_seconds=HOOK_SECONDS)
        event = {
            "type": f"access_automation.alert.{outgoing.kind}",
            "timestamp": rfc3339(outgoing.at),
            "data": {
                "id": message_id,
                "alert": None if outgoing.alert_id is None else str(outgoing.alert_id),
                "kind": outgoing.kind,
                "transition": outgoing.transition,
                "title": outgoing.title,
                "lines": list(outgoing.lines),
                "url": self.link(outgoing),
            },
        }
        body = json.dumps(event).encode("ascii")
        headers |= {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures(hook.secret, message_id=message_id, at=now, body=body),
        }
        return Request("POST", hook.url, headers, body, timeout_seconds=HOOK_SECONDS)

    def _slack_text(self, outgoing: OutgoingAlert) -> str:
        """Escaped as Slack asks, so that a name neither makes a link nor calls a channel together."""
        first, *rest = (_escaped(line) for line in (outgoing.title, *outgoing.lines))
        return "\n".join((f"*{first}*", *rest, f"<{self.link(outgoing)}>"))


def hook_policy(
    hook: Hook, *, allow: tuple[str, ...], own: list[tuple[str, int]], production: bool
) -> EgressPolicy:
    """The rules of egress with the webhook's own host and port listed; raises BadTarget for a URL that is none."""
    target = parse_target(hook.url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    return EgressPolicy([*allow, f"{host}:{target.port}"], forbidden=own, production=production)


def _escaped(text: str) -> str:
    plain = " ".join(text.split()).replace("&", "&amp;")
    return plain.replace("<", "&lt;").replace(">", "&gt;")
