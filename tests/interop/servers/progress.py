"""FastMCP of the SDK 1.x with work that takes time: it reports progress, logs, and can be cancelled."""

import asyncio
import sys
from pathlib import Path

from mcp.server.fastmcp import Context, FastMCP
from speak import speak

mcp = FastMCP("progress")
# Where the tool leaves word of what became of it: a cancelled call has no answer to look at.
TRACE = Path(sys.argv[1])


@mcp.tool()
async def process(files: list[str], ctx: Context) -> str:
    """Processes files one by one."""
    for index, name in enumerate(files):
        await ctx.info(f"processing {name}")
        await ctx.report_progress(index + 1, len(files), f"{name} done")
    return f"processed {len(files)}"


@mcp.tool()
async def measure(steps: int, ctx: Context) -> dict[str, float]:
    """Reports fractions without a total."""
    for step in range(steps):
        await ctx.report_progress((step + 1) / 3)
    return {"steps": steps, "last": steps / 3}


@mcp.tool()
async def wait_long(seconds: float, ctx: Context) -> str:
    """Waits; tells the trace file whether it was cancelled."""
    TRACE.write_text("started")
    try:
        await ctx.report_progress(0, seconds)
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        TRACE.write_text("cancelled")
        raise
    TRACE.write_text("finished")
    return "finished"


@mcp.tool()
async def ask_name(ctx: Context) -> str:
    """Asks the person at the client for a name."""
    from pydantic import BaseModel

    class Name(BaseModel):
        name: str
        loud: bool = False

    answer = await ctx.elicit("What is your name?", Name)
    if answer.action == "accept":
        return answer.data.name.upper() if answer.data.loud else answer.data.name
    return answer.action


if __name__ == "__main__":
    speak(mcp)
