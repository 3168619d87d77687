"""The whole console as one thing to start and stop: embedded servers, web, workers, sweeper.

with Stack.temporary(LEASE_SECONDS="5") as stack:
    stack.url, stack.scim_url, stack.scim_token
    stack.kill("worker")        # comes back by itself
    stack.halt("redis"); stack.resume("redis")
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from app.config import files
from app.config.settings import Settings, load_settings
from app.local import redis_server
from app.local.supervisor import claims
from app.local.supervisor.claims import StartError
from app.local.supervisor.keeper import Command, Keeper, Print

ROOT = Path(__file__).resolve().parents[3]
FLASK = (sys.executable, "-m", "flask", "--app", "wsgi")
FAVOURITE_SCIM_PORT = 18101
COMMAND_SECONDS = 120.0
READY_SECONDS = 60.0
REDIS_SECONDS = 10.0
HOPELESS_DEATHS = 4
# Ending everything stays within ten seconds: the console and its workers first, what they use afterwards.
CONSOLE_GRACE, SCIM_GRACE, REDIS_GRACE = 6.0, 1.0, 2.0


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """The command lines of one console; `folder` is where they are run."""

    folder: Path = ROOT
    web: tuple[str, ...] = (sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app")
    worker: tuple[str, ...] = (sys.executable, "-m", "app.workers")
    sweeper: tuple[str, ...] = (sys.executable, "-m", "app.workers.sweeper")
    flask: tuple[str, ...] = FLASK
    upgrade: tuple[str, ...] = (*FLASK, "db", "upgrade")
    # Fills an empty console and points the demo connection at DEMO_SCIM_URL with DEMO_SCIM_TOKEN. Run on each
    # start: it changes nothing that is as it should be, and prints nothing.
    demo_data: tuple[str, ...] = (*FLASK, "demo-data")
    # Prints how to sign in: a one-time link while nobody has a password, else who can.
    welcome: tuple[str, ...] = (*FLASK, "admin", "welcome")
    scim: tuple[str, ...] = (sys.executable, "-m", "app.local.scim_server")

    def has_scim(self) -> bool:
        """Whether the demo's SCIM server is installed (it is no part of a production installation)."""
        return importlib.util.find_spec("scim2_server") is not None


