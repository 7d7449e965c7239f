#!/usr/bin/env python3
"""A server over stdio that has secrets: it writes down what it was given, and tells some of it where a server may.

    server.py NAME FOLDER [...]     what it found in its environment and its arguments goes to FOLDER/NAME.environ and .cmdline

Tools: `echo` answers with its text; `tell` with RESULT; `fail` with an error that has it; `slow` never; `crash` ends it after a line on stderr.
With SAY_ERR, each start and call writes that to stderr; with SAY_OUT, to stdout, where it is no message. `--dies` ends it at its start.
"""

import json
import os
import sys
from pathlib import Path

name, folder = sys.argv[1], Path(sys.argv[2])
for what in ("environ", "cmdline"):
    with open(folder / f"{name}.{what}", "ab") as file:
        file.write(Path(f"/proc/self/{what}").read_bytes() + b"\n")

TOOLS = ("echo", "tell", "fail", "slow", "crash")
RESULT = os.environ.get("RESULT", "nothing")


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def chatter():
    if words := os.environ.get("SAY_ERR"):
        print(f"words: {words}", file=sys.stderr, flush=True)
    if words := os.environ.get("SAY_OUT"):
        print(f"words: {words}", flush=True)


def schema(tool):
    texts = ("text", "key", "note", "api_key")
    return {"type": "object", "properties": {one: {"type": "string"} for one in texts}} if tool == "echo" else {"type": "object"}


def result(method, params):
    if method == "initialize":
        capabilities = {"tools": {}, "resources": {}, "prompts": {}, "logging": {}}
        return {"protocolVersion": params.get("protocolVersion"), "capabilities": capabilities, "serverInfo": {"name": name, "version": "1"}}
    if method == "tools/list":
        return {"tools": [{"name": tool, "description": "a tool", "inputSchema": schema(tool)} for tool in TOOLS]}
    if method == "resources/list":
        return {"resources": [{"uri": "case://one", "name": "one"}]}
    if method == "resources/templates/list":
        return {"resourceTemplates": []}
    if method == "prompts/list":
        return {"prompts": [{"name": "ask"}]}
    if method == "resources/read":
        return {"contents": [{"uri": "case://one", "text": RESULT}]}
    if method == "prompts/get":
        return {"messages": [{"role": "user", "content": {"type": "text", "text": RESULT}}]}
    return {} if method in ("ping", "logging/setLevel") else None


chatter()
if "--dies" in sys.argv:
    sys.exit(3)
for line in sys.stdin:
    message = json.loads(line)
    method, params, number = message.get("method"), message.get("params") or {}, message.get("id")
    if number is None or method is None:
        continue
    if method != "tools/call":
        answer = result(method, params)
        say({"jsonrpc": "2.0", "id": number, **({"result": answer} if answer is not None else {"error": {"code": -32601, "message": "no such method"}})})
        continue
    chatter()
    with open(folder / f"{name}.calls", "a") as file:
        file.write(json.dumps(params) + "\n")
    tool, text = params.get("name"), (params.get("arguments") or {}).get("text", "")
    if tool == "crash":
        sys.exit(4)
    if tool == "slow":
        continue
    if tool == "fail":
        say({"jsonrpc": "2.0", "id": number, "error": {"code": -32000, "message": RESULT}})
        continue
    say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": RESULT}})
    said = RESULT if tool == "tell" else text
    say({"jsonrpc": "2.0", "id": number, "result": {"content": [{"type": "text", "text": said}]}})
