"""Strategies that draw workflow steps in the API's JSON, for the engine's property tests."""

from __future__ import annotations

from hypothesis import strategies as st

identifiers = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,8}", fullmatch=True)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).filter(
    str.strip
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
)
bodies = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
statuses = st.lists(
    st.integers(100, 599) | st.sampled_from(["200-299", "404", "100-599", "409 - 412"]),
    min_size=1,
    max_size=4,
)
thans = words | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from(["", " x ", "a, b", 1.5])


def conditions(subject: str, places: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict[str, object]]]:
    """Conditions on `places`, which stand under `subject`."""
    plain = {subject: places, "is": st.sampled_from(["equal", "not_equal", "contains"]), "than": thans}
    alone = {subject: places, "is": st.sampled_from(["empty", "not_empty"])}
    among = {
        **plain,
        "is": st.sampled_from(["in", "not_in"]),
        "than": st.lists(thans, min_size=1, max_size=3),
    }
    order = {**plain, "is": st.sampled_from(["greater", "less"]), "than": st.integers(-9, 9) | st.just("2.5")}
    return st.lists(
        st.one_of(*(st.fixed_dictionaries(one) for one in (plain, alone, among, order))), max_size=2
    )


only_if = conditions("value", st.sampled_from(["{{ account.id }}", "{{ grantee.email | lower }}", "x"]))
answers = conditions("path", st.sampled_from(["$.ok", "$['a b']", "header:X-State", "status"]))
polls = st.fixed_dictionaries(
    {}, optional={"every_seconds": st.integers(1, 3600), "for_seconds": st.integers(1, 604_800)}
)
retries = st.fixed_dictionaries(
    {},
    optional={
        "attempts": st.integers(1, 10),
        "backoff": st.sampled_from(["fixed", "exponential"]),
        "delay_seconds": st.integers(0, 3600) | st.floats(0, 3600),
        "wait_statuses": statuses,
        "lost_answer": st.sampled_from(["resend", "ask"]),
        "wait_when": answers,
        "poll": polls,
    },
)
sources = st.sampled_from(["$.id", "$['a b'][0]", "header:Location"])
# What goes together: a list is neither the first of several nor the account.
marks = st.sampled_from(
    [{}, {"keep": "account", "same": True}, {"keep": "grant"}, {"keep": False}, {"list": True}, {"choose": "first"},
     {"keep": "grant", "list": True}, {"keep": False, "choose": "first"}, {"same": True, "choose": "first"}]
)  # fmt: skip
rules = st.builds(
    lambda rule, more: {**rule, **more},
    st.fixed_dictionaries({"path": sources}, optional={"optional": st.booleans()}),
    marks,
)
captures = st.dictionaries(identifiers, sources | rules, max_size=3)
go_to = st.fixed_dictionaries({"step": identifiers})
edges = {
    "on_success": st.sampled_from(["next", "end"]) | go_to,
    "on_failure": st.sampled_from(["stop", "escalate", "continue"])
    | go_to
    | st.fixed_dictionaries({"compensate": identifiers}),
}
heads = {**edges, "name": words, "only_if": only_if}
calls = {
    "success_statuses": statuses,
    "idempotent": st.booleans(),
    "retry": retries,
    "on_status": st.dictionaries(st.integers(100, 599).map(str), go_to, max_size=2),
    **heads,
}
http_steps = st.fixed_dictionaries(
    {
        "key": identifiers,
        "type": st.just("http"),
        "connection_id": identifiers,
        "method": st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
        "path": words.map(lambda text: f"/{text}"),
    },
    optional={
        "query": st.dictionaries(words, scalars | st.lists(scalars, max_size=2), max_size=2),
        "headers": st.dictionaries(identifiers.map(str.lower), words, max_size=2),
        "body": bodies,
        "body_format": st.sampled_from(["json", "form"]),
        "capture": captures,
        "expect": answers,
        "failure_reason": st.sampled_from(["", "$.detail", "header:X-Why"]),
        **calls,
    },
)
webhook_steps = st.fixed_dictionaries(
    {"key": identifiers, "type": st.just("webhook"), "connection_id": st.integers(1, 99)},
    optional={"body": bodies, **calls},
)
plain_fields = st.fixed_dictionaries(
    {"name": identifiers},
    optional={
        "label": words,
        "type": st.sampled_from(["text", "number", "boolean"]),
        "required": st.booleans(),
    },
)
choice_fields = st.fixed_dictionaries(
    {
        "name": identifiers,
        "type": st.just("choice"),
        "options": st.lists(words, min_size=1, max_size=3, unique_by=str.strip),
    }
)
human_steps = st.fixed_dictionaries(
    {
        "key": identifiers,
        "type": st.just("human"),
        "prompt": words,
        "assignee": st.sampled_from([{"user_id": "7"}, {"group_id": 3}, {"anyone": True}]),
    },
    optional={
        "fields": st.lists(plain_fields | choice_fields, max_size=3, unique_by=lambda one: one["name"]),
        "due_hours": st.integers(1, 8760),
        "granter_may_act": st.booleans(),
        **heads,
    },
)
steps = http_steps | webhook_steps | human_steps
definitions = st.lists(steps, max_size=5)
