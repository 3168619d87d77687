"""The floor: the same two calls by `requests` sessions on 64 threads, nothing stored."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.processes import ROOT, Target
from bench.target import FIRST, SECOND

THREADS = 64
SINGLES = 20


@dataclass(frozen=True, slots=True)
class Floor:
    """One floor measurement: pairs of calls a second, or the seconds from asking to the first request."""

    rate: float = 0.0
    delays: tuple[float, ...] = ()


def burst(target: Target, count: int, latency: float) -> Floor:
    """`count` pairs of calls as fast as 64 threads go, in a process of their own."""
    target.reset(latency)
    seconds = _child(target, "burst", count)["seconds"]
    told = target.report()
    if told["requests"] != 2 * count or len(told["counts"]) != 2 * count or told["out_of_order"]:
        raise RuntimeError("the floor's own calls went astray")
    return Floor(rate=count / seconds)


def single(target: Target, count: int = SINGLES) -> Floor:
    """One pair at a time, with nothing else to do."""
    target.reset()
    asked = _child(target, "single", count)["asked"]
    first_at = target.report()["first_at"]
    return Floor(delays=tuple(first_at[f"{number}-{FIRST}"] - at for number, at in enumerate(asked)))


def _child(target: Target, what: str, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.floor", what, target.url, str(count)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=300)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _main(what: str, url: str, count: int) -> dict[str, Any]:
    import requests

    mine = threading.local()

    def pair(number: int) -> None:
        session = getattr(mine, "session", None)
        if session is None:
            session = mine.session = requests.Session()
        body = {"userName": f"person{number}@example.org"}
        reply = session.post(f"{url}/users", json=body, headers={"Idempotency-Key": f"{number}-{FIRST}"})
        value = {"value": reply.json()["id"]}
        session.post(
            f"{url}/groups/x/members", json=value, headers={"Idempotency-Key": f"{number}-{SECOND}"}
        ).raise_for_status()

    with ThreadPoolExecutor(THREADS) as pool:
        if what == "burst":
            started = time.monotonic()
            for _ in pool.map(pair, range(count)):
                pass
            return {"seconds": time.monotonic() - started}
        asked = []
        for number in range(count):
            time.sleep(0.05)
            asked.append(time.monotonic())
            pool.submit(pair, number).result()
        return {"asked": asked}


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
