"""How gunicorn serves the console: few processes, many threads, on loopback unless told otherwise.

Behind a reverse proxy on another machine add `--bind 0.0.0.0:8000`; what is given to gunicorn itself wins.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from app.config.checks import SettingsError
from app.config.settings import load_settings

try:
    settings = load_settings()
except SettingsError as error:
    # Here, before any worker is started: one line instead of a trace from each of them.
    sys.exit(str(error))

bind = f"127.0.0.1:{settings.port}"
# Its own loop reads and writes; see there. A thread is held only while the application works.
worker_class = "app.serving.worker.Worker"
# SQLite has one writer at a time; a second process would only wait for the first.
workers = 1 if settings.database_url.startswith("sqlite") else int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = 16
# Open ones in a process; beyond, the one that has kept it waiting longest is closed. Half of the files that a process
# may have open are left for everything else.
_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
worker_connections = 500 if _files == resource.RLIM_INFINITY else min(500, _files // 2)
# The loop gives a sign every second; a process whose loop stands still so long is replaced.
timeout = 60
graceful_timeout = 5
keepalive = 15
# gunicorn's heartbeat file must not wait for a slow disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  memory, made by the system
# Pages poll; the application logs what matters of a request, with its id and without its query.
accesslog = None
loglevel = "warning"
# A header line of ours is short; so is any address we hand out.
limit_request_line = 4094
limit_request_field_size = 8190
# Nothing here manages a running gunicorn through a socket: one door less.
control_socket_disable = True
