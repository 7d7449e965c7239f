"""The Python SDK's 2.x client as the official conformance suite wants one of 2026-07-28: does what the scenario in
MCP_CONFORMANCE_SCENARIO needs of a client, at the URL that is the last argument, or at `--stdio COMMAND...`.

With `--unseen` before that it calls whatever is listed, without a look at the schemas: who stands between is then the one that
must keep back what may not be called. The exit code is 0 when all went well; any other revision ends it at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import mcp
import mcp_types as types
from mcp import MCPError, StdioServerParameters
from pydantic import ValidationError

REVISION = "2026-07-28"
PATIENCE_SECONDS = 15
LISTED_SECONDS_MAX = 10
LOOK_AGAIN_SECONDS = 0.25

SCENARIO = os.environ["MCP_CONFORMANCE_SCENARIO"]
CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
VALUES = {"string": "text", "number": 1.5, "integer": 5, "boolean": True, "array": [], "object": {}}


class Client:
    client: mcp.Client
    # A call that goes out while another waits for what its answer asks.
    meanwhile: str = ""

    async def elicit(self, context, params):
        if self.meanwhile:
            name, self.meanwhile = self.meanwhile, ""
            await self.call(name, {})
        return types.ElicitResult(action="accept", content={"confirmed": True})

    async def sample(self, context, params):
        content = types.TextContent(type="text", text="sampled")
        return types.CreateMessageResult(role="assistant", content=content, model="still", stop_reason="endTurn")

    async def roots(self, context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///home/ana", name="home")])

    async def tools(self, least: int) -> list[types.Tool]:
        """The tools of the server, once there are any: what stands between may learn of them a moment later."""
        end = asyncio.get_running_loop().time() + LISTED_SECONDS_MAX
        while True:
            found = (await self.client.list_tools()).tools
            if len(found) >= least or asyncio.get_running_loop().time() > end:
                return found
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def call(self, name: str, arguments: dict) -> None:
        """A call; an error that answers it is an answer too, and so is what the SDK does not take: the suite is the judge."""
        try:
            await self.client.call_tool(name, arguments)
        except (MCPError, ValidationError) as error:
            print(f"{name}: {error}", file=sys.stderr)

    async def act(self, unseen: bool) -> None:
        found = await self.tools(0 if SCENARIO == "request-metadata" else 1)
        match SCENARIO:
            case "http-standard-headers":
                await self.call_each(found)
                for resource in (await self.client.list_resources()).resources:
                    await self.client.read_resource(resource.uri)
                for prompt in (await self.client.list_prompts()).prompts:
                    await self.client.get_prompt(prompt.name)
            case "http-custom-headers":
                for one in CONTEXT["toolCalls"]:
                    await self.call(one["name"], one["arguments"])
            case "http-invalid-tool-headers" if unseen:
                request = types.ListToolsRequest(params=types.PaginatedRequestParams())
                await self.call_each((await self.client.session.send_request(request, types.ListToolsResult)).tools)
            case "sep-2322-client-request-state":
                self.meanwhile = "test_mrtr_unrelated"
                await self.call_each([tool for tool in found if tool.name != self.meanwhile])
            case "json-schema-2020-12-preservation":
                schemas = {tool.name: tool.input_schema for tool in found}
                await self.call("json_schema_echo", {"schema": schemas["json_schema_2020_12_tool"]})
            case "json-schema-ref-no-deref":
                pass
            case _:
                await self.call_each(found)

    async def call_each(self, tools: list[types.Tool]) -> None:
        for tool in tools:
            properties = tool.input_schema.get("properties", {})
            needed = tool.input_schema.get("required", [])
            await self.call(tool.name, {name: VALUES.get(properties[name].get("type")) for name in needed})

    async def run(self, target: str | StdioServerParameters, unseen: bool) -> int:
        async with mcp.Client(
            target,
            mode="auto",
            read_timeout_seconds=PATIENCE_SECONDS,
            sampling_callback=self.sample,
            elicitation_callback=self.elicit,
            list_roots_callback=self.roots,
            cache=None,
        ) as self.client:
            if self.client.protocol_version != REVISION:
                print(f"negotiated {self.client.protocol_version}", file=sys.stderr)
                return 1
            await self.act(unseen)
        return 0


def main() -> int:
    words = sys.argv[1:]
    unseen = words[0] == "--unseen"
    words = words[unseen:]
    target = StdioServerParameters(command=words[1], args=words[2:], env=dict(os.environ)) if words[0] == "--stdio" else words[-1]
    return asyncio.run(Client().run(target, unseen))


if __name__ == "__main__":
    sys.exit(main())
