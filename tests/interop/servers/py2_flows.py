"""A server on the Python SDK's 2.x line that does everything a server can do toward its client, in both eras.

Its tools are those that `flowparts.py` and `eraparts.py` know: each provokes one flow and says in its result what the client
answered. In a session it asks by a request; without one it answers `input_required` and is called again. Its lists come in pages.

    py2_flows.py [stdio | http PORT]
"""

import json
import os
import sys
import warnings
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server import NotificationOptions, Server
from mcp.server.caching import CACHEABLE_METHODS, CacheHint
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, PromptsListChanged, ResourcesListChanged, ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ConfigDict

# What 2026-07-28 removed is what a session has.
warnings.simplefilter("ignore", MCPDeprecationWarning)

PAGE = 7
# A list may be kept for so long: who keeps it must hear of a change.
KEPT_MILLISECONDS = 60_000
PACE_SECONDS = 0.03
WAIT_SECONDS_MAX = 2.0
SLEEP_SECONDS_MAX = 10.0
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
NOT_FOUND_LEGACY = -32002


class AnyResult(BaseModel):
    model_config = ConfigDict(extra="allow")


class Needed(Exception):
    """The client is asked in the result, and calls again with what it answered."""

    def __init__(self, key: str, request: dict, answered: dict):
        super().__init__(key)
        self.result = {"resultType": "input_required", "inputRequests": {key: request}, "requestState": told(answered)}


class State:
    """What this server was told, and what it lists: one for the whole process."""

    def __init__(self) -> None:
        self.level = "debug"
        self.cancelled = 0
        self.roots: list[list[str]] = []
        self.subscribed: dict[str, Any] = {}
        self.grown: dict[str, list[str]] = {"tools": [], "prompts": [], "resources": []}
        self.bus = InMemorySubscriptionBus()
        self.news = anyio.Event()

    def tell(self) -> None:
        self.news.set()
        self.news = anyio.Event()

    async def until(self, so) -> None:
        with anyio.move_on_after(WAIT_SECONDS_MAX):
            while not so():
                await self.news.wait()


state: State
MODELS = {"elicitation/create": types.ElicitRequest, "sampling/createMessage": types.CreateMessageRequest, "roots/list": types.ListRootsRequest}


