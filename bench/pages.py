"""How long pages and API calls take on the server with a long history, and how many statements they send."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flask.testing import FlaskClient
from sqlalchemy import event, func, select, text
from werkzeug.routing import Rule

from app import clock
from app.extensions import db
from app.models import Role, Run, User
from app.permissions import ALL_PERMISSIONS
from app.schemas.people import TokenIn
from app.services import tokens
from app.services.transaction import transaction
from bench.console import Console, make_case
from bench.engine import ACTOR, grant_all
from bench.growth import grown_console
from bench.report import Row, Section
from bench.setting import Setting, median

GOAL_MS = 50.0
POLL_GOAL_MS = 1.0
POLLS = 100
# These answer with a secret's page, do nothing but redirect, or ask the outside world.
LEFT_OUT = re.compile(r"/static/|/sign-in|<string:|<path:")
VARIANTS = (
    "/runs?status=failed",
    "/runs?status=succeeded",
    "/runs?application_id={application_id}",
    "/api/v1/runs?status=failed",
    "/api/v1/runs?user_id={user_id}",
    "/api/v1/grants?application_id={application_id}",
    "/api/v1/grants?state=needs_attention",
)
_POLL = re.compile(r'hx-get="(/runs/\d+/timeline[^"]*)"')


@dataclass(frozen=True, slots=True)
class Page:
    """What one address took: the median in milliseconds, and its statements."""

    path: str
    milliseconds: float
    statements: int


class Reader:
    """Somebody signed in who may do everything, and a token that may as well."""

    def __init__(self, console: Console) -> None:
        self.app = console.app
        with self.app.app_context(), transaction() as session:
            role = session.scalars(select(Role.id).where(Role.kind == "admin")).one()
            reader = User(email="reader@example.org", role_id=role, created_at=clock.now())
            session.add(reader)
            session.flush()
            given = TokenIn(name="Bench", permissions=sorted(ALL_PERMISSIONS))
            _token, secret = tokens.create_token(session, ACTOR, given, now=clock.now())
            signed_in = f"{reader.id}.{reader.session_epoch or 0}"
        self.client: FlaskClient = self.app.test_client()
        with self.client.session_transaction() as cookie:
            cookie["_user_id"] = signed_in
            cookie["_fresh"] = True
            cookie["since"] = int(clock.now().timestamp())
        self._headers = {"Authorization": f"Bearer {secret}"}
        self.statements = 0
        with self.app.app_context():
            event.listen(db.engine, "before_cursor_execute", self._count)

    def _count(self, *_facts: object) -> None:
        self.statements += 1

    def get(self, path: str) -> tuple[int, bytes, int]:
        """Status, body and number of statements."""
        before = self.statements
        headers = self._headers if path.startswith("/api/") else {}
        with self.client.get(path, headers=headers) as reply:
            return reply.status_code, reply.data, self.statements - before


def measure(setting: Setting) -> Section:
    rows: list[Row] = []
    notes: list[str] = []
    for kind in setting.kinds:
        with grown_console(setting, kind, pages=True) as (console, _seconds):
            make_some_unfinished(console, setting)
            reader = Reader(console)
            pages, skipped = walk(console, reader, setting.scale.page_calls)
            count = setting.scale.grown_rows[kind]
            rows += _rows(kind, count, pages, in_full=kind == setting.kinds[0])
            rows += _poll_rows(kind, console, reader)
            if skipped:
                notes.append(f"On {kind} these did not answer with a page: {', '.join(skipped)}.")
    notes.append("Server time is taken around Flask's test client: from routing to the answer, no network.")
    return Section("Pages", rows, notes)


def make_some_unfinished(console: Console, setting: Setting) -> None:
    """A few runs that nobody works on: queued ones, for lists and polls to show."""
    grant_all(console, make_case(console, setting.target.url, 20))


def walk(console: Console, reader: Reader, calls: int) -> tuple[list[Page], list[str]]:
    """Every page that can be read, and the paths of those that did not answer."""
    ids = _ids(console)
    found: list[Page] = []
    skipped: list[str] = []
    for path in _paths(console, ids):
        try:
            status, _body, _number = reader.get(path)
        except Exception as problem:  # noqa: BLE001
            # A page under construction keeps no other from being measured; it is named in the report.
            skipped.append(f"{path} ({type(problem).__name__})")
            continue
        if status != 200:
            skipped.append(f"{path} ({status})")
            continue
        taken = []
        for _ in range(calls):
            began = time.perf_counter()
            _status, _body, number = reader.get(path)
            taken.append((time.perf_counter() - began) * 1000)
        found.append(Page(path, median(taken), number))
    return found, skipped


def _paths(console: Console, ids: Mapping[str, int]) -> Iterator[str]:
    rules = sorted(console.app.url_map.iter_rules(), key=lambda rule: rule.rule)
    for rule in rules:
        if "GET" in (rule.methods or ()) and not LEFT_OUT.search(rule.rule) and _fits(rule, ids):
            yield re.sub(r"<int:(\w+)>", lambda match: str(ids[match[1]]), rule.rule)
    for path in VARIANTS:
        yield path.format_map(ids)


def _fits(rule: Rule, ids: Mapping[str, int]) -> bool:
    return set(rule.arguments) <= set(ids)


def _ids(console: Console) -> dict[str, int]:
    """One record of each kind: the middle of the history, where there is one."""
    with console.app.app_context(), db.engine.connect() as connection:
        middle = connection.execute(select(func.max(Run.id) / 2)).scalar_one()
        run = connection.execute(select(Run).where(Run.id >= int(middle)).order_by(Run.id).limit(1)).one()
        link = text("SELECT id FROM connections WHERE application_id = :application")
        found = connection.execute(link, {"application": run.application_id}).scalar_one()
    return {
        "run_id": run.id,
        "grant_id": run.grant_id,
        "user_id": run.user_id,
        "application_id": run.application_id,
        "workflow_id": run.workflow_id,
        "connection_id": found,
        "number": 1,
    }


def _rows(kind: str, count: int, pages: list[Page], *, in_full: bool) -> list[Row]:
    slowest = sorted(pages, key=lambda page: page.milliseconds, reverse=True)
    chosen = slowest[: 20 if in_full else 5]
    goal = f"≤ {GOAL_MS:g} ms"
    rows = [
        Row(
            f"{page.path}, {count:,} runs, {kind}",
            f"{page.milliseconds:.1f} ms, {page.statements} statements",
            goal=goal,
            met=page.milliseconds <= GOAL_MS,
        )
        for page in chosen
    ]
    if len(slowest) > len(chosen):
        rows.append(
            Row(
                f"The other {len(slowest) - len(chosen)} pages and calls, {count:,} runs, {kind}",
                f"≤ {slowest[len(chosen)].milliseconds:.1f} ms",
                goal=goal,
                met=slowest[len(chosen)].milliseconds <= GOAL_MS,
            )
        )
    return rows


def _poll_rows(kind: str, console: Console, reader: Reader) -> list[Row]:
    """A timeline's poll that changed nothing, asked as the page of a queued run asks."""
    with console.app.app_context(), db.engine.connect() as connection:
        run_id = connection.execute(select(func.max(Run.id))).scalar_one()
    status, body, _ = reader.get(f"/runs/{run_id}")
    match = _POLL.search(body.decode()) if status == 200 else None
    if match is None:
        return []
    path = match[1].replace("&amp;", "&")
    if reader.get(path)[0] != 204:
        return [Row(f"Poll that changed nothing, {kind}", "not answered with 204", goal="204", met=False)]
    before, began = reader.statements, time.process_time()
    for _ in range(POLLS):
        reader.get(path)
    spent = (time.process_time() - began) / POLLS * 1000
    statements = (reader.statements - before) / POLLS
    return [
        Row(
            f"Poll that changed nothing, {kind}",
            f"{spent:.2f} ms of processor, {statements:.0f} statements",
            goal=f"≤ {POLL_GOAL_MS:g} ms",
            met=spent <= POLL_GOAL_MS,
        ),
        Row(
            f"500 open timelines polling every 2 s, {kind}",
            f"{250 * spent / 1000:.2f} of a core",
            goal="≤ 0.25",
            met=250 * spent / 1000 <= 0.25,
        ),
    ]
