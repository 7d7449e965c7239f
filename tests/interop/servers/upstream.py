#!/usr/bin/env python3
"""An upstream MCP server that offers everything the official conformance suite asks a server for.

    upstream.py [stdio]       newline-delimited JSON on stdin/stdout
    upstream.py http PORT     Streamable HTTP at http://127.0.0.1:PORT/mcp
    upstream.py sse PORT      HTTP+SSE at http://127.0.0.1:PORT/sse (2025 era only: the SDK has no modern SSE)

Both protocol eras are served on stdio and http: initialize sessions (up to 2025-11-25) and stateless requests
(2026-07-28). Interactive tools work in both: in a session they send a request to the client, in a stateless call they
answer with input_required and are called again. Needs only the PyPI package mcp (2.3.x).
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import struct
import sys
import warnings
from collections import OrderedDict
from contextlib import AsyncExitStack

import mcp_types as types
import uvicorn
from mcp.server import NotificationOptions, Server
from mcp.server.caching import CACHEABLE_METHODS, CacheHint
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.routing import Mount, Route

# The SDK flags logging, sampling and roots as deprecated; the 2025-11-25 scenarios need them.
warnings.simplefilter("ignore", MCPDeprecationWarning)

NOT_FOUND_LEGACY = -32002
MAX_BODY = 64 * 1024 * 1024
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
STATE_KEY = b"conformance upstream: request state"  # fixed, so that any copy of this process accepts the state
PNG = (  # 1x1 pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


def wav():
    """A mono 8 kHz WAV file holding ten silent samples."""
    pcm = bytes([128]) * 10
    form = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)  # PCM, mono, rate, bytes per second, block size, bits
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(pcm)) + pcm
    return base64.b64encode(b"RIFF" + struct.pack("<I", len(body)) + body).decode()


def text(s):
    return {"type": "text", "text": s}


def image():
    return {"type": "image", "data": PNG, "mimeType": "image/png"}


def embedded(uri, mime, body):
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": body}}


def compact(o):
    return json.dumps(o, separators=(",", ":"))


# --- asking the client, in either era -----------------------------------------------------------------------------


class ToolError(Exception):
    """Becomes a tool result with isError."""


class InputNeeded(Exception):
    """Becomes an input_required result."""

    def __init__(self, result):
        super().__init__("input required")
        self.result = result


class AnyResult(BaseModel):
    model_config = ConfigDict(extra="allow")


REQUESTS = {
    "elicitation/create": ("elicitation", types.ElicitRequest),
    "sampling/createMessage": ("sampling", types.CreateMessageRequest),
    "roots/list": ("roots", types.ListRootsRequest),
}


def elicit(message, properties, required=()):
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(prompt, max_tokens=100):
    message = {"role": "user", "content": text(prompt)}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": max_tokens}}


def roots():
    return {"method": "roots/list", "params": {}}


def usable(request, answer):
    """Whether a client's answer fits the request that it is meant for."""
    if not isinstance(answer, dict):
        return False
    if request["method"] == "elicitation/create":
        if answer.get("action") in ("decline", "cancel"):
            return True
        content = answer.get("content") or {}
        needed = request["params"]["requestedSchema"].get("required", [])
        return answer.get("action") == "accept" and isinstance(content, dict) and all(k in content for k in needed)
    if request["method"] == "sampling/createMessage":
        return "content" in answer
    return isinstance(answer.get("roots"), list)


def sampled_text(answer):
    content = answer["content"]
    blocks = content if isinstance(content, list) else [content]
    return " ".join(b.get("text", "") for b in blocks)


def seal(state):
    body = base64.urlsafe_b64encode(compact(state).encode()).decode()
    return f"{body}.{hmac.new(STATE_KEY, body.encode(), hashlib.sha256).hexdigest()}"


def unseal(token, owner):
    body, _, mac = token.partition(".")
    good = hmac.new(STATE_KEY, body.encode(), hashlib.sha256).hexdigest()
    if hmac.compare_digest(mac.encode(), good.encode()):
        state = json.loads(base64.urlsafe_b64decode(body))
        if state["owner"] == owner:
            return state
    raise MCPError(types.INVALID_PARAMS, "Invalid requestState", {"reason": "integrity check failed"})