def told(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


class Call:
    """One call as its tool sees it."""

    def __init__(self, ctx, arguments: dict):
        self.ctx, self.arguments = ctx, arguments
        self.modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        raw = ctx.params or {}
        self.answered: dict = json.loads(raw["requestState"]) if raw.get("requestState") else {}
        self.answered |= raw.get("inputResponses") or {}

    async def ask(self, method: str, params: dict, key: str = "answer") -> dict:
        """What the client answers; its error, where it can answer with one, as `{"error": …}`."""
        request = {"method": method, "params": params}
        if self.modern:
            if key not in self.answered:
                raise Needed(key, request, self.answered)
            return self.answered[key]
        try:
            related = ServerMessageMetadata(related_request_id=self.ctx.request_id)
            answer = await self.ctx.session.send_request(MODELS[method].model_validate(request), AnyResult, metadata=related)
        except MCPError as error:
            return {"error": {"code": error.code, "message": error.message, "data": error.data}}
        return answer.model_dump(mode="json", by_alias=True)

    async def log(self, level: str, data: object, logger: str | None = None) -> None:
        if self.modern or LEVELS.index(level) >= LEVELS.index(state.level):
            await self.ctx.session.send_log_message(level, data, logger, related_request_id=self.ctx.request_id)


async def echo(call: Call) -> dict:
    text = call.arguments["text"]
    return {"content": [{"type": "text", "text": text}], "structuredContent": {"text": text, "length": len(text)}}


async def fail(call: Call) -> dict:
    return {"content": [{"type": "text", "text": "flows: refused"}], "isError": True}


async def count(call: Call) -> str:
    steps = call.arguments["steps"]
    for step in range(1, steps + 1):
        await call.ctx.session.report_progress(step, steps, f"step {step} of {steps}")
        await anyio.sleep(PACE_SECONDS)
    return f"counted to {steps}"


async def talk(call: Call) -> str:
    for number, level in enumerate(LEVELS):
        await call.log(level, f"flows: {level}" if number % 2 else {"text": f"flows: {level} “ü”", "n": 1.5}, "flows/inner" if number % 3 else None)
    await anyio.sleep(PACE_SECONDS)
    return "talked"


async def sleep(call: Call) -> str:
    await call.ctx.session.report_progress(1)
    try:
        await anyio.sleep(SLEEP_SECONDS_MAX)
    except anyio.get_cancelled_exc_class():
        state.cancelled += 1
        state.tell()
        raise
    return "slept"


async def was_cancelled(call: Call) -> str:
    least = call.arguments.get("least", 1)
    await state.until(lambda: state.cancelled >= least)
    return f"cancelled {state.cancelled}"


async def grow(call: Call) -> str:
    kind, name = call.arguments["kind"], call.arguments["name"]
    state.grown[kind].append(name)
    session = call.ctx.session
    event, tell = {
        "tools": (ToolsListChanged(), session.send_tool_list_changed),
        "prompts": (PromptsListChanged(), session.send_prompt_list_changed),
        "resources": (ResourcesListChanged(), session.send_resource_list_changed),
    }[kind]
    await state.bus.publish(event)
    if not call.modern:
        await tell()
    return f"grew {name}"


async def touch(call: Call) -> str:
    uri = call.arguments["uri"]
    await state.bus.publish(ResourceUpdated(uri))
    if uri in state.subscribed:
        await state.subscribed[uri].send_resource_updated(uri)
    return f"touched {uri}"


def form(message: str) -> dict:
    properties = {"name": {"type": "string", "title": "Näme", "description": "Your name"}, "age": {"type": "integer", "minimum": 0}}
    return {"mode": "form", "message": message, "requestedSchema": {"type": "object", "properties": properties, "required": ["name"]}}


async def elicit(call: Call) -> str:
    return told(await call.ask("elicitation/create", form(call.arguments["message"])))


async def elicit_twice(call: Call) -> str:
    first = await call.ask("elicitation/create", form("flows: first"), "first")
    return told([first, await call.ask("elicitation/create", form("flows: second"), "second")])


async def elicit_url(call: Call) -> str:
    params = {"mode": "url", "message": "Please sign in", "url": "https://flows.example.org/sign-in"}
    id = call.arguments["id"]
    answer = await call.ask("elicitation/create", params if call.modern else params | {"elicitationId": id})
    if answer.get("action") == "accept" and not call.modern:
        await call.ctx.session.send_elicit_complete(id)
        await anyio.sleep(PACE_SECONDS)
    return told(answer)


async def sample(call: Call) -> str:
    message = {"role": "user", "content": {"type": "text", "text": "Say “hello”"}}
    return told(await call.ask("sampling/createMessage", {"messages": [message], "maxTokens": 9, "systemPrompt": "Be short", "temperature": 0.5}))


async def roots(call: Call) -> str:
    return told(await call.ask("roots/list", {}))


async def roots_log(call: Call) -> str:
    await state.until(lambda: len(state.roots) >= call.arguments["least"])
    return told(state.roots)


async def die(call: Call) -> str:
    os._exit(7)


TOOLS = {
    tool.__name__: tool
    for tool in (echo, fail, count, talk, sleep, was_cancelled, grow, touch, elicit, elicit_twice, elicit_url, sample, roots, roots_log, die)
}
ECHOED = {"type": "object", "properties": {"text": {"type": "string"}, "length": {"type": "integer"}}, "required": ["text", "length"]}
DOCUMENTS = {"flows://doc": "a document", "flows://doc/part": "a part"} | {f"flows://shelf/{number}": f"book {number}" for number in range(9)}
PROMPTS = ["plan", *(f"page_{number}" for number in range(9))]


def paged(ctx, params, member: str, items: list[dict]) -> dict:
    start = int(params.cursor) if params and params.cursor else 0
    more = {"nextCursor": str(start + PAGE)} if start + PAGE < len(items) else {}
    return {member: items[start : start + PAGE]} | more


async def list_tools(ctx, params):
    items = [{"name": name, "inputSchema": {"type": "object"}} | ({"outputSchema": ECHOED} if name == "echo" else {}) for name in [*TOOLS, *state.grown["tools"]]]
    return paged(ctx, params, "tools", items)


async def list_prompts(ctx, params):
    topic = [{"name": "topic", "required": True}]
    items = [{"name": name} | ({"arguments": topic} if name == "plan" else {}) for name in [*PROMPTS, *state.grown["prompts"]]]
    return paged(ctx, params, "prompts", items)


async def list_resources(ctx, params):
    uris = [*DOCUMENTS, *(f"flows://{name}" for name in state.grown["resources"])]
    return paged(ctx, params, "resources", [{"uri": uri, "name": uri} for uri in uris])


async def list_templates(ctx, params):
    return {"resourceTemplates": [{"uriTemplate": "flows://item/{id}", "name": "item"}]}


async def call_tool(ctx, params):
    if params.name not in TOOLS:
        raise MCPError(types.INVALID_PARAMS, f"no tool {params.name}")
    try:
        result = await TOOLS[params.name](Call(ctx, params.arguments or {}))
    except Needed as needed:
        return needed.result
    return {"content": [{"type": "text", "text": result}]} if isinstance(result, str) else result


async def read_resource(ctx, params):
    uri = str(params.uri)
    text = f"item {uri.removeprefix('flows://item/')}" if uri.startswith("flows://item/") else DOCUMENTS.get(uri)
    if text is None:
        raise MCPError(types.INVALID_PARAMS if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else NOT_FOUND_LEGACY, "Resource not found", {"uri": uri})
    return {"contents": [{"uri": uri, "mimeType": "text/plain", "text": text}]}


async def get_prompt(ctx, params):
    text = f"Plan {(params.arguments or {}).get('topic')}"
    return {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}


async def complete(ctx, params):
    values = [word for word in ("rope", "rowing", "sail") if word.startswith(params.argument.value)]
    return {"completion": {"values": values, "total": len(values), "hasMore": False}}


async def set_level(ctx, params):
    state.level = params.level
    return {}


async def subscribe(ctx, params):
    state.subscribed[str(params.uri)] = ctx.session
    return {}


async def unsubscribe(ctx, params):
    state.subscribed.pop(str(params.uri), None)
    return {}


def whole(handler):
    """`handler` with the `resultType` that every result without a session bears."""

    async def wrapped(ctx, params):
        result = await handler(ctx, params)
        return {"resultType": "complete"} | result if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else result

    return wrapped


class Flows(Server):
    def create_initialization_options(self, notification_options=None, *arguments, **more):
        # The SDK announces none of its changes by itself.
        return super().create_initialization_options(notification_options or NotificationOptions(True, True, True), *arguments, **more)


def server() -> Server:
    return Flows(
        "py2-flows",
        cache_hints={method: CacheHint(ttl_ms=KEPT_MILLISECONDS, scope="private") for method in CACHEABLE_METHODS},
        on_list_tools=whole(list_tools),
        on_call_tool=whole(call_tool),
        on_list_prompts=whole(list_prompts),
        on_get_prompt=whole(get_prompt),
        on_list_resources=whole(list_resources),
        on_list_resource_templates=whole(list_templates),
        on_read_resource=whole(read_resource),
        on_subscribe_resource=whole(subscribe),
        on_unsubscribe_resource=whole(unsubscribe),
        on_subscriptions_listen=ListenHandler(state.bus),
        on_completion=whole(complete),
        on_set_logging_level=whole(set_level),
    )


async def main(transport: str, port: int) -> None:
    global state
    state = State()
    flows = server()
    if transport == "http":
        await uvicorn.Server(uvicorn.Config(flows.streamable_http_app(), host="127.0.0.1", port=port, log_level="error")).serve()
        return
    async with stdio_server() as (reader, writer):
        await flows.run(reader, writer, flows.create_initialization_options())


if __name__ == "__main__":
    words = sys.argv[1:] or ["stdio", "0"]
    anyio.run(main, words[0], int(words[1]))
