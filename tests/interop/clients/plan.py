"""What both Python clients share: carrying out a plan from stdin, and printing one line of JSON per target.

The plan: {"mode", "targets": [{"name", "command", "env", "cwd", "roots", "quiet", "counts", "operations": [{"method",
"params", "progress"}]}]}. Names in it are what the target shows; a client knows nothing of servers or proxies.
"""

import asyncio
import json
import sys

PATIENCE_SECONDS = 40.0
GATHER_ROUNDS_MAX = 90
# Lists that have not grown for so many rounds will not.
STILL_ROUNDS_MAX = 30
GATHER_PAUSE_SECONDS = 0.5
TARGET_SECONDS_MAX = 170.0


def plain(model) -> dict:
    """A model of either SDK as the JSON it came from, as far as the model kept it."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def filled_in(schema: dict) -> dict:
    """A value for every property that an elicitation asks for."""
    return {name: _value(schema) for name, schema in schema.get("properties", {}).items()}


def _value(schema: dict):
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if "oneOf" in schema:
        return schema["oneOf"][0]["const"]
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 7)
        case "boolean":
            return True
        case "array":
            items = schema.get("items", {})
            return items["enum"][:1] if "enum" in items else [choice["const"] for choice in items.get("anyOf", [])[:1]]
    by_format = {"email": "ana@example.org", "uri": "https://example.org/", "date": "2025-01-02", "date-time": "2025-01-02T03:04:05Z"}
    return by_format.get(schema.get("format"), "Ana")


class Conversation:
    """What one target asked and reported while an operation ran."""

    def __init__(self, target: dict):
        self.target = target
        self.asks: list = []
        self.progress: list = []

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append([progress, total, message])

    async def gathered(self, lists) -> dict:
        """The lists, asked for again until they are as long as the plan says, or patience ends."""
        await asyncio.sleep(self.target["quiet"])
        total, still = -1, 0
        for _ in range(GATHER_ROUNDS_MAX):
            found = await lists()
            before, total = total, sum(map(len, found.values()))
            still = still + 1 if total == before else 0
            if still > STILL_ROUNDS_MAX or all(len(found[method]) >= count for method, count in self.target["counts"].items()):
                break
            await asyncio.sleep(GATHER_PAUSE_SECONDS)
        return found

    async def operated(self, act, error_type) -> list[dict]:
        """The outcome of every operation: a result, an error of the protocol, or what the SDK itself objects to."""
        outcomes = []
        for operation in self.target["operations"]:
            self.asks, self.progress = [], []
            try:
                outcome = {"result": plain(await act(operation["method"], operation["params"], operation["progress"]))}
            except error_type as error:
                outcome = {"error": plain(error.error)}
            except Exception as error:
                outcome = {"fault": f"{type(error).__name__}: {error}"}
            outcomes.append(outcome | {"asks": self.asks, "progress": self.progress})
        return outcomes


async def carry_out(run) -> None:
    """Runs every target of the plan after the other; `run(target, mode)` gives its report."""
    plan = json.load(sys.stdin)
    for target in plan["targets"]:
        try:
            report = await asyncio.wait_for(run(target, plan["mode"]), TARGET_SECONDS_MAX)
        except BaseException as error:
            report = {"fault": f"{type(error).__name__}: {error}"}
        print(json.dumps(report | {"name": target["name"]}), flush=True)
