"""The Python SDK's 1.x client: carries out a plan (plan.py) over stdio."""

import asyncio
from datetime import timedelta
from pathlib import Path

import mcp.types as types
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from plan import PATIENCE_SECONDS, Conversation, carry_out, filled_in, plain
from pydantic import AnyUrl


class Client(Conversation):
    session: ClientSession

    async def sample(self, context, params: types.CreateMessageRequestParams):
        self.asks.append(["sampling/createMessage", plain(params)])
        content = types.TextContent(type="text", text="sampled")
        return types.CreateMessageResult(role="assistant", content=content, model="still", stopReason="endTurn")

    async def elicit(self, context, params):
        self.asks.append(["elicitation/create", plain(params)])
        if getattr(params, "mode", "form") == "url":
            return types.ElicitResult(action="accept")
        return types.ElicitResult(action="accept", content=filled_in(params.requestedSchema))

    async def roots(self, context):
        return types.ListRootsResult(roots=[types.Root(uri=uri, name="work") for uri in self.target["roots"]])

    async def lists(self) -> dict:
        found = {}
        for method, member, ask in (
            ("tools/list", "tools", self.session.list_tools),
            ("resources/list", "resources", self.session.list_resources),
            ("resources/templates/list", "resourceTemplates", self.session.list_resource_templates),
            ("prompts/list", "prompts", self.session.list_prompts),
        ):
            items, cursor, more = [], None, True
            while more:
                try:
                    page = await ask(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
                except McpError as error:
                    if error.error.code != types.METHOD_NOT_FOUND:
                        raise
                    break
                items += [plain(item) for item in getattr(page, member)]
                cursor = page.nextCursor
                more = cursor is not None
            found[method] = items
        return found

    async def act(self, method: str, params: dict, progress: bool):
        match method:
            case "tools/call":
                return await self.session.call_tool(
                    params["name"], params.get("arguments"), progress_callback=self.on_progress if progress else None
                )
            case "resources/read":
                return await self.session.read_resource(AnyUrl(params["uri"]))
            case "prompts/get":
                return await self.session.get_prompt(params["name"], params.get("arguments"))
            case "completion/complete":
                kind = types.PromptReference if "name" in params["ref"] else types.ResourceTemplateReference
                return await self.session.complete(kind(**params["ref"]), params["argument"], params.get("context", {}).get("arguments"))

    async def run(self) -> dict:
        command, *args = self.target["command"]
        server = StdioServerParameters(command=command, args=args, env=self.target["env"], cwd=self.target["cwd"])
        with open(Path(self.target["cwd"]) / "stderr.txt", "w") as errlog:
            async with stdio_client(server, errlog=errlog) as (reader, writer):
                async with ClientSession(
                    reader,
                    writer,
                    read_timeout_seconds=timedelta(seconds=PATIENCE_SECONDS),
                    sampling_callback=self.sample if self.target["asks"] else None,
                    elicitation_callback=self.elicit if self.target["asks"] else None,
                    list_roots_callback=self.roots if self.target["asks"] else None,
                ) as self.session:
                    agreed = await self.session.initialize()
                    lists = await self.gathered(self.lists)
                    outcomes = await self.operated(self.act, McpError)
        return {"negotiated": agreed.protocolVersion, "lists": lists, "outcomes": outcomes}


asyncio.run(carry_out(lambda target, mode: Client(target).run()))