class Call:
    """One tools/call or prompts/get as its implementation sees it."""

    def __init__(self, ctx, owner, args):
        self.ctx, self.owner, self.args = ctx, owner, args
        self.modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        raw = ctx.params or {}
        token = raw.get("requestState")
        self.state = unseal(token, owner) if token else None
        self.answers = dict(raw.get("inputResponses") or {})
        self.done = dict(self.state["answers"]) if self.state else {}

    def declares(self, capability):
        return getattr(self.ctx.session.client_capabilities, capability, None) is not None

    def require(self, *capabilities):
        missing = [c for c in capabilities if not self.declares(c)]
        if not missing:
            return
        message = "Client does not declare the capability " + ", ".join(missing)
        if self.modern:
            data = {"requiredCapabilities": {c: {} for c in missing}}
            raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, message, data)
        raise ToolError(message)

    async def ask(self, stateful=False, **requests):
        """Answers of the client to `requests`, by key. If `stateful`, answers count only with their requestState."""
        self.require(*(REQUESTS[r["method"]][0] for r in requests.values()))
        if not self.modern:
            return {k: await self._send(r) for k, r in requests.items()}
        given = {} if stateful and self.state is None else self.answers
        for key, request in requests.items():
            if key not in self.done and usable(request, given.get(key)):
                self.done[key] = given[key]
        missing = {k: r for k, r in requests.items() if k not in self.done}
        if missing:
            result = {"resultType": "input_required", "inputRequests": missing}
            if stateful or self.done:
                result["requestState"] = seal({"owner": self.owner, "answers": self.done})
            raise InputNeeded(result)
        return {k: self.done[k] for k in requests}

    async def _send(self, request):
        model = REQUESTS[request["method"]][1].model_validate(request)
        related = ServerMessageMetadata(related_request_id=self.ctx.request_id)
        answer = await self.ctx.session.send_request(model, AnyResult, metadata=related)
        return answer.model_dump(mode="json")

    async def log(self, message, level="info"):
        wanted = LOG_LEVEL.get(session_key(self.ctx), "debug")
        if self.modern or LEVELS.index(level) >= LEVELS.index(wanted):
            send = self.ctx.session.send_log_message
            await send(level, message, "conf-upstream", related_request_id=self.ctx.request_id)


def session_key(ctx):
    """Session id of the transport, None on stdio."""
    if ctx.request is None:
        return None
    return ctx.request.headers.get("mcp-session-id") or ctx.request.query_params.get("session_id")


# --- tools --------------------------------------------------------------------------------------------------------

TOOLS = {}
PROMPTS = {}
LOG_LEVEL = {}  # session key -> level
WATCHERS = {}  # (session key, uri) -> session
BUS = InMemorySubscriptionBus()
SWITCH = {"tool": False, "prompt": False}  # whether the extra tool/prompt is listed now


def tool(description, schema=None, **properties):
    def add(fn):
        required = [k for k, v in properties.items() if not v.pop("optional", False)]
        plain = {"type": "object", "properties": properties, **({"required": required} if required else {})}
        TOOLS[fn.__name__] = ({"name": fn.__name__, "description": description, "inputSchema": schema or plain}, fn)
        return fn

    return add


@tool("Returns one text block")
async def test_simple_text(call):
    return "This is a simple text response for testing."


@tool("Returns one image block")
async def test_image_content(call):
    return [image()]


@tool("Returns one audio block")
async def test_audio_content(call):
    return [{"type": "audio", "data": wav(), "mimeType": "audio/wav"}]


@tool("Returns an embedded resource")
async def test_embedded_resource(call):
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@tool("Returns text, an image and an embedded resource")
async def test_multiple_content_types(call):
    data = compact({"test": "data", "value": 123})
    resource = embedded("test://mixed-content-resource", "application/json", data)
    return [text("Multiple content types test:"), image(), resource]


