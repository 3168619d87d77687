"""How alerts look: chips, and deliveries in words."""

from __future__ import annotations

from app.domain.alerts.rules import AlertKind, Channel
from app.models import AlertDelivery, AlertMessage
from app.queries.alert_pages import Notice, Tally
from app.web.filters import plural

K = AlertKind
_TONES = {
    K.FAILURES: "bad",
    K.REVOKE_FAILED: "bad",
    K.CONNECTION_PARKED: "bad",
    K.WORKER_LOST: "bad",
    K.TASK_OVERDUE: "bad",
    K.TASK_ASSIGNED: "wait",
    K.TASKS_WAITING: "wait",
    K.TASK_DUE_SOON: "wait",
}


def chip_of(message: AlertMessage) -> tuple[str, str]:
    """Tone and words of a message's chip."""
    kind = AlertKind(message.kind)
    if message.transition == "resolved":
        return "ok", "Resolved"
    return _TONES.get(kind, "idle"), kind.label


def notice_chip(notice: Notice) -> tuple[str, str]:
    """The same at somebody's bell, where a matter that has ended is no alarm any more."""
    tone, label = chip_of(notice.message)
    return ("muted" if notice.over_at is not None and tone != "ok" else tone), label


def tally_look(tally: Tally | None, channel: Channel) -> tuple[str, str, str]:
    """Tone, words and the reason of what became of a message on a channel."""
    if tally is None:
        return "muted", "Not sent", ""
    doubt = "One may have arrived twice." if tally.uncertain else ""
    if tally.failed:
        return "bad", _of(tally.failed, tally, "not delivered", channel), tally.problem
    if tally.pending:
        why = tally.problem or doubt
        return "wait" if why else "idle", _of(tally.pending, tally, "on the way", channel), why
    return "ok", _of(tally.delivered, tally, "delivered", channel), doubt


def delivery_look(row: AlertDelivery) -> tuple[str, str]:
    """Tone and words of one delivery's chip."""
    if row.status == "delivered":
        return "ok", "Delivered"
    if row.status == "failed":
        return "bad", "Not delivered"
    return ("wait", "Tried, tries again") if row.tries else ("idle", "To be sent")


def delivery_reason(row: AlertDelivery) -> str:
    """Why it is where it is, "" when there is nothing to say."""
    doubt = "It may have arrived twice: no answer came to an earlier try, or its sender stopped."
    if row.status == "delivered":
        return doubt if row.uncertain else ""
    return row.problem or ""


def _of(count: int, tally: Tally, words: str, channel: Channel) -> str:
    if channel is Channel.WEBHOOK:
        return words.capitalize()
    return f"{count} of {plural(tally.total, 'mail')} {words}"
