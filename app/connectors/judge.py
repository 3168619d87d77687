"""What an answer means for a step, by its author's own conditions: success, not yet, another way, or a failure."""

from __future__ import annotations

from collections.abc import Mapping

from app import clock
from app.connectors.auth.method import SignedReply
from app.connectors.capture import Looked
from app.connectors.html import is_html
from app.connectors.messages import Reply
from app.connectors.redirects import where_to
from app.connectors.retry_after import seconds_to_wait
from app.domain.json_reader import Json
from app.domain.runs.calls import Order, Outcome, storable
from app.domain.runs.retry import classify_status
from app.domain.states import FailureClass
from app.domain.steps.calls import Prepared
from app.domain.steps.conditions import STATUS, Condition, Conditions, in_words

MAX_REASON = 300
MAX_SHOWN = 200
WEB_PAGE = "It answered with a web page, where this step asks for JSON."
LET_IT_FAIL = "Expect something of the answer, so that such a page fails the step."
_ASKED_BY = "Accept"


def judge(order: Order, prepared: Prepared, answer: SignedReply) -> Outcome:
    """What the try came to. Text of the answer goes into it only where the step's author named its place."""
    step, reply, wanted = order.step, answer.reply, prepared.wanted
    looked = Looked(reply)
    page = asks_for_json(prepared.headers) and is_html(reply.headers, reply.body)
    failure = classify_status(reply.status, success=step.success_statuses, wait=step.retry.wait_statuses)
    if failure is None and page and reply.status >= 400:
        # A page that says “not found” is the server's word about the address, and not the system's about the account.
        failure = FailureClass.HTTP_5XX if reply.status >= 500 else FailureClass.HTTP_4XX
    branches = reply.status in step.on_status and failure is not None and not page
    if not branches and _says_not_yet(wanted.wait_when, failure, looked, reply):
        failure = FailureClass.WAIT
    if failure is not None:
        return Outcome.failed(
            failure,
            http_status=reply.status,
            retry_after=seconds_to_wait(reply.status, reply.headers, clock.now()),
            detail=_details(failure, page, looked, prepared, answer),
            branches=branches,
        )
    unmet = next((one for one in wanted.expect if not _holds(one, looked, reply)), None)
    if unmet is not None:
        said = _reason(looked, prepared, answer)
        detail = " ".join(filter(None, [WEB_PAGE if page else _unmet_words(unmet, looked, answer), said]))
        return Outcome.failed(FailureClass.UNEXPECTED_ANSWER, http_status=reply.status, detail=detail)
    return _captured(order, prepared, answer, looked, page=page)


def _captured(
    order: Order, prepared: Prepared, answer: SignedReply, looked: Looked, *, page: bool
) -> Outcome:
    """The answer is a success: what it holds is kept, also where it lacks something else."""
    status, wanted = answer.reply.status, prepared.wanted
    found = looked.capture(wanted.captures, looks_up=order.step.looks_up)
    for rule in wanted.captures:
        if rule.name in found.values and answer.gives_away_any(found.values[rule.name]):
            # What is captured is shown, and may be sent to other systems.
            del found.values[rule.name]
            if not rule.optional:
                found.lacking[rule.name] = "the answer repeats the credential here, which is never kept"
    for name, (known, whose) in order.known.items():
        value = found.values.get(name)
        if value is not None and not _same(value, known):
            # Whatever else this answer holds is that account's too.
            detail = f"{name} is not {whose}: nothing more was done with either."
            return Outcome.failed(FailureClass.WRONG_ACCOUNT, http_status=status, detail=detail)
    if found.lacking:
        detail = "; ".join(f"capture {name}: {reason}" for name, reason in found.lacking.items())
        if page:
            detail = f"{detail}. {WEB_PAGE}"
        return Outcome.failed(FailureClass.MAPPING, http_status=status, detail=detail, captured=found.values)
    return Outcome.success(status, found.values, f"{WEB_PAGE} {LET_IT_FAIL}" if page else "")


def asks_for_json(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers wants JSON."""
    asked = next((value for name, value in headers.items() if name.lower() == _ASKED_BY.lower()), "")
    return "json" in asked.lower()


def _says_not_yet(wait_when: Conditions, failure: FailureClass | None, looked: Looked, reply: Reply) -> bool:
    """Whether the answer meets every condition for “not yet”.

    A refusal says so only by something that is there: that it does not say “done” is true of every refusal.
    """
    says = failure is None or any(one.op.is_positive for one in wait_when)
    return bool(wait_when) and says and all(_holds(one, looked, reply) for one in wait_when)


def _holds(condition: Condition, looked: Looked, reply: Reply) -> bool:
    """Whether it holds for this answer; never where the answer cannot be read."""
    try:
        return condition.holds(reply.status if condition.of == STATUS else looked.at(condition.of))
    except ValueError:
        return False


def _unmet_words(condition: Condition, looked: Looked, answer: SignedReply) -> str:
    """`Expected that $.ok is true; it is false.` Only a value that is short and gives nothing away is repeated."""
    expected = f"Expected that {condition.words}"
    try:
        value = answer.reply.status if condition.of == STATUS else looked.at(condition.of)
    except ValueError as problem:
        return f"{expected}, but {problem}."
    if value is None:
        return f"{expected}; there is nothing."
    shown = in_words(value) if isinstance(value, str | int | float) else ""
    if not shown or len(shown) > MAX_SHOWN or answer.hints_at(shown):
        return f"{expected}."
    return f"{expected}; it is {shown}."


def _details(
    failure: FailureClass, page: bool, looked: Looked, prepared: Prepared, answer: SignedReply
) -> str:
    if failure is FailureClass.REDIRECT:
        return where_to(prepared.url, answer.reply)
    if page:
        return WEB_PAGE
    not_yet = _not_yet(prepared.wanted.wait_when, answer.reply) if failure is FailureClass.WAIT else ""
    empty = _empty(prepared) if failure is FailureClass.HTTP_4XX else ""
    return " ".join(filter(None, [not_yet, empty, _reason(looked, prepared, answer)]))


def _empty(prepared: Prepared) -> str:
    """What was empty in a request that was refused: often that is why."""
    return f"Empty in what was sent: {', '.join(prepared.empty_tokens)}." if prepared.empty_tokens else ""


def _not_yet(wait_when: Conditions, reply: Reply) -> str:
    if not wait_when:
        return ""
    return f"Not yet: {' and '.join(one.words for one in wait_when)} (HTTP {reply.status})."


def _reason(looked: Looked, prepared: Prepared, answer: SignedReply) -> str:
    """What the other system says of it, at the place that the step's author named; one short line, or nothing."""
    place = prepared.wanted.failure_reason
    if not place:
        return ""
    try:
        found = looked.at(place)
    except ValueError:
        return ""
    several = found if isinstance(found, list) else [found]
    said = "; ".join(
        storable(str(one)).strip() for one in several if isinstance(one, str | int) and one != ""
    )
    if not said or answer.hints_at(said):
        return ""
    return f"It said: “{said if len(said) <= MAX_REASON else said[: MAX_REASON - 1] + '…'}”"


def _same(found: Json, known: Json) -> bool:
    """Whether both are the same id: systems give one and the same as text here and as a number there."""
    if isinstance(found, bool) or isinstance(known, bool) or isinstance(found, str) or isinstance(known, str):
        return in_words(found) == in_words(known)
    return found == known