@tool("Sends three log messages at level info")
async def test_tool_with_logging(call):
    for i, message in enumerate(("Tool execution started", "Tool processing data", "Tool execution completed")):
        if i:
            await asyncio.sleep(0.05)
        await call.log(message)
    return "Logged three messages."


@tool("Sends a log message of every level")
async def test_logging_tool(call):
    for level in LEVELS:
        await call.log(f"A message of level {level}", level)
    return "Logged one message of each level."


@tool("Reports progress 0, 50 and 100 of 100")
async def test_tool_with_progress(call):
    for i, done in enumerate((0, 50, 100)):
        if i:
            await asyncio.sleep(0.05)
        await call.ctx.session.report_progress(done, 100, f"Completed step {done} of 100")
    return "Reported progress."


@tool("Always fails")
async def test_error_handling(call):
    raise ToolError("This tool intentionally returns an error for testing")


@tool("Closes its response stream before it answers, so that the client has to resume")
async def test_reconnection(call):
    await asyncio.sleep(0.05)
    if call.ctx.close_sse_stream:
        await call.ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    return "Answered after the stream was closed."


@tool("Asks the client's model", prompt={"type": "string", "description": "Prompt for the model"})
async def test_sampling(call):
    answer = await call.ask(answer=sample(str(call.args.get("prompt", ""))))
    return f"LLM response: {sampled_text(answer['answer'])}"


@tool("Asks the user", message={"type": "string", "description": "Message shown to the user"})
async def test_elicitation(call):
    fields = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    answer = (await call.ask(answer=elicit(str(call.args.get("message", "")), fields, fields)))["answer"]
    return f"User response: action={answer['action']}, content={compact(answer.get('content'))}"


async def elicitation_completed(call, message, fields):
    answer = (await call.ask(answer=elicit(message, fields)))["answer"]
    return f"Elicitation completed: action={answer['action']}, content={compact(answer.get('content'))}"


@tool("Asks the user with a default for every primitive type (SEP-1034)")
async def test_elicitation_sep1034_defaults(call):
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await elicitation_completed(call, "Please check the values", fields)


@tool("Asks the user with every kind of enum schema (SEP-1330)")
async def test_elicitation_sep1330_enums(call):
    plain = ["option1", "option2", "option3"]

    def titled(noun):
        return [{"const": f"value{i}", "title": f"{n} {noun}"} for i, n in enumerate(("First", "Second", "Third"), 1)]

    fields = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    }
    return await elicitation_completed(call, "Please choose", fields)


SCHEMA_2020_12 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@tool("Has an input schema with JSON Schema 2020-12 keywords", schema=SCHEMA_2020_12)
async def json_schema_2020_12_tool(call):
    return compact(call.args)


@tool(
    "Has a parameter that is mirrored into a header",
    region={"type": "string", "description": "Target region", "x-mcp-header": "Region", "optional": True},
)
async def test_x_mcp_header(call):
    return f"region={call.args.get('region')}"


@tool("Needs the client capability sampling")
async def test_missing_capability(call):
    call.require("sampling")
    return "The client declares sampling."


@tool("Reports progress, then asks the user")
async def test_streaming_elicitation(call):
    await call.ctx.session.report_progress(0, 1, "Waiting for the user")
    answer = (await call.ask(answer=elicit("Shall the tool go on?", {"ok": {"type": "boolean"}})))["answer"]
    return f"The user chose {answer['action']}."


async def announce(call, event, legacy_send):
    await BUS.publish(event)
    if not call.modern:
        await legacy_send()


@tool("Adds or removes a tool and announces it")
async def test_trigger_tool_change(call):
    SWITCH["tool"] = not SWITCH["tool"]
    await announce(call, ToolsListChanged(), call.ctx.session.send_tool_list_changed)
    return f"The extra tool is {'listed' if SWITCH['tool'] else 'gone'} now."


@tool("Adds or removes a prompt and announces it")
async def test_trigger_prompt_change(call):
    SWITCH["prompt"] = not SWITCH["prompt"]
    await announce(call, PromptsListChanged(), call.ctx.session.send_prompt_list_changed)
    return f"The extra prompt is {'listed' if SWITCH['prompt'] else 'gone'} now."


