"""A server on the fastmcp package (SDK 2.x), which speaks both eras: progress, a template, an error."""

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from speak import speak_fast

mcp = FastMCP("Fast", instructions="Adds, and reports while it does.")


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two numbers"""
    return a + b


@mcp.tool
async def sum_all(numbers: list[float], ctx: Context) -> float:
    """Adds many numbers and says how far it is"""
    total = 0.0
    for index, number in enumerate(numbers):
        total += number
        await ctx.report_progress(index + 1, len(numbers))
    return total


@mcp.tool
def refuse(reason: str) -> str:
    """Always fails"""
    raise ToolError(f"refused: {reason}")


@mcp.resource("config://version")
def version() -> str:
    return "2.0.1"


@mcp.resource("users://{user_id}/profile")
def profile(user_id: int) -> dict:
    return {"name": f"User {user_id}", "status": "active"}


@mcp.prompt
def summarize(text: str) -> str:
    """Asks for a summary"""
    return f"Please summarize the following text:\n\n{text}"


if __name__ == "__main__":
    speak_fast(mcp)
