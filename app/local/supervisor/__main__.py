"""`make run`: start the console with everything it needs, say how to sign in, and stay until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

from app.config.checks import SettingsError
from app.local.supervisor.claims import StartError
from app.local.supervisor.stack import Stack

NAME_WIDTH = 10
NO_WELCOME = "Sign in: make an administrator with  flask --app wsgi admin create you@example.org"

_printing = threading.Lock()


def print_line(name: str, line: str) -> None:
    """One line of one process, under its name."""
    # A terminal that was closed takes no lines; the console ends by its signal, not by this.
    with _printing, contextlib.suppress(OSError, ValueError):
        print(f"{name:<{NAME_WIDTH}} | {line}", flush=True)


def main() -> int:
    """Run until a signal; the exit status. One line on standard error when it cannot start."""
    # Also where a shell that started this in the background has it ignored: whoever sends it means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Whoever started this with nohup wants it to outlive the terminal.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        stack = Stack(os.environ, output=print_line, greet=True)
        with stack:
            _say_welcome(stack)
            threading.Event().wait()
    except (SettingsError, StartError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
    return 0


def _say_welcome(stack: Stack) -> None:
    lines = [
        "",
        f"  Access Automation is ready:  {stack.url}",
        "",
        *(f"  {line}" for line in (stack.sign_in or NO_WELCOME).splitlines()),
        "",
        f"  Data is kept in {stack.data_dir}",
    ]
    if stack.scim_url:
        lines.append(f"  The demo's outside system, a SCIM server: {stack.scim_url}")
        lines.append(f"  Its token is in {stack.data_dir / 'scim-token'}")
    lines += ["  Ctrl-C stops everything; the data stays.", ""]
    with _printing:
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
