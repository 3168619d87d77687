"""Stands in for the console's processes: its first word says which. Standard library only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SHOWN = ("DATA_DIR", "PORT", "EGRESS_ALLOW", "DEMO_SCIM_URL", "DEMO_SCIM_TOKEN", "REDIS_URL")


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


def web() -> None:
    with ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready) as server:
        server.serve_forever()


def idle(*, stubborn: bool) -> None:
    # A child of its own, as gunicorn and the queue's worker have.
    child = subprocess.Popen((sys.executable, "-c", "import signal; signal.pause()"))
    note("children", str(child.pid))
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("working", flush=True)
    threading.Event().wait()


def note(name: str, line: str) -> None:
    with (Path(os.environ["DATA_DIR"]) / f"notes-{name}").open("a") as stream:
        stream.write(line + "\n")


def main() -> None:
    role, *rest = sys.argv[1:]
    note(role, json.dumps({name: os.environ.get(name, "") for name in SHOWN}))
    if role == "web":
        web()
    elif role in ("idle", "stubborn"):
        idle(stubborn=role == "stubborn")
    elif role == "dies":
        sys.exit("settings cannot be used")
    elif role == "fails":
        print("the reason", file=sys.stderr)
        sys.exit(3)
    else:
        print("sign in at /one-time" if role == "welcome" else " ".join(("done", *rest)))


if __name__ == "__main__":
    main()
