"""Somebody who behaves: calls a tool of the demo server again and again on one connection, until stdin ends.

A process of its own, so that how long it waits says something about Braid, and nothing about a test that is busy misbehaving. Reads port and token from
the first line of stdin; prints `begun` after the first call, and in the end how many seconds each call took, and why it was not served if it was not.
"""

from __future__ import annotations

import json
import sys
import threading

from rawhttp import Mcp, Socket

port, token = sys.stdin.readline().split()
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()

took: list[float] = []
why = ""
try:
    client = Mcp(int(port), token, seconds=30.0).begin()
    with Socket(client.port, 30.0) as connection:
        client.add(connection)
        print("begun", flush=True)
        while not over.is_set():
            took.append(client.add(connection))
            over.wait(0.01)
except Exception as error:  # noqa: BLE001: whatever it was, the test must hear of it
    why = repr(error)
print(json.dumps({"took": took, "why": why}))
