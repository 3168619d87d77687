"""`python -m app.demo`: `make demo`, under the name that scripts know."""

from __future__ import annotations

import sys

from app.local.demo.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