class Stack:
    """One console with all its processes. `start` and `stop`, or use it as a context manager.

    `environ` is the environment of every process; what is not in it comes from the `.env` file. `output`
    is called with a process's name and a line it printed. With `greet`, `sign_in` holds afterwards what the
    console's own command says about signing in. Every public method may be called from any thread.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        output: Print = lambda _name, _line: None,
        plan: ProcessPlan | None = None,
        workers: int = 1,
        greet: bool = False,
    ) -> None:
        self.output = output
        self.sign_in = ""
        self.plan = plan or ProcessPlan()
        self.workers = workers
        self.settings: Settings = load_settings(environ)
        self.scim_url = ""
        self.scim_token = ""
        self._greet = greet
        self._environ = dict(environ)
        self._temporary: Path | None = None
        self._lock: int | None = None
        self._keeper: Keeper | None = None

    @classmethod
    def temporary(
        cls,
        *,
        output: Print = lambda _name, _line: None,
        plan: ProcessPlan | None = None,
        workers: int = 1,
        **settings: str,
    ) -> Stack:
        """A console on free ports with its data in a new temporary folder, which `stop` removes.

        `settings` are added by name (`DATABASE_URL="postgresql://…"`); no `.env` file is read.
        """
        folder = Path(tempfile.mkdtemp(prefix="access-"))
        environ = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
        }
        environ |= {
            "DATA_DIR": str(folder / "data"),
            "PORT": str(claims.free_port()),
            "ENV_FILE": "",
            "DEMO_DATA": "0",
        }
        try:
            stack = cls(environ | settings, output=output, plan=plan, workers=workers)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        stack._temporary = folder
        return stack

    @property
    def url(self) -> str:
        """Where the console answers."""
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def data_dir(self) -> Path:
        """Where the embedded data lives."""
        return self.settings.data_dir

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the console's processes: complete enough to run its commands with."""
        allow = list(self.settings.egress_allow)
        if self.scim_url:
            allow.append(f"127.0.0.1:{self._scim_port()}")
        return self._environ | {
            "DATA_DIR": str(self.settings.data_dir),
            "PORT": str(self.settings.port),
            "EGRESS_ALLOW": ",".join(dict.fromkeys(allow)),
            "PYTHONUNBUFFERED": "1",
            # `flask` would read .env by itself, over the choice of ENV_FILE.
            "FLASK_SKIP_DOTENV": "1",
        }

    def start(self) -> None:
        """Start everything, return once the console is ready. Raises StartError with nothing left running."""
        try:
            self._lock = claims.hold_folder(self.data_dir)
            claims.check_port(self.settings.port)
            self._keeper = Keeper(self.output)
            self._start_redis()
            self._start_scim()
            self._prepare()
            self._start_console()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process, last started first, within about ten seconds. May be called twice."""
        keeper, self._keeper = self._keeper, None
        try:
            if keeper is not None:
                outside = ("redis", "scim")
                console = [name for name in keeper.names() if name not in outside]
                keeper.close([(console, CONSOLE_GRACE), (["scim"], SCIM_GRACE), (["redis"], REDIS_GRACE)])
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def flask(self, *arguments: str, timeout: float = COMMAND_SECONDS) -> str:
        """Run `flask --app wsgi ARGUMENTS` beside the console; its standard output. Raises StartError."""
        return self._run(arguments[0], (*self.plan.flask, *arguments), {}, timeout=timeout, quiet=True)

    def names(self) -> list[str]:
        """The running processes' names: redis, scim, web, worker (worker-2, …), sweeper."""
        return self._kept().names()

    def pid(self, name: str) -> int | None:
        """The process id under `name`, or None while none runs."""
        return self._kept().pid(name)

    def kill(self, name: str) -> None:
        """`kill -9` the process and what it started; it comes back by itself after a moment."""
        self._kept().kill(name)

    def halt(self, name: str) -> None:
        """End the process and keep it ended until `resume`."""
        self._kept().halt(name)

    def resume(self, name: str) -> None:
        """Start a halted process again."""
        self._kept().resume(name)

    def restart(self, name: str) -> None:
        """End the process in an orderly way and start it again at once."""
        self.halt(name)
        self.resume(name)

    def _kept(self) -> Keeper:
        if self._keeper is None:
            raise StartError("The console is not running.")
        return self._keeper

    def _start_redis(self) -> None:
        socket_path = self.settings.redis_socket
        if not self.settings.is_embedded_redis or socket_path is None:
            return
        try:
            program = redis_server.find_redis()
        except redis_server.NoRedis as error:
            raise StartError(str(error)) from None
        folder = self.data_dir / "redis"
        folder.mkdir(mode=0o700, exist_ok=True)
        argv = redis_server.redis_command(program, socket_path=socket_path, folder=folder)
        # It greets with a page of its own at each start.
        self._keep("redis", argv, quiet=True)
        claims.wait_until(
            lambda: redis_server.answers(socket_path),
            seconds=REDIS_SECONDS,
            otherwise=f"Redis does not start; see above. {folder} may be removed, all work is in SQL",
            hopeless=lambda: self._kept().deaths("redis") >= HOPELESS_DEATHS,
        )

    def _start_scim(self) -> None:
        if not self.settings.demo_data and self._temporary is None:
            return
        if not self.plan.has_scim():
            self.output("supervisor", "no demo target: scim2-server is not installed")
            return
        token_file = self.data_dir / "scim-token"
        self.scim_token = files.read_or_make(token_file, lambda: secrets.token_urlsafe(24))
        favourite = FAVOURITE_SCIM_PORT if self._temporary is None else 0
        port = claims.remembered_port(self.data_dir / "scim-port", favourite)
        self.scim_url = f"http://127.0.0.1:{port}/v2"
        accounts = self.data_dir / "scim-accounts.json"
        argv = (
            *self.plan.scim,
            "--port",
            str(port),
            "--token-file",
            str(token_file),
            "--accounts",
            str(accounts),
        )
        self._keep("scim", argv)

    def _prepare(self) -> None:
        self._run("migrate", self.plan.upgrade, {})
        if self.settings.demo_data:
            more = {"DEMO_SCIM_URL": self.scim_url, "DEMO_SCIM_TOKEN": self.scim_token}
            try:
                self._run("demo-data", self.plan.demo_data, more)
            except StartError as error:
                # The demo's data is a courtesy; a console without it is still a console.
                self.output("supervisor", str(error))

    def _start_console(self) -> None:
        self._keep("web", self.plan.web)
        for number in range(1, self.workers + 1):
            self._keep("worker" if number == 1 else f"worker-{number}", self.plan.worker)
        self._keep("sweeper", self.plan.sweeper)
        if self._greet:
            self.sign_in = self._say_how_to_sign_in()
        claims.wait_until(
            self.is_ready,
            seconds=READY_SECONDS,
            otherwise="The console does not become ready; its lines above say why",
            hopeless=lambda: self._kept().deaths("web") >= HOPELESS_DEATHS,
        )

    def _say_how_to_sign_in(self) -> str:
        """Asked while the console is still starting, which takes as long."""
        try:
            return self._run("welcome", self.plan.welcome, {}, quiet=True).strip()
        except StartError:
            return ""

    def is_ready(self) -> bool:
        """Whether the console answers /readyz with 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _keep(self, name: str, argv: tuple[str, ...], *, quiet: bool = False) -> None:
        self._kept().start(Command(name, argv, self.environ, self.plan.folder, quiet))

    def _run(
        self,
        name: str,
        argv: tuple[str, ...],
        more: Mapping[str, str],
        *,
        timeout: float = COMMAND_SECONDS,
        quiet: bool = False,
    ) -> str:
        command = Command(name, argv, self.environ | dict(more), self.plan.folder)
        status, printed = self._kept().run(command, timeout=timeout, quiet=quiet)
        if status != 0:
            raise StartError(f"{name} failed with exit status {status}; its lines above say why")
        return printed

    def _scim_port(self) -> str:
        return self.scim_url.rpartition(":")[2].partition("/")[0]
