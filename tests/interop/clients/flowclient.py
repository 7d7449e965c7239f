"""What the flow clients are told and tell, for the Python one: a target with parts on stdin, one report on stdout.

The target: {"command", "env", "cwd", "roots", "mode", "ready": tools to wait for, "parts": [{"name", "steps": [STEP]}]}; `mode`
is `legacy`, `auto` or `modern` where a client has a choice. A step is one of
    ask METHOD PARAMS       a request and its outcome (`progress`: with a progress token, `seconds`: the client's own patience)
    begin METHOD PARAMS     the same beside the steps that follow; `end` waits for it, `cancel` cancels it
    await HEARD WHERE COUNT until the SDK has handed over so many messages of a method with a text in them, in this part
    quiet MS                a ping and then a short wait, to show silence
    answer                  from now on `elicitation` and `sampling` (one after the other) are answered so
    roots URIS              the client's roots change, and it says so
    watch URIS, unwatch     changes of these and of the lists are wanted, by a request for each or by one stream
    level LEVEL             the log is wanted from this level on, by a request or in all that follow; none: no log is wanted
    pause MS                silence
    list METHOD UNTIL       the names or URIs of a whole list, once a name is in it
The report: {"negotiated", "tools", "start", "parts": [{"name", "steps": [{"outcome", "events"}], "heard"}]}: `events` is what arrived
at the SDK's transport during a step, in order; `heard` what the SDK handed to the program.
"""

import asyncio
import json
import os
import sys
import threading
import traceback

REQUEST_SECONDS_MAX = 6.0
HEAR_SECONDS_MAX = 5.0
PART_SECONDS_MAX = 20.0
READY_SECONDS_MAX = 15.0
HANG_SECONDS_MAX = 2.0
QUIET_MILLISECONDS = 300
LEAVE_SECONDS_MAX = 4.0
RELIST_SECONDS = 0.5
PAGES_MAX = 50

NAMED = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}


# What there is to tell so far.
REPORT: dict = {}


class Diary:
    """What came, in order, and how asks are answered now."""

    def __init__(self, target: dict):
        self.events: list[dict] = []
        self.heard: list[tuple[str, str]] = []
        self.cancelled: list = []
        self.roots: list[str] = target["roots"]
        self.elicitation: object = {"result": {"action": "decline"}}
        self.sampling: list[dict] = [{"error": {"code": -1, "message": "no answer is planned"}}]
        self.news = asyncio.Event()

    def hear(self, method: str, params: object = None) -> None:
        self.heard.append((method, json.dumps(params, ensure_ascii=False)))
        self.news.set()
        self.news = asyncio.Event()

    def arrived(self, message: dict) -> None:
        if "method" in message:
            self.events.append({"ask" if "id" in message else "note": message["method"], "params": message.get("params")})
        else:
            self.events.append({"answer": True, "late": message.get("id") in self.cancelled})

    def next_sample(self) -> dict:
        return self.sampling.pop(0) if len(self.sampling) > 1 else self.sampling[0]

    def count(self, method: str, part: str = "") -> int:
        return sum(name == method and part in text for name, text in self.heard)

    async def await_heard(self, method: str, part: str, least: int, patience: float) -> bool:
        async def reached() -> None:
            while self.count(method, part) < least:
                await self.news.wait()

        try:
            await asyncio.wait_for(reached(), patience)
        except asyncio.TimeoutError:
            return False
        return True