@tool("Announces an update of test://watched-resource to its subscribers")
async def test_trigger_resource_update(call):
    uri = "test://watched-resource"
    await BUS.publish(ResourceUpdated(uri))
    for (_, watched), session in list(WATCHERS.items()):
        if watched == uri:
            await session.send_resource_updated(uri)
    return f"Announced an update of {uri}."


@tool("Is listed only while test_trigger_tool_change has it switched on")
async def test_extra_tool(call):
    return "The extra tool."


NAME = {"name": {"type": "string"}}


def greeting(answer):
    return f"Hello, {answer['content']['name']}!" if answer["action"] == "accept" else f"Hello? ({answer['action']})"


@tool("Asks for a name")
async def test_input_required_result_elicitation(call):
    return greeting((await call.ask(user_name=elicit("What is your name?", NAME, NAME)))["user_name"])


@tool("Asks the client's model for a capital")
async def test_input_required_result_sampling(call):
    answers = await call.ask(capital_question=sample("What is the capital of France?"))
    return sampled_text(answers["capital_question"])


@tool("Asks for the client's roots")
async def test_input_required_result_list_roots(call):
    found = (await call.ask(client_roots=roots()))["client_roots"]["roots"]
    return f"{len(found)} roots: " + ", ".join(r["uri"] for r in found)


async def confirmed(call):
    answers = await call.ask(stateful=True, confirm=elicit("Please confirm", {"ok": {"type": "boolean"}}, ["ok"]))
    return f"state-ok, action={answers['confirm']['action']}"


@tool("Asks for a confirmation and hands out a request state")
async def test_input_required_result_request_state(call):
    return await confirmed(call)


@tool("Refuses a request state that was changed")
async def test_input_required_result_tampered_state(call):
    return await confirmed(call)


@tool("Asks for a name, a greeting and roots at once")
async def test_input_required_result_multiple_inputs(call):
    answers = await call.ask(
        stateful=True,
        user_name=elicit("What is your name?", NAME, NAME),
        greeting=sample("Generate a greeting", 50),
        client_roots=roots(),
    )
    count = len(answers["client_roots"]["roots"])
    return f"{greeting(answers['user_name'])} {sampled_text(answers['greeting'])} ({count} roots)"


@tool("Asks for a name, then for a color")
async def test_input_required_result_multi_round(call):
    first = await call.ask(stateful=True, step1=elicit("Step 1: What is your name?", NAME, NAME))
    color = {"color": {"type": "string"}}
    second = await call.ask(stateful=True, step2=elicit("Step 2: What is your favorite color?", color, color))
    return f"{greeting(first['step1'])} Your color: {compact(second['step2'].get('content'))}"


@tool("Asks only for what the client declares")
async def test_input_required_result_capabilities(call):
    possible = {
        "user_name": elicit("What is your name?", NAME, NAME),
        "greeting": sample("Generate a greeting", 50),
        "client_roots": roots(),
    }
    requests = {k: r for k, r in possible.items() if call.declares(REQUESTS[r["method"]][0])}
    answers = await call.ask(**requests) if requests else {}
    return "Answered: " + (", ".join(sorted(answers)) or "nothing")


# --- prompts ------------------------------------------------------------------------------------------------------


def prompt(description, **arguments):
    def add(fn):
        args = [{"name": k, "description": d, "required": True} for k, d in arguments.items()]
        PROMPTS[fn.__name__] = ({"name": fn.__name__, "description": description, "arguments": args}, fn)
        return fn

    return add


@prompt("A prompt without arguments")
async def test_simple_prompt(call):
    return [text("This is a simple prompt for testing.")]


@prompt("A prompt with two arguments", arg1="First test argument", arg2="Second test argument")
async def test_prompt_with_arguments(call):
    return [text(f"Prompt with arguments: arg1='{call.args['arg1']}', arg2='{call.args['arg2']}'")]


