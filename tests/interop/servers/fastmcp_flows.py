"""A server on the Python SDK's FastMCP that does everything a server can do toward its client: the back-flows.

Its tools are those that `flowparts.py` and `eraparts.py` know: each provokes one flow and says in its result what the client answered.
Where FastMCP has no hook (log levels, subscriptions, what a client's notification leads to) the server inside it is used.
"""

import json
import os
import sys
from typing import Any

import anyio
import mcp.types as types
from mcp import McpError
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.shared.exceptions import UrlElicitationRequiredError
from pydantic import AnyUrl, BaseModel, Field

server = FastMCP("fastmcp-flows")
inner = server._mcp_server

WAIT_SECONDS_MAX = 2.0
SLEEP_SECONDS_MAX = 10.0
PACE_SECONDS = 0.03


class State:
    """What this server was told outside of calls."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.subscribed: set[str] = set()
        self.roots: list[list[str]] = []
        self.session: Any = None
        self.news = anyio.Event()

    def tell(self) -> None:
        self.news.set()
        self.news = anyio.Event()

    async def until(self, count: int, found: list) -> None:
        """Waits until a list is so long, or for no longer than patience lasts."""
        with anyio.move_on_after(WAIT_SECONDS_MAX):
            while len(found) < count:
                await self.news.wait()


state: State


class Person(BaseModel):
    name: str = Field(description="Your name", title="Näme")
    age: int = Field(default=3, ge=0)


def told(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def plain(model: BaseModel) -> dict:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def failure(error: McpError) -> str:
    return told({"error": plain(error.error)})


class Echoed(BaseModel):
    text: str
    length: int


@server.tool()
async def echo(text: str) -> Echoed:
    return Echoed(text=text, length=len(text))


@server.tool()
async def fail() -> str:
    raise ToolError("flows: refused")


@server.tool()
async def die() -> str:
    os._exit(7)


@server.tool()
async def count(steps: int, ctx: Context) -> str:
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps, f"step {step} of {steps}")
        await anyio.sleep(PACE_SECONDS)
    return f"counted to {steps}"


@server.tool()
async def talk(ctx: Context) -> str:
    await ctx.debug("flows: a debug message")
    await ctx.info("flows: an info message", logger_name="flows")
    await ctx.warning("flows: a warning “message”", logger_name="flows/inner")
    await ctx.error("flows: an error message")
    await ctx.session.send_log_message("critical", {"text": "flows: critical", "n": 1.5, "deep": {"b": [None], "a": "ü"}}, "flows")
    await anyio.sleep(PACE_SECONDS)
    return "talked"


@server.tool()
async def sleep(ctx: Context) -> str:
    await ctx.report_progress(1)
    try:
        await anyio.sleep(SLEEP_SECONDS_MAX)
    except anyio.get_cancelled_exc_class():
        state.cancelled.append(ctx.request_id)
        state.tell()
        raise
    return "slept"


@server.tool()
async def was_cancelled(least: int = 1) -> str:
    await state.until(least, state.cancelled)
    return f"cancelled {len(state.cancelled)}"


@server.tool()
async def grow(kind: str, name: str, ctx: Context) -> str:
    async def grown() -> str:
        """Was not there before."""
        return name

    if kind == "tools":
        server.add_tool(grown, name=name, description="grown")
        await ctx.session.send_tool_list_changed()
    elif kind == "prompts":
        server.prompt(name=name, description="grown")(grown)
        await ctx.session.send_prompt_list_changed()
    else:
        server.resource(f"flows://{name}", name=name, description="grown")(grown)
        await ctx.session.send_resource_list_changed()
    return f"grew {name}"


@server.tool()
async def touch(uri: str, ctx: Context) -> str:
    concerned = [known for known in state.subscribed if uri == known or uri.startswith(known + "/")]
    if concerned:
        await ctx.session.send_resource_updated(AnyUrl(uri))
    return f"touched {uri}"


@server.tool()
async def elicit(message: str, ctx: Context) -> str:
    try:
        answer = await ctx.elicit(message, Person)
    except McpError as error:
        return failure(error)
    return told({"action": answer.action, "content": plain(answer.data) if answer.action == "accept" else None})


@server.tool()
async def elicit_twice(ctx: Context) -> str:
    answers = [await ctx.elicit(message, Person) for message in ("flows: first", "flows: second")]
    return told([{"action": answer.action, "content": plain(answer.data) if answer.action == "accept" else None} for answer in answers])


@server.tool()
async def elicit_url(id: str, ctx: Context) -> str:
    try:
        answer = await ctx.elicit_url("Please sign in", f"https://flows.example.org/sign-in?id={id}", id)
    except McpError as error:
        return failure(error)
    if answer.action == "accept":
        await ctx.session.send_elicit_complete(id)
        await anyio.sleep(PACE_SECONDS)
    return told({"action": answer.action})


@server.tool()
async def url_required() -> str:
    asked = types.ElicitRequestURLParams(message="Please sign in first", url="https://flows.example.org/first", elicitationId="first-1")
    raise UrlElicitationRequiredError([asked])


def say(role: types.Role, *blocks: Any) -> types.SamplingMessage:
    return types.SamplingMessage(role=role, content=blocks[0] if len(blocks) == 1 else list(blocks))


@server.tool()
async def sample(ctx: Context) -> str:
    try:
        answer = await ctx.session.create_message(
            [say("user", types.TextContent(type="text", text="Say “hello”"))],
            max_tokens=9,
            system_prompt="Be short",
            temperature=0.5,
            metadata={"flows": [1, None]},
        )
    except McpError as error:
        return failure(error)
    return told(plain(answer))


@server.tool()
async def sample_tools(ctx: Context) -> str:
    tools = [types.Tool(name="look_up", description="Looks up a word", inputSchema={"type": "object", "properties": {"word": {"type": "string"}}})]
    question = say("user", types.TextContent(type="text", text="What is a rope?"))
    try:
        first = await ctx.session.create_message([question], max_tokens=50, tools=tools, tool_choice=types.ToolChoice(mode="auto"))
        use = first.content[0] if isinstance(first.content, list) else first.content
        link = types.ResourceLink(type="resource_link", uri=AnyUrl("flows://doc"), name="doc")
        result = types.ToolResultContent(type="tool_result", toolUseId=use.id, content=[types.TextContent(type="text", text="strands"), link])
        second = await ctx.session.create_message(
            [question, say("assistant", use), say("user", result)], max_tokens=50, tools=tools, tool_choice=types.ToolChoice(mode="none")
        )
    except McpError as error:
        return failure(error)
    return told({"use": plain(use), "then": plain(second)})


@server.tool()
async def roots(ctx: Context) -> str:
    state.session = ctx.session
    try:
        answer = await ctx.session.list_roots()
    except McpError as error:
        return failure(error)
    return told([plain(root) for root in answer.roots])


@server.tool()
async def roots_log(least: int) -> str:
    """The roots as this server was told them outside of calls, each time."""
    await state.until(least, state.roots)
    return told(state.roots)


@server.resource("flows://doc")
def doc() -> str:
    return "a document"


@server.resource("flows://doc/part")
def part() -> str:
    return "a part"


@server.resource("flows://item/{id}")
def item(id: str) -> str:
    return f"item {id}"


@server.prompt()
def plan(topic: str) -> str:
    return f"Plan {topic}"


for number in range(9):
    server.prompt(name=f"page_{number}")(lambda: "a page")
    server.resource(f"flows://shelf/{number}", name=f"book {number}")(lambda: "a book")


@server.completion()
async def complete(ref: Any, argument: types.CompletionArgument, context: Any) -> types.Completion:
    values = [word for word in ("rope", "rowing", "sail") if word.startswith(argument.value)]
    return types.Completion(values=values, total=len(values), hasMore=False)


PAGE = 7


def in_pages(request: type, member: str) -> None:
    """FastMCP lists everything at once; a client walks from page to page."""
    whole = inner.request_handlers[request]

    async def page(asked: Any) -> types.ServerResult:
        result = await whole(asked)
        start = int(asked.params.cursor) if asked and asked.params and asked.params.cursor else 0
        items = getattr(result.root, member)
        more = {"nextCursor": str(start + PAGE)} if start + PAGE < len(items) else {}
        # The SDK itself looks for tools in this answer.
        return types.ServerResult(result.root.model_copy(update={member: items[start : start + PAGE], **more}))

    inner.request_handlers[request] = page


for listed, member in ((types.ListToolsRequest, "tools"), (types.ListPromptsRequest, "prompts"), (types.ListResourcesRequest, "resources")):
    in_pages(listed, member)


@inner.set_logging_level()
async def set_level(level: types.LoggingLevel) -> None:
    """Known and not heeded: FastMCP sends every message whatever the level is."""


@inner.subscribe_resource()
async def subscribe(uri: AnyUrl) -> None:
    state.subscribed.add(str(uri))


@inner.unsubscribe_resource()
async def unsubscribe(uri: AnyUrl) -> None:
    state.subscribed.discard(str(uri))


async def roots_changed(_: types.RootsListChangedNotification) -> None:
    if state.session is None:
        return
    answer = await state.session.list_roots()
    state.roots.append([str(root.uri) for root in answer.roots])
    state.tell()
    await state.session.send_log_message("info", f"fastmcp: roots now {len(answer.roots)}")


inner.notification_handlers[types.RootsListChangedNotification] = roots_changed

capabilities = inner.get_capabilities


def honest(*arguments: Any) -> types.ServerCapabilities:
    """The SDK never declares subscriptions, handlers or not."""
    declared = capabilities(*arguments)
    declared.resources.subscribe = True
    return declared


inner.get_capabilities = honest


async def main(transport: str, port: str) -> None:
    global state
    state = State()
    server.settings.port = int(port)
    match transport:
        case "stdio":
            await server.run_stdio_async()
        case "http":
            await server.run_streamable_http_async()
        case "sse":
            await server.run_sse_async()


if __name__ == "__main__":
    # TRANSPORT PORT
    sys.exit(anyio.run(main, *(sys.argv[1:] or ["stdio", "0"])))