class Driver:
    """Carries out steps. A client fills in `request`, `last_id`, `cancel` and `tell_roots`; one without a session the three after."""

    diary: Diary
    begun: asyncio.Task | None = None
    # The revision that was agreed on.
    negotiated: str = ""

    async def request(self, method: str, params: dict | None, progress: bool, seconds: float | None = None) -> dict:
        """The outcome of one request: `result`, `error` or `fault`; the SDK gives up after so many seconds."""
        raise NotImplementedError

    async def cancel(self, id: object) -> None:
        raise NotImplementedError

    def last_id(self) -> object:
        raise NotImplementedError

    async def tell_roots(self) -> None:
        raise NotImplementedError

    async def watch(self, uris: list[str]) -> dict | None:
        return await self.of_each("resources/subscribe", uris)

    async def unwatch(self, uris: list[str]) -> dict | None:
        return await self.of_each("resources/unsubscribe", uris)

    async def level(self, level: str | None) -> dict | None:
        return await self.bounded(self.request("logging/setLevel", {"level": level or "debug"}, False))

    async def of_each(self, method: str, uris: list[str]) -> dict | None:
        for uri in uris:
            outcome = await self.bounded(self.request(method, {"uri": uri}, False))
            if "result" not in outcome:
                return outcome
        return None

    async def bounded(self, request) -> dict:
        before = self.diary.count("notifications/progress")
        try:
            outcome = await asyncio.wait_for(request, REQUEST_SECONDS_MAX)
        except asyncio.TimeoutError:
            outcome = {"fault": "no answer in time"}
        return outcome | {"handed_over": self.diary.count("notifications/progress") - before}

    async def whole_list(self, method: str) -> list[str]:
        member, key = NAMED[method]
        found, params = [], None
        for _ in range(PAGES_MAX):
            outcome = await self.bounded(self.request(method, params, False))
            if "result" not in outcome:
                raise RuntimeError(f"{method}: {outcome}")
            found += [item[key] for item in outcome["result"][member]]
            cursor = outcome["result"].get("nextCursor")
            if cursor is None:
                return found
            params = {"cursor": cursor}
        raise RuntimeError(f"{method} does not end")

    async def list_until(self, method: str, wanted: list[str], patience: float) -> list[str]:
        """The list once all these are in it, or as it is when patience ends."""
        news, end = f"notifications/{method}_changed", asyncio.get_running_loop().time() + patience
        while True:
            seen = self.diary.count(news)
            found = await self.whole_list(method)
            if all(name in found for name in wanted) or asyncio.get_running_loop().time() > end:
                return found
            await self.diary.await_heard(news, "", seen + 1, RELIST_SECONDS)

    async def step(self, step: dict) -> dict | None:
        match step["do"]:
            case "ask":
                return await self.bounded(self.request(step["method"], step.get("params"), step.get("progress", False), step.get("seconds")))
            case "begin":
                self.begun = asyncio.create_task(self.request(step["method"], step.get("params"), step.get("progress", False)))
                # Until it has been sent, its id is not known.
                await asyncio.sleep(0)
                self.begun_id = self.last_id()
            case "end":
                return await self.bounded(self.begun)
            case "cancel":
                self.diary.cancelled.append(self.begun_id)
                await self.cancel(self.begun_id)
                self.begun.cancel()
            case "await":
                least, part = step.get("count", 1), step.get("where", "")
                if not await self.diary.await_heard(step["heard"], part, least, HEAR_SECONDS_MAX):
                    return {"fault": f"heard {self.diary.count(step['heard'], part)} of {least} {step['heard']} {part}"}
            case "quiet":
                answered = await self.bounded(self.request("ping", None, False))
                await asyncio.sleep(step.get("ms", QUIET_MILLISECONDS) / 1000)
                return None if "result" in answered else answered
            case "watch":
                return await self.watch(step["uris"])
            case "unwatch":
                return await self.unwatch(step["uris"])
            case "level":
                return await self.level(step["level"])
            case "pause":
                await asyncio.sleep(step.get("ms", QUIET_MILLISECONDS) / 1000)
            case "answer":
                self.diary.elicitation = step.get("elicitation", self.diary.elicitation)
                self.diary.sampling = list(step.get("sampling", self.diary.sampling))
            case "roots":
                self.diary.roots = step["uris"]
                await self.tell_roots()
            case "list":
                return {"names": await self.list_until(step["method"], [step["until"]] if "until" in step else [], HEAR_SECONDS_MAX)}
        return None

    async def part(self, part: dict) -> dict:
        self.diary.heard.clear()
        steps: list[dict] = []

        async def all_steps() -> None:
            for step in part["steps"]:
                try:
                    outcome = await self.step(step)
                except Exception as error:
                    outcome = {"fault": f"{type(error).__name__}: {error}"}
                steps.append({"outcome": outcome, "events": self.diary.events[:]})
                self.diary.events.clear()

        fault = None
        try:
            await asyncio.wait_for(all_steps(), PART_SECONDS_MAX)
        except asyncio.TimeoutError:
            fault = "the part took too long"
        return {"name": part["name"], "steps": steps, "heard": [method for method, _ in self.diary.heard], "fault": fault}

    async def carried_out(self, target: dict) -> None:
        """Takes all steps and prints the report; what a broken connection leaves of it is printed by `main`."""
        tools = await self.list_until("tools/list", target["ready"], READY_SECONDS_MAX)
        start = self.diary.events[:]
        self.diary.events.clear()
        REPORT.update({"negotiated": self.negotiated, "tools": tools, "start": start, "parts": []})
        for part in target["parts"]:
            REPORT["parts"].append(await self.part(part))
        print(json.dumps(REPORT), flush=True)
        # Where the server died, an SDK may wait for it for ever.
        leave = threading.Timer(LEAVE_SECONDS_MAX, os._exit, [0])
        leave.daemon = True
        leave.start()


def main(run) -> None:
    """Runs `run(target)`, which prints its report by `carried_out`; what breaks off before is told in its place."""
    try:
        asyncio.run(run(json.load(sys.stdin)))
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        traceback.print_exception(error)
        print(json.dumps(REPORT or {"fault": f"{type(error).__name__}: {error}"}), flush=True)
