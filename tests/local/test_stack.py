"""The supervisor with real processes: started in order, watched, started again, and none left over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.local import redis_server
from app.local.supervisor import claims
from app.local.supervisor.claims import StartError
from app.local.supervisor.stack import ROOT, ProcessPlan, Stack

FAKE = Path(__file__).with_name("fake_console.py")
PATIENCE = 60.0

pytestmark = pytest.mark.slow


def fake(*words: str) -> tuple[str, ...]:
    return (sys.executable, str(FAKE), *words)


def plan(**changed: tuple[str, ...]) -> ProcessPlan:
    lines = {
        "web": fake("web"),
        "worker": fake("idle"),
        "sweeper": fake("idle"),
        "flask": fake("flask"),
        "upgrade": fake("upgrade"),
        "demo_data": fake("demo-data"),
        "welcome": fake("welcome"),
    }
    return ProcessPlan(folder=ROOT, **(lines | changed))


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def notes(stack: Stack, role: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (stack.data_dir / f"notes-{role}").read_text().splitlines()]


def children_of(stack: Stack) -> list[int]:
    """Every process of the stack and all that these started."""
    leaders = [pid for name in stack.names() if (pid := stack.pid(name)) is not None]
    below = [child.pid for pid in leaders for child in psutil.Process(pid).children(recursive=True)]
    return leaders + below


def is_gone(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


@pytest.fixture
def lines() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def stack(lines: list[tuple[str, str]]) -> Iterator[Stack]:
    with Stack.temporary(
        plan=plan(), output=lambda name, line: lines.append((name, line)), DEMO_DATA="1"
    ) as one:
        yield one


def test_it_starts_everything_and_tells_each_process_where_the_others_are(stack: Stack) -> None:
    assert stack.names() == ["redis", "scim", "web", "worker", "sweeper"]
    with urllib.request.urlopen(f"{stack.url}/readyz") as answer:
        assert answer.status == 200
    assert stack.settings.redis_socket is not None
    assert redis_server.answers(stack.settings.redis_socket)
    seen = notes(stack, "web")[0]
    assert seen["DATA_DIR"] == str(stack.data_dir)
    assert seen["EGRESS_ALLOW"] == stack.scim_url.removeprefix("http://").removesuffix("/v2")
    assert seen["DEMO_SCIM_TOKEN"] == ""
    told = notes(stack, "demo-data")[0]
    assert (told["DEMO_SCIM_URL"], told["DEMO_SCIM_TOKEN"]) == (stack.scim_url, stack.scim_token)


def test_the_embedded_redis_has_no_port_and_a_socket_that_only_its_owner_opens(stack: Stack) -> None:
    pid = stack.pid("redis")
    assert pid is not None
    assert [one for one in psutil.Process(pid).net_connections() if one.status == psutil.CONN_LISTEN] == []
    assert stack.settings.redis_socket is not None
    assert stat.S_IMODE(stack.settings.redis_socket.stat().st_mode) == 0o700


def test_the_scim_server_wants_its_token_which_no_command_line_shows(stack: Stack) -> None:
    request = urllib.request.Request(f"{stack.scim_url}/Users")
    eventually(lambda: _status(request) == 401)
    request.add_header("Authorization", f"Bearer {stack.scim_token}")
    assert _status(request) == 200
    pid = stack.pid("scim")
    assert pid is not None
    assert stack.scim_token not in " ".join(psutil.Process(pid).cmdline())
    assert stat.S_IMODE((stack.data_dir / "scim-token").stat().st_mode) == 0o600


def test_accounts_of_the_scim_server_outlive_it(stack: Stack) -> None:
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@example.org"}
    headers = {"Authorization": f"Bearer {stack.scim_token}", "Content-Type": "application/scim+json"}
    url = f"{stack.scim_url}/Users"
    create = urllib.request.Request(url, json.dumps(body).encode(), headers)
    eventually(lambda: _status(create) in (201, 409))
    before = stack.pid("scim")
    stack.kill("scim")
    eventually(lambda: stack.pid("scim") not in (None, before))
    listing = urllib.request.Request(url, headers=headers)
    eventually(lambda: _status(listing) == 200)
    with urllib.request.urlopen(listing) as answer:
        assert [one["userName"] for one in json.load(answer)["Resources"]] == ["ada@example.org"]


def test_a_killed_process_comes_back_with_one_line_about_it(
    stack: Stack, lines: list[tuple[str, str]]
) -> None:
    eventually(lambda: ("worker", "working") in lines)
    before = stack.pid("worker")
    below = [child.pid for child in psutil.Process(before).children()]
    stack.kill("worker")
    eventually(lambda: stack.pid("worker") not in (None, before))
    assert all(is_gone(pid) for pid in below)
    assert [line for name, line in lines if name == "supervisor"] == [
        "worker ended (signal SIGKILL); again in 0.5 s"
    ]
    eventually(lambda: lines.count(("worker", "working")) == 2)


def test_redis_is_quiet_until_it_dies(stack: Stack, lines: list[tuple[str, str]]) -> None:
    assert "redis" not in {name for name, _ in lines}
    stack.kill("redis")
    eventually(lambda: "redis" in {name for name, _ in lines})
    assert stack.settings.redis_socket is not None
    socket_path = stack.settings.redis_socket
    eventually(lambda: redis_server.answers(socket_path))


def test_a_halted_process_stays_away_until_it_is_resumed(stack: Stack) -> None:
    socket_path = stack.settings.redis_socket
    assert socket_path is not None
    stack.halt("redis")
    assert not redis_server.answers(socket_path)
    assert stack.pid("redis") is None
    stack.resume("redis")
    eventually(lambda: redis_server.answers(socket_path))


def test_a_command_can_be_run_beside_it(stack: Stack) -> None:
    assert stack.flask("admin", "create", "ada@example.org") == "done admin create ada@example.org"


def test_a_second_console_on_the_same_data_is_refused_in_one_line(stack: Stack) -> None:
    other = Stack(
        {"DATA_DIR": str(stack.data_dir), "PORT": str(claims.free_port()), "ENV_FILE": ""}, plan=plan()
    )
    with pytest.raises(StartError) as refused:
        other.start()
    assert f"(process {os.getpid()})" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_stopping_leaves_no_process_and_no_folder() -> None:
    # A worker that ignores SIGTERM is killed in the end.
    with Stack.temporary(plan=plan(sweeper=fake("stubborn")), workers=2) as stack:
        assert "worker-2" in stack.names()
        pids = children_of(stack)
        assert len(pids) >= 6
        folder = stack.data_dir.parent
    assert all(is_gone(pid) for pid in pids)
    assert not folder.exists()


def test_a_taken_port_is_refused_in_one_line_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        stack = Stack({"DATA_DIR": str(tmp_path), "PORT": str(port), "ENV_FILE": ""}, plan=plan())
        with pytest.raises(StartError, match=f"^PORT: {port} is in use; .* make run PORT={port + 1}$"):
            stack.start()
    assert not (tmp_path / "notes-upgrade").exists()


def test_a_failed_migration_stops_the_start(lines: list[tuple[str, str]]) -> None:
    stack = Stack.temporary(plan=plan(upgrade=fake("fails")), output=lambda *line: lines.append(line))
    with pytest.raises(StartError, match="migrate failed with exit status 3"):
        stack.start()
    assert ("migrate", "the reason") in lines
    assert not stack.data_dir.exists()


def test_a_console_that_dies_at_each_start_is_given_up(lines: list[tuple[str, str]]) -> None:
    stack = Stack.temporary(plan=plan(web=fake("dies")), output=lambda *line: lines.append(line))
    with pytest.raises(StartError, match="does not become ready"):
        stack.start()
    assert ("web", "settings cannot be used") in lines


def test_without_any_redis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(redis_server.NoRedis, match="install valkey-server or redis-server, or set REDIS_URL"):
        redis_server.find_redis()


RUN = """
import sys
sys.path.insert(0, {folder!r})
from test_stack import plan
from app.local.supervisor import stack
stack.ProcessPlan = plan
from app.local.supervisor.__main__ import main
sys.exit(main())
"""


def make_run(tmp_path: Path) -> subprocess.Popen[str]:
    """`python -m app.supervisor` with the fake console in the place of the real one."""
    environ = os.environ | {"DATA_DIR": str(tmp_path), "PORT": str(claims.free_port()), "ENV_FILE": ""}
    environ |= {"PYTHONPATH": str(ROOT), "APP_ENV": ""}
    command = (sys.executable, "-c", RUN.format(folder=str(FAKE.parent)))
    return subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    read = ""
    for line in process.stdout or ():
        read += line
        if words in line:
            return read
    pytest.fail(f"it ended without saying {words!r}:\n{read}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_make_run_greets_stays_and_stops_everything_on_a_signal(tmp_path: Path, number: int) -> None:
    process = make_run(tmp_path)
    greeting = read_until(process, "Ctrl-C stops everything")
    for words in ("Access Automation is ready:  http://127.0.0.1:", "sign in at /one-time", str(tmp_path)):
        assert words in greeting
    assert greeting.count("one-time") == 1
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    assert process.stdout is not None
    assert process.stdout.read().endswith("Stopped.\n")
    assert all(is_gone(one.pid) for one in below)
    process.stdout.close()


def test_kill_nine_of_make_run_leaves_no_process(tmp_path: Path) -> None:
    process = make_run(tmp_path)
    read_until(process, "Ctrl-C stops everything")
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) >= 6
    process.kill()
    process.wait()
    eventually(lambda: all(is_gone(one.pid) for one in below))
    assert process.stdout is not None
    process.stdout.close()


def test_kill_nine_of_make_run_and_its_watchdog_ends_at_least_what_it_started(tmp_path: Path) -> None:
    process = make_run(tmp_path)
    read_until(process, "Ctrl-C stops everything")
    started = psutil.Process(process.pid).children()
    watchdog = next(one for one in started if one.cmdline()[-1].endswith("watchdog.py"))
    watchdog.kill()
    process.kill()
    process.wait()
    leftovers = [one for one in psutil.process_iter() if str(tmp_path) in _environment(one)]
    if sys.platform.startswith("linux"):
        eventually(lambda: all(is_gone(one.pid) for one in started))
    for one in leftovers:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    assert process.stdout is not None
    process.stdout.close()


def test_a_bad_setting_stops_make_run_with_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        (sys.executable, "-m", "app.supervisor"),
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(tmp_path), "PORT": "eighty", "ENV_FILE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert (
        ended.stderr == "PORT: 'eighty' is not a whole number; it should be a whole number from 1 to 65535\n"
    )


def test_a_remembered_port_that_is_taken_is_replaced_and_remembered(tmp_path: Path) -> None:
    first = claims.remembered_port(tmp_path / "port", 0)
    assert claims.remembered_port(tmp_path / "port", 0) == first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        second = claims.remembered_port(tmp_path / "port", 0)
    assert second != first
    assert claims.remembered_port(tmp_path / "port", 0) == second


def _status(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except OSError:
        return 0


def _environment(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.environ().get("DATA_DIR", "")
    return ""
