"""The browser harness: Debian's chromium, driven by Playwright, against an application on the loopback.

    def test_it(open_page, serve):
        page = open_page(serve(create_gallery()), "/", theme="dark", width=360)

`open_page` gives a `Watched` page that records console messages, policy violations and foreign requests; it
fails the test at its end when there were any, unless `allow` names what may occur.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.serving import WSGIRequestHandler, make_server

# Without the windows and menus that nobody sees the same engine takes little more than half the time.
CHROMIUMS = ("chromium-headless-shell", "chromium")
CHROMIUM = next((found for name in CHROMIUMS if (found := shutil.which(name))), "")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")

from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402

from app.extensions import db  # noqa: E402
from tests.support.browser.console import Open, add_person, make_console, open_as, write  # noqa: E402
from tests.support.browser.watched_page import Watched  # noqa: E402

# How long a page may take to come to what is expected. Five seconds, as delivered, are few on a busy machine.
expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and skip it with the reason where there is no browser."""
    missing = pytest.mark.skip(reason=f"no {' or '.join(CHROMIUMS)} on the PATH: install one")
    # A tab that closes while a file is being sent leaves that file or socket to the garbage collector of the
    # server's thread, and the complaint reaches whichever test runs then.
    cut_off = pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <(_io|socket):pytest.PytestUnraisableExceptionWarning"
    )
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(cut_off)
            # Many pages in one test, each drawn in two themes and two widths.
            item.add_marker(pytest.mark.timeout(480))
            if not CHROMIUM:
                item.add_marker(missing)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for the whole session; each test gets its own context."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Keep the test output free of request lines."""


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Flask], str]]:
    """Serve an application on a free loopback port until the session ends; gives its address."""
    running = []

    def start(app: Flask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Open an address in a fresh context: `open_page(base, path, theme="light", width=1280, script=True)`.

    `theme` is what the system prefers. `allow` are pieces of console text that the test provokes on purpose.
    """
    opened: list[Watched] = []

    def open_(
        base: str,
        path: str = "/",
        *,
        theme: str = "light",
        width: int = 1280,
        height: int = 800,
        script: bool = True,
        motion: str = "no-preference",
        allow: tuple[str, ...] = (),
    ) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
            reduced_motion=motion,  # type: ignore[arg-type]
            java_script_enabled=script,
        )
        watched = Watched(context, base, allow=allow)
        opened.append(watched)
        watched.goto(path)
        return watched

    yield open_
    try:
        for watched in opened:
            watched.assert_clean()
    finally:
        for watched in opened:
            watched.context.close()


@pytest.fixture(scope="module")
def console(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The console on a database of the module's own, which the module's `fill(session)` has filled."""
    app = make_console(tmp_path_factory.mktemp("console"))
    write(app, request.module.fill)
    return app


@pytest.fixture(scope="module")
def base(serve: Callable[[Flask], str], console: Flask) -> str:
    """The address of the module's console."""
    return serve(console)


@pytest.fixture
def story_session(only_sqlite: Flask) -> Iterator[Session]:
    """A session for telling stories, apart from those of the requests and from any application context."""
    with only_sqlite.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield session


@pytest.fixture
def visit(only_sqlite: Flask, story_session: Session, open_page: Open, serve: Callable[[Flask], str]) -> Open:
    """Open a page as Alice or another administrator: `visit("/runs/1", "ben", theme="dark")`."""
    base, known = serve(only_sqlite), set()

    def open_(path: str, name: str = "alice", **options: object) -> Watched:
        if name not in known:
            known.add(name)
            with only_sqlite.app_context():
                add_person(story_session, name, "admin")
            story_session.commit()
        return open_as(open_page, base, name, path, **options)

    return open_
