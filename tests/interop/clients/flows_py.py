"""The Python SDK's 1.x client, for the back-flows (see `flowclient.py`)."""

import asyncio
import math
from datetime import timedelta
from pathlib import Path

import anyio
import mcp.types as types
from flowclient import HANG_SECONDS_MAX, Diary, Driver, main
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from pydantic import AnyUrl


def plain(model) -> dict:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class Client(Driver):
    session: ClientSession

    async def sample(self, context, params: types.CreateMessageRequestParams):
        self.diary.hear("sampling/createMessage", plain(params))
        answer = self.diary.next_sample()
        if "error" in answer:
            return types.ErrorData(**answer["error"])
        kind = types.CreateMessageResultWithTools if params.tools else types.CreateMessageResult
        return kind.model_validate(answer["result"])

    async def elicit(self, context, params):
        self.diary.hear("elicitation/create", plain(params))
        answer = self.diary.elicitation
        if answer == "hang":
            try:
                await asyncio.sleep(HANG_SECONDS_MAX)
            except asyncio.CancelledError:
                self.diary.hear("withdrawn")
                raise
            return types.ElicitResult(action="cancel")
        return types.ErrorData(**answer["error"]) if "error" in answer else types.ElicitResult(**answer["result"])

    async def list_roots(self, context):
        self.diary.hear("roots/list")
        return types.ListRootsResult(roots=[types.Root(uri=uri, name="work") for uri in self.diary.roots])

    async def handle(self, message) -> None:
        if isinstance(message, types.ServerNotification) and not isinstance(message.root, types.ProgressNotification):
            self.diary.hear(message.root.method, plain(message.root.params) if message.root.params else None)

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.diary.hear("notifications/progress", [progress, total, message])

    async def request(self, method: str, params: dict | None, progress: bool, seconds: float | None = None) -> dict:
        page = types.PaginatedRequestParams(**params) if params and "cursor" in params else None
        try:
            match method:
                case "ping":
                    result = await self.session.send_ping()
                case "tools/call":
                    result = await self.session.call_tool(
                        params["name"],
                        params.get("arguments"),
                        progress_callback=self.on_progress if progress else None,
                        read_timeout_seconds=timedelta(seconds=seconds) if seconds else None,
                    )
                case "tools/list":
                    result = await self.session.list_tools(params=page)
                case "prompts/list":
                    result = await self.session.list_prompts(params=page)
                case "resources/list":
                    result = await self.session.list_resources(params=page)
                case "resources/templates/list":
                    result = await self.session.list_resource_templates(params=page)
                case "resources/read":
                    result = await self.session.read_resource(AnyUrl(params["uri"]))
                case "prompts/get":
                    result = await self.session.get_prompt(params["name"], params.get("arguments"))
                case "completion/complete":
                    kind = types.PromptReference if "name" in params["ref"] else types.ResourceTemplateReference
                    result = await self.session.complete(kind(**params["ref"]), params["argument"])
                case "resources/subscribe":
                    result = await self.session.subscribe_resource(AnyUrl(params["uri"]))
                case "resources/unsubscribe":
                    result = await self.session.unsubscribe_resource(AnyUrl(params["uri"]))
                case "logging/setLevel":
                    result = await self.session.set_logging_level(params["level"])
        except McpError as error:
            return {"error": plain(error.error)}
        return {"result": plain(result)}

    def last_id(self) -> object:
        return self.session._request_id - 1

    async def cancel(self, id: object) -> None:
        params = types.CancelledNotificationParams(requestId=id, reason="no longer needed")
        await self.session.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))

    async def tell_roots(self) -> None:
        await self.session.send_roots_list_changed()


def transport(target: dict, errlog):
    match target["transport"]:
        case "http":
            return streamablehttp_client(target["url"], target["headers"])
        case "sse":
            return sse_client(target["url"], target["headers"])
    command, *arguments = target["command"]
    return stdio_client(StdioServerParameters(command=command, args=arguments, env=target["env"], cwd=target["cwd"]), errlog=errlog)


async def run(target: dict) -> None:
    client = Client()
    client.diary = Diary(target)
    with open(Path(target["cwd"]) / "client-server-stderr.txt", "w") as errlog:
        async with transport(target, errlog) as (reader, writer, *_), anyio.create_task_group() as group:
            # What arrives is written down before the session sees it, even while a handler holds the session up.
            passed_on, incoming = anyio.create_memory_object_stream(math.inf)

            async def tap() -> None:
                async with passed_on:
                    async for item in reader:
                        if not isinstance(item, Exception):
                            client.diary.arrived(plain(item.message))
                        try:
                            await passed_on.send(item)
                        except anyio.BrokenResourceError:
                            # The session has ended; what comes now is nobody's.
                            return

            group.start_soon(tap)
            async with ClientSession(
                incoming,
                writer,
                sampling_callback=client.sample,
                sampling_capabilities=types.SamplingCapability(tools=types.SamplingToolsCapability()),
                elicitation_callback=client.elicit,
                list_roots_callback=client.list_roots,
                message_handler=client.handle,
            ) as client.session:
                client.negotiated = str((await client.session.initialize()).protocolVersion)
                await client.carried_out(target)
            group.cancel_scope.cancel()


main(run)
