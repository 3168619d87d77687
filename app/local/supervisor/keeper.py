"""Starts processes, passes on what they print, starts them again when they die, and ends them all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
LAST_LINES = 20
WATCH_SECONDS = 0.1
FIRST_DELAY, LONGEST_DELAY = 0.5, 15.0
# A process that ran this long has recovered: its next death counts as the first again.
HEALTHY_SECONDS = 30.0

Print = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Command:
    """One command line under a name, with its whole environment.

    What a `quiet` one prints is kept to itself unless it dies: then its last lines say why.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path
    quiet: bool = False


@dataclass(slots=True)
class _Kept:
    command: Command
    process: subprocess.Popen[str] | None = None
    started: float = 0.0
    deaths: int = 0
    wanted: bool = True
    start_at: float = 0.0
    reader: threading.Thread | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))


class Keeper:
    """Keeps commands running until `close`. Each is the leader of its own process group.

    `output(name, line)` is called for each line a process prints, from several threads.
    """

    def __init__(self, output: Print) -> None:
        self._output = output
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        # Linux ties "dies with its parent" to the thread that started the process, so one thread that
        # lives as long as the keeper starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="starter")
        self._watchdog = self._starter.submit(self._start_watchdog).result()
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._watcher.start()

    def start(self, command: Command) -> None:
        """Start `command` and keep it running."""
        with self._lock:
            kept = self._kept.setdefault(command.name, _Kept(command))
            kept.command, kept.wanted, kept.deaths = command, True, 0
            if kept.process is None:
                self._start(kept)

    def run(self, command: Command, *, timeout: float, quiet: bool = False) -> tuple[int, str]:
        """Run `command` to its end: its exit status and its standard output. Ended after `timeout` seconds.

        What it prints is passed on like that of the others; when `quiet`, only its standard error is.
        """
        lines: list[str] = []
        process = self._spawn(command, stderr=subprocess.PIPE)
        readers = [
            self._read(process.stdout, command.name, lines.append, quiet=quiet),
            self._read(process.stderr, command.name, lambda _line: None),
        ]
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = -int(signal.SIGALRM)
            self._output(command.name, f"took longer than {timeout:.0f} s and was ended")
        finally:
            # Interrupted or over time: the command and whatever it started end here.
            self._end_group(process)
        for reader in readers:
            reader.join(1.0)
        return status, "\n".join(lines)

    def pid(self, name: str) -> int | None:
        """The process id under `name`, or None while none runs."""
        with self._lock:
            process = self._kept[name].process
            return None if process is None or process.poll() is not None else process.pid

    def deaths(self, name: str) -> int:
        """How often in a row the process died soon after its start."""
        with self._lock:
            return self._kept[name].deaths

    def names(self) -> list[str]:
        """The names of all kept commands, in the order in which they were started."""
        return list(self._kept)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process group; it is started again, as after any other death."""
        pid = self.pid(name)
        if pid is not None:
            _signal(pid, number)

    def halt(self, name: str, *, grace: float = 5.0) -> None:
        """End the process within `grace` seconds and leave it ended until `start`."""
        with self._lock:
            kept = self._kept[name]
            kept.wanted = False
        self._end([kept], grace)

    def resume(self, name: str) -> None:
        """Start a halted process again."""
        self.start(self._kept[name].command)

    def close(self, groups: Iterable[tuple[Iterable[str], float]]) -> None:
        """End all: each group of names in turn, in its seconds. What is interrupted is killed at once."""
        self._closing.set()
        self._watcher.join()
        try:
            for names, grace in groups:
                self._end([self._kept[name] for name in names if name in self._kept], grace)
        finally:
            self._end(list(self._kept.values()), 0.0)
            if self._watchdog.stdin is not None:
                self._watchdog.stdin.close()
            self._watchdog.wait()
            self._starter.shutdown()

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_SECONDS):
            with self._lock:
                for kept in self._kept.values():
                    if kept.process is not None and kept.process.poll() is not None:
                        self._died(kept)
                    elif kept.process is None and kept.wanted and time.monotonic() >= kept.start_at:
                        self._start(kept)

    def _died(self, kept: _Kept) -> None:
        process, kept.process = kept.process, None
        if process is None:
            return
        self._end_group(process)
        if not kept.wanted:
            return
        if kept.reader is not None:
            kept.reader.join(1.0)
        if kept.command.quiet:
            for line in list(kept.lines):
                self._output(kept.command.name, line)
        kept.deaths = 1 if time.monotonic() - kept.started > HEALTHY_SECONDS else kept.deaths + 1
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (kept.deaths - 1))
        kept.start_at = time.monotonic() + delay
        self._output(
            "supervisor", f"{kept.command.name} ended ({_how(process.returncode)}); again in {delay:g} s"
        )

    def _start(self, kept: _Kept) -> None:
        kept.process = self._spawn(kept.command)
        kept.started = time.monotonic()
        kept.lines.clear()
        kept.reader = self._read(
            kept.process.stdout, kept.command.name, kept.lines.append, quiet=kept.command.quiet
        )

    def _spawn(self, command: Command, *, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        launcher = (sys.executable, "-I", "-S", str(HERE / "launch.py"), str(os.getpid()))

        def start() -> subprocess.Popen[str]:
            process = subprocess.Popen(
                (*launcher, *command.argv),
                cwd=command.folder,
                env=dict(command.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                errors="backslashreplace",
                start_new_session=True,
            )
            self._tell_watchdog(f"+{process.pid}")
            return process

        return self._starter.submit(start).result()

    def _start_watchdog(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            (sys.executable, "-I", "-S", str(HERE / "watchdog.py")),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def _tell_watchdog(self, line: str) -> None:
        # A watchdog that was killed by hand is no reason to stop: Linux has its other guard.
        with contextlib.suppress(OSError, ValueError):
            if self._watchdog.stdin is not None:
                self._watchdog.stdin.write(line + "\n")
                self._watchdog.stdin.flush()

    def _read(
        self, stream: IO[str] | None, name: str, keep: Callable[[str], None], *, quiet: bool = False
    ) -> threading.Thread:
        def read() -> None:
            if stream is None:
                return
            with stream:
                for line in stream:
                    keep(line.rstrip("\n"))
                    if not quiet:
                        self._output(name, line.rstrip("\n"))

        thread = threading.Thread(target=read, name=f"output of {name}", daemon=True)
        thread.start()
        return thread

    def _end(self, many: list[_Kept], grace: float) -> None:
        """Ask all of them at once, last started first; kill those still there after `grace` seconds."""
        running = [kept.process for kept in reversed(many) if kept.process is not None]
        deadline = time.monotonic() + grace
        if grace:
            for process in running:
                if process.poll() is None:
                    # To the leader alone: it knows how to end its own children (gunicorn its workers).
                    process.terminate()
        try:
            for process in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for process in running:
                self._end_group(process)
            for kept in many:
                kept.process = None

    def _end_group(self, process: subprocess.Popen[str]) -> None:
        _signal(process.pid, signal.SIGKILL)
        process.wait()
        self._tell_watchdog(f"-{process.pid}")


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return f"signal {signal.Signals(-status).name}"
