"""Plays Autobahn cases against an echo server, one JSON line a case: python run_cases.py CONVERTED_FOLDER PORT"""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
from typing import Any

import trio
from peer import Peer

WANTED = re.compile(r"Case(1|2|3|4|5|6|7|9|10)_")
AT_ONCE = 12


def alike(one: Any, other: Any) -> bool:
    """Whether two lists of events are equal, lists and tuples being the same."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


async def play(case_class: type, port: int, limit: trio.CapacityLimiter) -> None:
    """Play one case and print its verdict."""
    async with limit:
        began = time.monotonic()
        verdict: dict[str, Any] = {"case": case_class.__name__[4:].replace("_", ".")}
        peer = Peer()
        try:
            case = await peer.run(case_class, port)
            verdict |= {"behavior": case.behavior, "close": case.behaviorClose, "result": case.result}
            verdict |= {"closeResult": case.resultClose, "closeCode": peer.remoteCloseCode}
        except Exception:
            verdict |= {"behavior": "ERROR", "close": "ERROR", "result": traceback.format_exc()}
        verdict["seconds"] = round(time.monotonic() - began, 2)
        print(json.dumps(verdict), flush=True)


async def main(folder: str, port: int) -> None:
    """Play all wanted cases, a few at a time."""
    sys.path.insert(0, folder)
    catalogue = __import__("catalogue")
    sys.modules["case"].Case.compare = lambda _self, one, other: alike(one, other)
    limit = trio.CapacityLimiter(AT_ONCE)
    async with trio.open_nursery() as nursery:
        for case_class in catalogue.Cases:
            if WANTED.match(case_class.__name__):
                nursery.start_soon(play, case_class, port, limit)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
