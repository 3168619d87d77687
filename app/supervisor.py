"""`python -m app.supervisor`: `make run`, under the name that scripts and service files know."""

from __future__ import annotations

import sys

from app.local.supervisor.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
