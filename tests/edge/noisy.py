"""An MCP server on stdin and stdout that says much and thinks slowly, as the tests of floods need it.

Tools: `flood` sends `count` log messages of `bytes` bytes before it answers, `sleep` answers after `seconds`, whatever else comes meanwhile, and `echo`
gives back what it got.
"""

from __future__ import annotations

import json
import sys
import threading

TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("flood", "sleep", "echo")]
writing = threading.Lock()


def say(message: dict) -> None:
    with writing:
        sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def answer(id: object, result: dict) -> None:
    say({"jsonrpc": "2.0", "id": id, "result": result})


def call(id: object, name: str, arguments: dict) -> None:
    done = {"content": [{"type": "text", "text": "done"}]}
    if name == "flood":
        data = "x" * arguments["bytes"]
        for _ in range(arguments["count"]):
            say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": data}})
        answer(id, done)
    elif name == "sleep":
        timer = threading.Timer(arguments["seconds"], answer, (id, done))
        timer.daemon = True
        timer.start()
    else:
        answer(id, {"content": [{"type": "text", "text": json.dumps(arguments)}]})


for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if method == "initialize":
        ours = {"tools": {}, "logging": {}}
        info = {"name": "noisy", "version": "1"}
        answer(id, {"protocolVersion": message["params"]["protocolVersion"], "capabilities": ours, "serverInfo": info})
    elif method == "tools/list":
        answer(id, {"tools": TOOLS})
    elif method == "tools/call":
        call(id, message["params"]["name"], message["params"].get("arguments", {}))
    elif id is not None and method:
        answer(id, {})
