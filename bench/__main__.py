"""`python -m bench`: measure, print the table, and write it to docs/performance.md."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.processes import ROOT, Target, redis_server
from bench.report import Section, is_clean, render
from bench.setting import FULL, QUICK, Setting, kinds_here

DOCUMENT = ROOT / "docs" / "performance.md"


def measurements() -> dict[str, Callable[[Setting], Section]]:
    from bench import backlog, burst, growth, latency, memory, pages

    return {
        "burst": burst.measure,
        "latency": latency.measure,
        "backlog": backlog.measure,
        "memory": memory.measure,
        "growth": growth.measure,
        "pages": pages.measure,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 when an effect was lost, doubled or out of order. A missed goal is only said."""
    known = measurements()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small repetition of each, nothing written")
    parser.add_argument("--only", default=",".join(known), help="some of " + ",".join(known))
    parser.add_argument("--rows", type=int, help="finished runs for growth and pages, on every database")
    parser.add_argument("--out", type=Path, help="where to write the report")
    given = parser.parse_args(arguments)
    chosen = [one.strip() for one in given.only.split(",") if one.strip()]
    if strangers := set(chosen) - set(known):
        parser.error(f"there is no measurement {', '.join(sorted(strangers))}; known: {', '.join(known)}")
    scale = QUICK if given.quick else FULL
    if given.rows:
        scale.grown_rows.update(dict.fromkeys(scale.grown_rows, given.rows))
    # A whole run writes the document; a part of one would drop the rest of it.
    out = given.out or (DOCUMENT if not given.quick and set(chosen) == set(known) else None)
    load = os.getloadavg()
    sections = []
    target = Target()
    try:
        with redis_server() as redis_url:
            setting = Setting(target, redis_url, scale, kinds_here())
            for name in chosen:
                began = time.monotonic()
                sections.append(known[name](setting))
                print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    finally:
        target.stop()
    report = render(sections, load_before=load, database=_databases())
    print(report)
    if out is not None:
        out.parent.mkdir(exist_ok=True)
        out.write_text(report, encoding="utf-8")
    return 0 if is_clean(sections) else 1


def _databases() -> str:
    import sqlite3

    from sqlalchemy import create_engine, text

    from bench.console import postgresql_url

    told = [f"SQLite {sqlite3.sqlite_version} with WAL and synchronous=FULL"]
    url = postgresql_url()
    if url is None:
        told.append("PostgreSQL was skipped: neither BENCH_DATABASE_URL nor TEST_DATABASE_URL names a server")
    else:
        engine = create_engine(url)
        with engine.connect() as connection:
            shown = {
                name: connection.execute(text(f"SHOW {name}")).scalar_one()
                for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers")
            }
        engine.dispose()
        told.append(
            f"PostgreSQL {shown['server_version'].split()[0]} with fsync={shown['fsync']}, "
            f"synchronous_commit={shown['synchronous_commit']}, shared_buffers={shown['shared_buffers']}"
        )
    given = bool(os.environ.get("BENCH_REDIS_URL"))
    told.append("Redis named by BENCH_REDIS_URL" if given else f"the embedded Redis ({_redis_version()})")
    return "; ".join(told)


def _redis_version() -> str:
    from app.local.redis_server import find_redis

    told = subprocess.run(
        [str(find_redis()), "--version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return next((word.removeprefix("v=") for word in told.split() if word.startswith("v=")), "unknown")


if __name__ == "__main__":
    # What the application says while it is set up is not part of the table.
    logging.disable(logging.INFO)
    sys.exit(main())
