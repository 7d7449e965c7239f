"""A low-level server on the Python SDK 1.x: tools, resources, templates, prompts, completions, as the SDK's guide writes one."""

import asyncio
import base64
import json

import mcp.types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.models import InitializationOptions
from mcp.server.stdio import stdio_server
from pydantic import AnyUrl

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SOUND = base64.b64encode(b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00").decode()
CITIES = ["Berlin", "Bergen", "Bern", "Oslo", "Osaka"]

server = Server("weather-notes", version="1.0.0", instructions="Ask for the weather, then write a note about it.")


@server.list_tools()
async def list_tools() -> list[types.Tool]:
    return [
        types.Tool(
            name="get_weather",
            title="Get weather",
            description="The weather in a city",
            inputSchema={
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "City name"},
                    "units": {"type": "string", "enum": ["metric", "imperial"], "default": "metric"},
                },
                "required": ["city"],
            },
            outputSchema={
                "type": "object",
                "properties": {
                    "temperature": {"type": "number"},
                    "conditions": {"type": "string"},
                },
                "required": ["temperature", "conditions"],
            },
            annotations=types.ToolAnnotations(readOnlyHint=True, openWorldHint=True),
        ),
        types.Tool(
            name="show_everything",
            description="One block of each kind of content",
            inputSchema={"type": "object", "properties": {}, "additionalProperties": False},
        ),
        types.Tool(
            name="divide",
            description="a / b; dividing by zero is an error of the tool",
            inputSchema={
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                "required": ["a", "b"],
            },
        ),
    ]


@server.call_tool()
async def call_tool(name: str, arguments: dict):
    if name == "get_weather":
        warm = 21.5 if arguments.get("units", "metric") == "metric" else 70.7
        reading = {"temperature": warm, "conditions": f"clear over {arguments['city']}"}
        return [types.TextContent(type="text", text=json.dumps(reading))], reading
    if name == "show_everything":
        return [
            types.TextContent(type="text", text="Grüße, 世界 👋", annotations=types.Annotations(audience=["user"], priority=0.5)),
            types.ImageContent(type="image", data=PIXEL, mimeType="image/png"),
            types.AudioContent(type="audio", data=SOUND, mimeType="audio/wav"),
            types.ResourceLink(type="resource_link", uri=AnyUrl("note://today"), name="today", mimeType="text/plain"),
            types.EmbeddedResource(
                type="resource",
                resource=types.TextResourceContents(uri=AnyUrl("note://today"), mimeType="text/plain", text="buy bread"),
            ),
            types.EmbeddedResource(
                type="resource",
                resource=types.BlobResourceContents(uri=AnyUrl("note://pixel"), mimeType="image/png", blob=PIXEL),
            ),
        ]
    if name == "divide":
        return [types.TextContent(type="text", text=str(arguments["a"] / arguments["b"]))]
    raise ValueError(f"Unknown tool: {name}")


@server.list_resources()
async def list_resources() -> list[types.Resource]:
    return [
        types.Resource(uri=AnyUrl("note://today"), name="today", title="Today", description="What to do", mimeType="text/plain", size=9),
        types.Resource(uri=AnyUrl("note://pixel"), name="pixel", mimeType="image/png"),
        types.Resource(uri=AnyUrl("file:///srv/notes/readme.md"), name="readme", mimeType="text/markdown"),
        types.Resource(uri=AnyUrl("https://weather.example.org/help"), name="help", mimeType="text/html"),
    ]


@server.list_resource_templates()
async def list_resource_templates() -> list[types.ResourceTemplate]:
    return [
        types.ResourceTemplate(uriTemplate="note://by-city/{city}", name="by_city", description="The note of a city"),
        types.ResourceTemplate(uriTemplate="note://search{?q,limit}", name="search", mimeType="application/json"),
    ]


@server.read_resource()
async def read_resource(uri: AnyUrl):
    text = str(uri)
    if text == "note://pixel":
        return [ReadResourceContents(content=base64.b64decode(PIXEL), mime_type="image/png")]
    if text == "note://today":
        return [ReadResourceContents(content="buy bread", mime_type="text/plain")]
    if text in ("file:///srv/notes/readme.md", "https://weather.example.org/help"):
        return [ReadResourceContents(content=f"# {text}\n", mime_type="text/markdown")]
    if text.startswith("note://by-city/"):
        return [ReadResourceContents(content=f"nothing about {text.removeprefix('note://by-city/')}", mime_type="text/plain")]
    raise ValueError(f"Unknown resource: {text}")


@server.list_prompts()
async def list_prompts() -> list[types.Prompt]:
    return [
        types.Prompt(
            name="plan_trip",
            title="Plan a trip",
            description="A plan for one city",
            arguments=[
                types.PromptArgument(name="city", description="Where to", required=True),
                types.PromptArgument(name="days", description="How long"),
            ],
        ),
        types.Prompt(name="with_note", description="A prompt that embeds a note"),
    ]


@server.get_prompt()
async def get_prompt(name: str, arguments: dict[str, str] | None) -> types.GetPromptResult:
    if name == "plan_trip":
        if not arguments or "city" not in arguments:
            raise ValueError("Missing required argument: city")
        text = f"Plan {arguments.get('days', '2')} days in {arguments['city']}."
        return types.GetPromptResult(
            description="A plan",
            messages=[
                types.PromptMessage(role="user", content=types.TextContent(type="text", text=text)),
                types.PromptMessage(role="assistant", content=types.TextContent(type="text", text="With pleasure.")),
            ],
        )
    if name == "with_note":
        resource = types.TextResourceContents(uri=AnyUrl("note://today"), mimeType="text/plain", text="buy bread")
        return types.GetPromptResult(
            messages=[types.PromptMessage(role="user", content=types.EmbeddedResource(type="resource", resource=resource))]
        )
    raise ValueError(f"Unknown prompt: {name}")


@server.completion()
async def complete(ref, argument: types.CompletionArgument, context: types.CompletionContext | None):
    if argument.name == "city":
        values = [city for city in CITIES if city.startswith(argument.value)]
        return types.Completion(values=values, total=len(values), hasMore=False)
    if argument.name == "days" and context and context.arguments:
        return types.Completion(values=[f"3 in {context.arguments.get('city', '?')}"], hasMore=False)
    return None


async def main() -> None:
    options = InitializationOptions(
        server_name="weather-notes",
        server_version="1.0.0",
        instructions=server.instructions,
        capabilities=server.get_capabilities(NotificationOptions(), {}),
    )
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, options)


if __name__ == "__main__":
    asyncio.run(main())
