"""A PostgreSQL cluster for one test, which may be stopped as a power cut would and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def programs() -> Path | None:
    """Where the newest server's programs are, or None where there is none that this test could run."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[4]))
    if not found:
        return None
    return None if os.geteuid() == 0 and _user() is None else found[-1].parent


def _user() -> str | None:
    """The user that the server runs as, which refuses to be root's."""
    names = {one.pw_name for one in pwd.getpwall()}
    return next((one for one in ("postgres", "nobody") if one in names), None)


class Cluster:
    """A server on a port of its own. Durable, since what survives a crash is the question."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._folder, self._binaries = folder, binaries
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"postgresql+psycopg://owner@127.0.0.1:{self._port}/postgres?sslmode=disable"
        data = f"--pgdata={folder}/data"
        self._run("initdb", data, "--username=owner", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")

    def start(self) -> None:
        options = (
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
            " -c shared_buffers=16MB -c max_connections=50"
        )
        self._control("start", f"--log={self._folder}/log", "--wait", f"--options={options}")

    def take_writes(self, taken: bool) -> None:
        """Refuse every write from each connection's next transaction on, as a standby would, or take them again."""
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            value = "off" if taken else "on"
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            connection.execute("SELECT pg_reload_conf()")

    def crash(self) -> None:
        """Every process of the server ends at once, without writing anything more."""
        self._control("stop", "--mode=immediate", "--wait")

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", f"--pgdata={self._folder}/data", "--silent", *words)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._binaries / program), *words]
        if os.geteuid() == 0:
            command = ["runuser", "-u", str(_user()), "--", *command]
        subprocess.run(command, cwd=self._folder, stdout=subprocess.DEVNULL, check=True, timeout=60)


@contextmanager
def cluster(binaries: Path) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, str(_user()))
        made = Cluster(folder, binaries)
        made.start()
        try:
            yield made
        finally:
            made.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