@prompt("A prompt that embeds a resource", resourceUri="URI of the resource to embed")
async def test_prompt_with_embedded_resource(call):
    resource = embedded(call.args["resourceUri"], "text/plain", "Embedded resource content for testing.")
    return [resource, text("Please process the embedded resource above.")]


@prompt("A prompt with an image")
async def test_prompt_with_image(call):
    return [image(), text("Please analyze the image above.")]


@prompt("A prompt that asks the user for its context")
async def test_input_required_result_prompt(call):
    field = {"context": {"type": "string"}}
    answer = await call.ask(user_context=elicit("What context should the prompt use?", field, field))
    return [text(f"Context: {compact(answer['user_context'].get('content'))}")]


@prompt("Is listed only while test_trigger_prompt_change has it switched on")
async def test_extra_prompt(call):
    return [text("The extra prompt.")]


# --- handlers -----------------------------------------------------------------------------------------------------


def listed(table, extra, switch):
    return [d for n, (d, _) in table.items() if n != extra or SWITCH[switch]]


async def list_tools(ctx, params):
    return {"tools": listed(TOOLS, "test_extra_tool", "tool")}


async def list_prompts(ctx, params):
    return {"prompts": listed(PROMPTS, "test_extra_prompt", "prompt")}


async def call_tool(ctx, params):
    if params.name not in TOOLS:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    try:
        result = await TOOLS[params.name][1](Call(ctx, params.name, params.arguments or {}))
    except InputNeeded as e:
        return e.result
    except ToolError as e:
        return {"content": [text(str(e))], "isError": True}
    return {"content": [text(result)] if isinstance(result, str) else result}


async def get_prompt(ctx, params):
    if params.name not in PROMPTS:
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    definition, fn = PROMPTS[params.name]
    args = params.arguments or {}
    missing = [a["name"] for a in definition["arguments"] if a["name"] not in args]
    if missing:
        raise MCPError(types.INVALID_PARAMS, "Missing prompt arguments: " + ", ".join(missing))
    try:
        blocks = await fn(Call(ctx, params.name, args))
    except InputNeeded as e:
        return e.result
    except ToolError as e:
        raise MCPError(types.INVALID_REQUEST, str(e)) from None
    return {"description": definition["description"], "messages": [{"role": "user", "content": b} for b in blocks]}


RESOURCES = {
    "test://static-text": ("text/plain", {"text": "This is the content of the static text resource."}),
    "test://static-binary": ("image/png", {"blob": PNG}),
    "test://watched-resource": ("text/plain", {"text": "This resource can be watched."}),
}
TEMPLATE = "test://template/{id}/data"


async def list_resources(ctx, params):
    def entry(uri):
        name = uri.partition("://")[2]
        return {"uri": uri, "name": name, "description": f"The resource {name}", "mimeType": RESOURCES[uri][0]}

    return {"resources": [entry(uri) for uri in RESOURCES]}


async def list_templates(ctx, params):
    entry = {"uriTemplate": TEMPLATE, "name": "template", "description": "Data for an id"}
    return {"resourceTemplates": [{**entry, "mimeType": "application/json"}]}


async def read_resource(ctx, params):
    uri = str(params.uri)
    match = re.fullmatch("test://template/([^/]+)/data", uri)
    if match:
        data = {"id": match[1], "templateTest": True, "data": f"Data for ID: {match[1]}"}
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": compact(data)}]}
    if uri not in RESOURCES:
        modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        raise MCPError(types.INVALID_PARAMS if modern else NOT_FOUND_LEGACY, "Resource not found", {"uri": uri})
    mime, body = RESOURCES[uri]
    return {"contents": [{"uri": uri, "mimeType": mime, **body}]}


async def subscribe(ctx, params):
    WATCHERS[session_key(ctx), str(params.uri)] = ctx.session
    return {}


async def unsubscribe(ctx, params):
    WATCHERS.pop((session_key(ctx), str(params.uri)), None)
    return {}


async def complete(ctx, params):
    known = {"arg1": ["paris", "park", "party"], "arg2": ["west", "world"], "id": ["123", "124", "200"]}
    values = [v for v in known.get(params.argument.name, []) if v.startswith(params.argument.value)]
    return {"completion": {"values": values, "total": len(values), "hasMore": False}}


