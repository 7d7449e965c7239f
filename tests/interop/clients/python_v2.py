"""The Python SDK's 2.x client, in the mode that the plan (plan.py) names: `legacy` or `auto`."""

import asyncio

import mcp
import mcp_types as types
from mcp import MCPError, StdioServerParameters
from plan import PATIENCE_SECONDS, Conversation, carry_out, filled_in, plain


class Client(Conversation):
    client: mcp.Client

    async def sample(self, context, params):
        self.asks.append(["sampling/createMessage", plain(params)])
        content = types.TextContent(type="text", text="sampled")
        return types.CreateMessageResult(role="assistant", content=content, model="still", stop_reason="endTurn")

    async def elicit(self, context, params):
        asked = plain(params)
        self.asks.append(["elicitation/create", asked])
        if asked.get("mode") == "url":
            return types.ElicitResult(action="accept")
        return types.ElicitResult(action="accept", content=filled_in(asked.get("requestedSchema", {})))

    async def roots(self, context):
        return types.ListRootsResult(roots=[types.Root(uri=uri, name="work") for uri in self.target["roots"]])

    async def lists(self) -> dict:
        found = {}
        for method, member, ask in (
            ("tools/list", "tools", self.client.list_tools),
            ("resources/list", "resources", self.client.list_resources),
            ("resources/templates/list", "resource_templates", self.client.list_resource_templates),
            ("prompts/list", "prompts", self.client.list_prompts),
        ):
            items, cursor, more = [], None, True
            while more:
                try:
                    page = await ask(cursor=cursor)
                except MCPError as error:
                    if error.code != types.METHOD_NOT_FOUND:
                        raise
                    break
                items += [plain(item) for item in getattr(page, member)]
                cursor = page.next_cursor
                more = cursor is not None
            found[method] = items
        return found

    async def act(self, method: str, params: dict, progress: bool):
        match method:
            case "tools/call":
                return await self.client.call_tool(
                    params["name"], params.get("arguments"), progress_callback=self.on_progress if progress else None
                )
            case "resources/read":
                return await self.client.read_resource(params["uri"])
            case "prompts/get":
                return await self.client.get_prompt(params["name"], params.get("arguments"))
            case "completion/complete":
                kind = types.PromptReference if "name" in params["ref"] else types.ResourceTemplateReference
                return await self.client.complete(kind(**params["ref"]), params["argument"], params.get("context", {}).get("arguments"))

    async def run(self, mode: str) -> dict:
        command, *args = self.target["command"]
        async with mcp.Client(
            StdioServerParameters(command=command, args=args, env=self.target["env"], cwd=self.target["cwd"]),
            mode=mode,
            read_timeout_seconds=PATIENCE_SECONDS,
            sampling_callback=self.sample if self.target["asks"] else None,
            elicitation_callback=self.elicit if self.target["asks"] else None,
            list_roots_callback=self.roots if self.target["asks"] else None,
            cache=None,
        ) as self.client:
            lists = await self.gathered(self.lists)
            outcomes = await self.operated(self.act, MCPError)
            negotiated = self.client.protocol_version
        return {"negotiated": negotiated, "lists": lists, "outcomes": outcomes}


asyncio.run(carry_out(lambda target, mode: Client(target).run(mode)))
