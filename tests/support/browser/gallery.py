"""A test-only application that shows every component: material for the browser checks, never shipped."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from flask import Flask, Response, flash, make_response, render_template, request
from flask_wtf import CSRFProtect
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
from werkzeug.exceptions import HTTPException

from app.clock import now
from app.domain.states import RunStatus
from app.errors import FieldError
from app.web import errors, htmx, page_context, preferences, security, template_filters
from app.web.forms import FormState
from app.web.paging import PageLinks

ROOT = Path(__file__).resolve().parents[3] / "app"
LONG = "Maximiliana Konstantinopolitanskaya-Featherstonehaugh (contractor, Reykjavík office)"


def create_gallery() -> Flask:
    """The gallery with the console's own foundation: the same headers, context, filters and templates."""
    app = Flask("gallery", static_folder=str(ROOT / "static"), static_url_path="/static")
    app.secret_key = "only for tests"
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    app.jinja_env.undefined = StrictUndefined
    own = FileSystemLoader([str(ROOT / "templates"), str(Path(__file__).parent / "templates")])
    app.jinja_loader = ChoiceLoader([own])  # type: ignore[assignment]
    CSRFProtect(app)
    for part in (htmx, security, template_filters):
        part.init_app(app)
    page_context.init_app(
        app,
        viewer=lambda: (
            None if "anonymous" in request.args else page_context.Viewer("Ana Ruiz", "ana@example.test")
        ),
        may=lambda _permission: True,
        counts=lambda: {"tasks": 2},
    )
    app.register_blueprint(preferences.bp)
    app.register_error_handler(HTTPException, lambda error: errors.render_error(error.code or 500))
    _routes(app)
    return app


def _routes(app: Flask) -> None:
    @app.get("/")
    def components() -> str:
        if "flash" in request.args:
            flash("Connection saved.", "ok")
            flash("The credential was not replaced.", "bad")
        return render_template("gallery.html", **_material())

    @app.get("/run")
    def run() -> str:
        return render_template("run.html", **_material())

    @app.get("/form")
    def form() -> str:
        return render_template("form.html", form=_form(), refused=False)

    @app.post("/form")
    def save() -> tuple[str, int]:
        errors = [
            FieldError("base_url", "Start the Base URL with https://"),
            FieldError("steps[0].path", "Enter a path that begins with a slash"),
            FieldError("rights", "Choose at least one permission"),
        ]
        refused = FormState(request.form.to_dict(flat=False), errors)
        template = "_form.html" if htmx.is_fragment() else "form.html"
        return render_template(template, form=refused, refused=True), 422

    @app.get("/bare")
    def bare() -> str:
        return render_template("bare.html", form=FormState())

    @app.get("/error/<int:status>")
    def error(status: int) -> Response:
        return errors.render_error(status, reference="7f3a9c20b1e84d55")

    @app.get("/replay")
    def replay() -> str:
        return render_template("replay.html")

    @app.post("/act")
    def act() -> Response:
        response = make_response('<p id="acted">The run continues.</p>')
        htmx.toast(response, "Submitted.", href="/run", link="Run 1042 continues")
        htmx.announce(response, "Step 2 of 4 was submitted.")
        return htmx.close_dialog(response, "#ask")

    @app.get("/poll")
    def poll() -> Response:
        return (
            htmx.no_change() if request.args.get("v") == "2" else make_response(render_template("_poll.html"))
        )


def _form() -> FormState:
    return FormState.of(
        {
            "name": "Jira Cloud",
            "base_url": "https://jira.example.test",
            "auth": "bearer",
            "note": "Ask the platform team before changing this.",
            "body": '{\n  "email": "{{ grantee.email }}"\n}',
            "attempts": 3,
            "retry": True,
            "rights": ["workflow:read"],
            "kind": "webhook",
        }
    )


def _material() -> dict[str, object]:
    started = now() - timedelta(minutes=3)
    states = list(RunStatus)
    names = ("Jane Doe", "Sam Sample", LONG, "Ria Okafor", "Bo Li", "Ana Ruiz", "Noor Haddad", "Kim Ito")
    rows = [
        SimpleNamespace(
            id=1042 - index,
            person=names[index % len(names)],
            application=("Jira Cloud", "Payroll", "GitHub")[index % 3],
            trigger="Access granted" if index % 3 else "Access revoked",
            status=status,
            failed="Create user · HTTP 401" if status is RunStatus.FAILED else "",
            started=started - timedelta(minutes=7 * index),
            took=(184, 1400, 64_000, 11_100_000, None)[index % 5],
        )
        for index, status in enumerate(states)
    ]
    return {
        "rows": rows,
        "states": states,
        "started": started,
        "later": now() + timedelta(seconds=9),
        "links": PageLinks(newer="/?after=1", older="/?before=2"),
        "form": FormState.of({"status": "failed", "q": "jane"}),
    }
