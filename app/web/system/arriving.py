"""The card of alerts: whether they leave the console, and whether they arrive."""

from __future__ import annotations

from collections.abc import Collection

from app.domain.alerts.rules import Channel
from app.queries.alert_pages import Arrivals
from app.web.filters import absolute, plural
from app.web.system.cards import Part

TITLE = "Alerts"


def alerts_part(channels: Collection[Channel], arrivals: Arrivals) -> Part:
    """Without mail and webhook alerts are seen by those who look, which is worth knowing and no fault."""
    last = f"Last one arrived {absolute(arrivals.last_at)}" if arrivals.last_at else "None has been sent yet"
    if not channels:
        return Part(
            "alerts",
            TITLE,
            "idle",
            "In the console only",
            "Neither SMTP_URL nor ALERT_WEBHOOK_URL is set",
            "Alerts show at the bell of everybody whom they concern. Nobody gets mail, so nobody hears of a failure "
            "who is not looking.",
            "Set SMTP_URL or ALERT_WEBHOOK_URL and start again.",
        )
    ways = " and ".join(one.label.lower() for one in sorted(channels))
    if not (arrivals.waiting or arrivals.given_up):
        means = f"They go out by {ways}, and show at everybody’s bell."
        return Part("alerts", TITLE, "ok", "Going out", last, means)
    troubles = [
        *([f"{plural(arrivals.waiting, 'message')} wait for another try"] if arrivals.waiting else []),
        *([f"{plural(arrivals.given_up, 'message')} could not be delivered"] if arrivals.given_up else []),
    ]
    return Part(
        "alerts",
        TITLE,
        "bad",
        "Not arriving",
        last,
        f"{' and '.join(troubles)}. {arrivals.problem} They show at everybody’s bell all the same.",
        "Check SMTP_URL and ALERT_WEBHOOK_URL, then send a test alert.",
    )
