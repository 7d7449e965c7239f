"""Lets a FastMCP server of a tutorial speak what it is told to: stdio, or over HTTP what TRANSPORT says, at PORT."""

import os

TRANSPORT, PORT = os.environ.get("TRANSPORT", "stdio"), int(os.environ.get("PORT", "0"))


def speak(mcp) -> None:
    """For the 1.x line of the SDK."""
    mcp.settings.port = PORT
    mcp.run({"http": "streamable-http"}.get(TRANSPORT, TRANSPORT))


def speak_fast(mcp) -> None:
    """For the package fastmcp."""
    where = {} if TRANSPORT == "stdio" else {"host": "127.0.0.1", "port": PORT, "path": f"/{'sse' if TRANSPORT == 'sse' else 'mcp'}"}
    mcp.run(TRANSPORT, show_banner=False, **where)
