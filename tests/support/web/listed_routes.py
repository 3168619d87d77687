"""Every page and act of the console with what it asks for. A new route stands here, or `test_who_may` fails."""

from __future__ import annotations

from app.guard import PUBLIC

Call = tuple[str, str]

ANYBODYS = {
    PUBLIC: """
        GET /sign-in
        POST /sign-in
        GET /sign-in/{secret}
        POST /sign-in/{secret}
        GET /sign-in/code
        POST /sign-in/code
        GET /sign-in/sso
        GET /sign-in/sso/callback
        POST /sign-out
        POST /preferences
        GET /healthz
        GET /readyz
        GET /metrics
    """,
    "grant:read": """
        GET /applications
        GET /applications/{application_id}
        GET /applications/{application_id}/chips
        GET /grants/{grant_id}
        GET /groups
        GET /groups/{group_id}
        GET /people
        GET /people/{user_id}
    """,
    "application:write": """
        GET /applications/new
        POST /applications
        GET /applications/{application_id}/edit
        POST /applications/{application_id}/edit
        GET /applications/{application_id}/archive
        POST /applications/{application_id}/archive
        POST /applications/{application_id}/restore
    """,
    "grant:write": """
        GET /applications/{application_id}/grant
        POST /applications/{application_id}/grant
        GET /applications/{application_id}/grant/consequence
        GET /applications/{application_id}/grant/people
        GET /grants/{grant_id}/edit
        POST /grants/{grant_id}/edit
        GET /grants/{grant_id}/revoke
        POST /grants/{grant_id}/revoke
        GET /grants/{grant_id}/revoke/consequence
        GET /people/{user_id}/copy
        POST /people/{user_id}/copy
        POST /people/{user_id}/copy/check
    """,
    "user:manage": """
        GET /people/new
        POST /people
        GET /people/import
        POST /people/import
        GET /people/{user_id}/edit
        POST /people/{user_id}/edit
        GET /people/{user_id}/deactivate
        POST /people/{user_id}/deactivate
        POST /people/{user_id}/reactivate
        POST /people/{user_id}/reset-codes
        POST /people/{user_id}/sign-in-link
        POST /people/{user_id}/unlink-single-sign-on
        GET /groups/new
        POST /groups
        GET /groups/{group_id}/edit
        POST /groups/{group_id}/edit
        POST /groups/{group_id}/add
        POST /groups/{group_id}/remove
        GET /roles
        POST /roles
        POST /roles/check
    """,
    "audit:read": """
        GET /audit
        GET /audit/export
    """,
    "settings:manage": """
        GET /system/pause
        POST /system/pause
        GET /system/resume
        POST /system/resume
        POST /system/test-alert
        GET /tokens
        GET /tokens/new
        POST /tokens
        GET /tokens/{token_id}/revoke
        POST /tokens/{token_id}/revoke
    """,
    "workflow:read": """
        GET /applications/{application_id}/connections
        GET /applications/{application_id}/workflows
        GET /bulk-retries
        GET /bulk-retries/{bulk_retry_id}
        GET /bulk-retries/{bulk_retry_id}/progress
        GET /connections/{connection_id}
        GET /runs
        GET /runs/export
        GET /runs/{run_id}
        GET /runs/{run_id}/timeline
        GET /workflows/{workflow_id}/backtest
        GET /workflows/{workflow_id}/compare
        GET /workflows/{workflow_id}/dry-run
        GET /workflows/{workflow_id}/export.yaml
        GET /workflows/{workflow_id}/versions
        GET /workflows/{workflow_id}/versions/{number}
    """,
    "workflow:run": """
        POST /grants/{grant_id}/run-now
        GET /bulk-retries/new
        POST /bulk-retries
        POST /bulk-retries/{bulk_retry_id}/stop
        GET /connections/{connection_id}/park
        POST /connections/{connection_id}/park
        POST /connections/{connection_id}/unpark
        GET /runs/{run_id}/cancel
        POST /runs/{run_id}/cancel
        GET /runs/{run_id}/done
        POST /runs/{run_id}/done
        GET /runs/{run_id}/overrides
        POST /runs/{run_id}/overrides
        GET /runs/{run_id}/replay
        POST /runs/{run_id}/replay
        GET /runs/{run_id}/retry
        POST /runs/{run_id}/retry
        GET /runs/{run_id}/values
        POST /runs/{run_id}/values
        GET /workflows/{workflow_id}/start-runs
        POST /workflows/{workflow_id}/start-runs
    """,
    "workflow:secrets": """
        POST /connections/{connection_id}/credential
        GET /connections/{connection_id}/credential/remove
        POST /connections/{connection_id}/credential/remove
    """,
    "workflow:manage": """
        GET /workflows/review
        POST /workflows/{workflow_id}/reviewed
        POST /applications/{application_id}/connections
        GET /applications/{application_id}/connections/new
        GET /applications/{application_id}/templates
        GET /applications/{application_id}/templates/{key}
        POST /applications/{application_id}/templates/{key}
        POST /applications/{application_id}/workflows
        GET /applications/{application_id}/workflows/new
        GET /applications/{application_id}/workflows/import
        POST /applications/{application_id}/workflows/import
        GET /connections/{connection_id}/delete
        POST /connections/{connection_id}/delete
        GET /connections/{connection_id}/edit
        POST /connections/{connection_id}/edit
        POST /connections/{connection_id}/test
        POST /connections/{connection_id}/test-event
        POST /workflows/{workflow_id}/dry-run
        GET /workflows/{workflow_id}/delete
        POST /workflows/{workflow_id}/delete
        GET /workflows/{workflow_id}/edit
        POST /workflows/{workflow_id}/edit
        POST /workflows/{workflow_id}/edit/preview
        POST /workflows/{workflow_id}/enabled
        GET /workflows/{workflow_id}/settings
        POST /workflows/{workflow_id}/settings
        POST /workflows/{workflow_id}/versions/{number}/restore
    """,
}
# What is about the reader alone: no address names anybody, so nobody reaches somebody else's.
ONES_OWN = """
    GET /
    GET /home/live
    GET /alerts
    POST /alerts/read
    GET /account
    GET /account/codes
    POST /account/codes
    GET /account/codes/off
    POST /account/codes/off
    GET /account/codes/picture
    GET /account/codes/recovery
    POST /account/codes/recovery
    GET /account/codes/scan
    POST /account/codes/scan
    POST /account/password
    POST /account/sign-out-everywhere
"""
# Of whoever it was sent to: `tests/web/alerts/` shows that nobody reaches somebody else's.
SENT_TO_ONE = """
    POST /alerts/{message_id}/read
"""
# For whoever signs in and holds one of these.
ONE_OF = {
    ("GET", "/system"): {"settings:manage", "workflow:run"},
    ("GET", "/system/parts"): {"settings:manage", "workflow:run"},
    ("GET", "/system/alerts"): {"settings:manage", "workflow:run"},
    ("GET", "/system/alerts/{message_id}"): {"settings:manage", "workflow:run"},
    ("GET", "/tasks"): {"workflow:task", "workflow:read"},
}
# Of whoever is asked to do the task: who else may come here at all, and who is asked.
TASKS = {
    ("GET", "/tasks/{task_id}"): {"workflow:task", "workflow:read"},
    ("POST", "/tasks/{task_id}/assign"): {"workflow:task", "workflow:read"},
    ("POST", "/tasks/{task_id}/claim"): {"workflow:task"},
    ("GET", "/tasks/{task_id}/fail"): {"workflow:task"},
    ("POST", "/tasks/{task_id}/fail"): {"workflow:task"},
    ("POST", "/tasks/{task_id}/release"): {"workflow:task"},
    ("POST", "/tasks/{task_id}/retry"): {"workflow:task"},
    ("GET", "/tasks/{task_id}/skip"): {"workflow:task"},
    ("POST", "/tasks/{task_id}/skip"): {"workflow:task"},
    ("POST", "/tasks/{task_id}/submit"): {"workflow:task"},
}
# These show whom grants are for, and ask for grant:read besides.
SHOWS_PEOPLE = {
    ("GET", "/workflows/{workflow_id}/backtest"),
    ("GET", "/workflows/{workflow_id}/dry-run"),
    ("POST", "/workflows/{workflow_id}/dry-run"),
    ("GET", "/workflows/{workflow_id}/start-runs"),
    ("POST", "/workflows/{workflow_id}/start-runs"),
}


def calls(listed: str) -> list[Call]:
    return [(line.split()[0], line.split()[1]) for line in listed.split("\n") if line.strip()]


GUARDED = {call: asked for asked, listed in ANYBODYS.items() if asked != PUBLIC for call in calls(listed)}
