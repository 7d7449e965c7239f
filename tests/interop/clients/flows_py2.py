"""The Python SDK's 2.x client, for the flows, with a session or without one, as the target's `mode` says (see `flowclient.py`)."""

import asyncio
import warnings
from contextlib import AsyncExitStack

import httpx2
import mcp
import mcp_types as types
from flowclient import HANG_SECONDS_MAX, Diary, Driver, main
from mcp import MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning

warnings.simplefilter("ignore", MCPDeprecationWarning)

REVISION = "2026-07-28"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
STREAM_SECONDS = 60.0
EVENTS = {
    "ToolsListChanged": "notifications/tools/list_changed",
    "PromptsListChanged": "notifications/prompts/list_changed",
    "ResourcesListChanged": "notifications/resources/list_changed",
    "ResourceUpdated": "notifications/resources/updated",
}


def plain(model) -> dict:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class Client(Driver):
    """`events` is what the SDK handed over: it has no place for an ear at its transport."""

    client: mcp.Client
    least: str | None = None
    watching: AsyncExitStack | None = None

    @property
    def modern(self) -> bool:
        return self.client.protocol_version == REVISION

    def met(self, method: str, params: object, ask: bool = False) -> None:
        self.diary.arrived({"method": method, "params": params} | ({"id": 0} if ask else {}))
        self.diary.hear(method, params)

    async def sample(self, context, params):
        self.met("sampling/createMessage", plain(params), ask=True)
        answer = self.diary.next_sample()
        return types.ErrorData(**answer["error"]) if "error" in answer else types.CreateMessageResult.model_validate(answer["result"])

    async def elicit(self, context, params):
        self.met("elicitation/create", plain(params), ask=True)
        answer = self.diary.elicitation
        if answer == "hang":
            await asyncio.sleep(HANG_SECONDS_MAX)
            return types.ElicitResult(action="cancel")
        return types.ErrorData(**answer["error"]) if "error" in answer else types.ElicitResult(**answer["result"])

    async def list_roots(self, context):
        self.met("roots/list", None, ask=True)
        return types.ListRootsResult(roots=[types.Root(uri=uri, name="work") for uri in self.diary.roots])

    async def handle(self, message) -> None:
        method = getattr(message, "method", None)
        # Without a session what is about changes comes by the stream that asked for it.
        if method and method != "notifications/progress" and not (self.modern and method in EVENTS.values()):
            self.met(method, plain(message.params) if message.params else None)

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.met("notifications/progress", {"progressToken": 0, "progress": progress, "total": total, "message": message})

    async def request(self, method: str, params: dict | None, progress: bool, seconds: float | None = None) -> dict:
        cursor = params.get("cursor") if params else None
        meta = {LOG_LEVEL: self.least} if self.modern and self.least else None
        try:
            match method:
                case "ping":
                    result = await self.client.send_ping()
                case "tools/call":
                    result = await self.client.call_tool(
                        params["name"],
                        params.get("arguments"),
                        read_timeout_seconds=seconds,
                        progress_callback=self.on_progress if progress else None,
                        meta=meta,
                    )
                case "tools/list":
                    result = await self.client.list_tools(cursor=cursor)
                case "prompts/list":
                    result = await self.client.list_prompts(cursor=cursor)
                case "resources/list":
                    result = await self.client.list_resources(cursor=cursor)
                case "resources/templates/list":
                    result = await self.client.list_resource_templates(cursor=cursor)
                case "resources/read":
                    result = await self.client.read_resource(params["uri"])
                case "prompts/get":
                    result = await self.client.get_prompt(params["name"], params.get("arguments"))
                case "completion/complete":
                    kind = types.PromptReference if "name" in params["ref"] else types.ResourceTemplateReference
                    result = await self.client.complete(kind(**params["ref"]), params["argument"])
                case "resources/subscribe":
                    result = await self.client.subscribe_resource(params["uri"])
                case "resources/unsubscribe":
                    result = await self.client.unsubscribe_resource(params["uri"])
                case "logging/setLevel":
                    result = await self.client.set_logging_level(params["level"])
        except MCPError as error:
            self.diary.arrived({})
            return {"error": plain(error.error)}
        self.diary.arrived({})
        return {"result": plain(result)}

    def last_id(self) -> object:
        return None

    async def cancel(self, id: object) -> None:
        """The SDK tells the server when whoever waits for the answer is cancelled."""
        self.begun.cancel()
        await asyncio.gather(self.begun, return_exceptions=True)

    async def tell_roots(self) -> None:
        await self.client.send_roots_list_changed()

    async def level(self, level: str | None) -> dict | None:
        if not self.modern:
            return await super().level(level)
        self.least = level
        return None

    async def watch(self, uris: list[str]) -> dict | None:
        if not self.modern:
            return await super().watch(uris)
        opened, closing = asyncio.get_running_loop().create_future(), asyncio.Event()

        async def stream() -> None:
            try:
                wanted = {"tools_list_changed": True, "prompts_list_changed": True, "resources_list_changed": True, "resource_subscriptions": uris}
                async with self.client.listen(**wanted) as changes, asyncio.TaskGroup() as group:
                    opened.set_result(None)
                    reading = group.create_task(self.follow(changes))
                    await closing.wait()
                    reading.cancel()
            except BaseException as error:
                if not opened.done():
                    opened.set_result({"fault": f"{type(error).__name__}: {error}"})

        task = asyncio.create_task(stream())
        self.watching = (closing, task)
        return await opened

    async def follow(self, changes) -> None:
        async for event in changes:
            uri = getattr(event, "uri", None)
            self.met(EVENTS[type(event).__name__], {"uri": uri} if uri else None)

    async def unwatch(self, uris: list[str]) -> dict | None:
        if not self.modern:
            return await super().unwatch(uris)
        closing, task = self.watching
        closing.set()
        await task
        return None


async def run(target: dict) -> None:
    client = Client()
    client.diary = Diary(target)
    mode = {"legacy": "legacy", "auto": "auto", "modern": REVISION}[target["mode"]]
    async with AsyncExitStack() as stack:
        match target["transport"]:
            case "http":
                web = await stack.enter_async_context(httpx2.AsyncClient(headers=target["headers"], timeout=httpx2.Timeout(STREAM_SECONDS)))
                server = streamable_http_client(target["url"], http_client=web)
            case "sse":
                server = sse_client(target["url"], target["headers"])
            case _:
                command, *arguments = target["command"]
                server = StdioServerParameters(command=command, args=arguments, env=target["env"], cwd=target["cwd"])
        client.client = await stack.enter_async_context(
            mcp.Client(
                server,
                mode=mode,
                sampling_callback=client.sample,
                elicitation_callback=client.elicit,
                list_roots_callback=client.list_roots,
                message_handler=client.handle,
                cache=None,
            )
        )
        client.negotiated = client.client.protocol_version
        await client.carried_out(target)


main(run)