async def set_level(ctx, params):
    LOG_LEVEL[session_key(ctx)] = params.level
    return {}


def result_type(handler):
    """`handler` with the resultType that the modern era wants on every result."""

    async def wrapped(ctx, params):
        result = await handler(ctx, params)
        return {"resultType": "complete", **result} if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else result

    return wrapped


class Upstream(Server):
    def create_initialization_options(self, notification_options=None, *args, **kw):
        changes = notification_options or NotificationOptions(True, True, True)  # the SDK announces none by itself
        return super().create_initialization_options(changes, *args, **kw)


def make_server():
    return Upstream(
        "conf-upstream",
        version="1.0.0",
        instructions="Upstream for conformance tests.",
        cache_hints={m: CacheHint(ttl_ms=1000, scope="public") for m in CACHEABLE_METHODS},
        get_tool_input_schema=lambda name: TOOLS[name][0]["inputSchema"] if name in TOOLS else None,
        on_list_tools=result_type(list_tools),
        on_call_tool=result_type(call_tool),
        on_list_prompts=result_type(list_prompts),
        on_get_prompt=result_type(get_prompt),
        on_list_resources=result_type(list_resources),
        on_list_resource_templates=result_type(list_templates),
        on_read_resource=result_type(read_resource),
        on_subscribe_resource=result_type(subscribe),
        on_unsubscribe_resource=result_type(unsubscribe),
        on_subscriptions_listen=ListenHandler(BUS),
        on_completion=result_type(complete),
        on_set_logging_level=result_type(set_level),
    )


# --- transports ---------------------------------------------------------------------------------------------------


class Events(EventStore):
    """The last events of all streams, so that a client can resume a closed stream."""

    LIMIT = 10000

    def __init__(self):
        self.events = OrderedDict()  # event id -> (stream id, message or None)
        self.count = 0

    async def store_event(self, stream_id, message):
        self.count += 1
        self.events[str(self.count)] = (stream_id, message)
        if len(self.events) > self.LIMIT:
            self.events.popitem(last=False)
        return str(self.count)

    async def replay_events_after(self, last_event_id, send_callback):
        if last_event_id not in self.events:
            return None
        stream = self.events[last_event_id][0]
        later = [(i, m) for i, (s, m) in self.events.items() if s == stream and int(i) > int(last_event_id)]
        for event_id, message in later:
            if message is not None:
                await send_callback(EventMessage(message, event_id))
        return stream


def security():
    hosts = ["127.0.0.1", "localhost", "[::1]"]
    names = hosts + [f"{h}:*" for h in hosts]
    return TransportSecuritySettings(allowed_hosts=names, allowed_origins=["http://" + n for n in names])


class SseEndpoint:
    """ASGI application that serves one session per request."""

    def __init__(self, server, transport):
        self.server, self.transport = server, transport

    async def __call__(self, scope, receive, send):
        async with AsyncExitStack() as stack:
            try:
                streams = await stack.enter_async_context(self.transport.connect_sse(scope, receive, send))
            except ValueError:  # Host or Origin is not ours; the transport has said so to the client
                return
            await self.server.run(*streams, self.server.create_initialization_options())


def sse_app(server):
    transport = SseServerTransport("/messages/", security_settings=security(), max_request_body_size=MAX_BODY)
    messages = Mount("/messages/", app=transport.handle_post_message)
    return Starlette(routes=[Route("/sse", SseEndpoint(server, transport), methods=["GET"]), messages])


async def run_stdio(server):
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def main():
    kind = sys.argv[1] if len(sys.argv) > 1 else "stdio"
    server = make_server()
    if kind == "stdio":
        asyncio.run(run_stdio(server))
        return
    if kind == "http":
        app = server.streamable_http_app(
            event_store=Events(), retry_interval=100, transport_security=security(), max_request_body_size=MAX_BODY
        )
    elif kind == "sse":
        app = sse_app(server)
    else:
        sys.exit(__doc__)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
