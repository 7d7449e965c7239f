"""Comparing: what a server said directly against what it said through Braid, token by token.

Texts are compared as streams of tokens, so digits, escapes and member order count and white space does not. Names and
URIs of the direct side are first put into the form in which Braid exposes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from expect import Masks, Place, Rules, as_task, own_unknown_name
from raw import CARRIED
from record import LISTS, Done, Record
from spans import clip, dense, differences, parse

LIST_KINDS = {"tools/list": "tools", "resources/list": "resources", "resources/templates/list": "templates", "prompts/list": "prompts"}
KINDS = [*LIST_KINDS.values(), "call", "tool error", "prompt", "read", "complete", "error", "unknown", "progress", "ask", "update", "cancel", "other", "session"]


@dataclass
class Verdict:
    """One comparison: equal, equal by a rule, or different."""

    server: str
    revision: str
    kind: str
    label: str
    equal: bool
    rules: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    id_text: str = ""


class Comparison:
    def __init__(self, rules: Rules | None = None, masks: Masks | None = None):
        self.rules = rules or Rules()
        self.masks = masks or Masks()

    def records(self, left: Record, right: Record, other_era: Record | None = None) -> list[Verdict]:
        """All verdicts on one server. `other_era` is what it says in 2026-07-28, which Braid may speak with it; what the
        client's own revision cannot carry is gone from that too."""
        verdicts = self._verdicts(left, right)
        if other_era is None or all(verdict.equal for verdict in verdicts):
            return verdicts
        modern = {(v.kind, v.label): v for v in self._verdicts(replace(other_era, revision=left.revision), right)}
        for verdict in verdicts:
            twin = modern.get((verdict.kind, verdict.label))
            if not verdict.equal and twin is not None and twin.equal:
                verdict.equal, verdict.rules, verdict.details = True, [*twin.rules, "other_era"], []
        return verdicts

    def _verdicts(self, left: Record, right: Record) -> list[Verdict]:
        verdicts = [self._list(method, left, right) for method in LISTS if method in left.lists or method in right.lists]
        for index, done in enumerate(left.steps):
            other = right.steps[index] if index < len(right.steps) else None
            verdicts.append(self._step(done, other, left, right))
        faults = [f"direct: {fault}" for fault in left.faults] + right.faults
        if faults:
            verdicts.append(Verdict(left.key, left.revision, "session", "session", False, details=faults[:10]))
        return verdicts

    def _list(self, method: str, left: Record, right: Record) -> Verdict:
        verdict = Verdict(left.key, left.revision, LIST_KINDS[method], method, True)
        member = LISTS[method]
        mine, theirs = left.lists.get(method, []), right.lists.get(method, [])
        if not CARRIED["asks"] and right.exposure.key:
            absent = [f'"{name}"' for name in CARRIED["needs_asks"].get(left.key, [])]
            named = lambda item: (node := parse(item).get("name")) and node.text
            mine = [item for item in mine if named(item) not in absent]
        if len(mine) != len(theirs):
            verdict.equal = False
            verdict.details.append(f"{len(mine)} items directly, {len(theirs)} through Braid")
        for index, (a, b) in enumerate(zip(mine, theirs)):
            # Wrapped as in a result, so that the places of names and URIs are found.
            expected = right.exposure.result(method, f'{{"{member}":[{a}]}}')
            inner = parse(expected).get(member, 0).text
            place = Place(left.key, left.revision, f"item {index}", method, "item")
            self._texts(place, inner, b, left, right, verdict)
        return verdict

    def _step(self, mine: Done, theirs: Done | None, left: Record, right: Record) -> Verdict:
        step = mine.step
        verdict = Verdict(left.key, left.revision, step.kind, step.label, True)
        if theirs is None:
            verdict.equal = False
            verdict.details.append("not reached")
            return verdict
        verdict.id_text = theirs.id_text
        if step.kind == "unknown" and right.exposure.key and theirs.answer and self.rules.on("unknown_name", left.revision):
            if own_unknown_name(theirs.answer.kind, theirs.answer.text):
                verdict.rules.append("unknown_name")
                return verdict
        if right.exposure.key and self.rules.on("as_task", left.revision) and as_task(mine.aspects.get("result"), theirs.aspects.get("result")):
            verdict.rules.append("as_task")
            return verdict
        if list(mine.aspects) != caused(mine, theirs):
            verdict.equal = False
            verdict.details.append(f"directly {summary(mine)}, through Braid {summary(theirs)}")
        for aspect, text in mine.aspects.items():
            if aspect in theirs.aspects:
                method = place_method(step.method, aspect)
                place = Place(left.key, left.revision, step.label, method, aspect)
                self._texts(place, right.exposure.result(method, text), theirs.aspects[aspect], left, right, verdict)
        return verdict

    def _texts(self, place: Place, expected: str, seen: str, left: Record, right: Record, verdict: Verdict) -> None:
        if right.exposure.key:
            expected, used = self.rules.adapt(place, expected, seen, "must")
            verdict.rules += [rule for rule in used if rule not in verdict.rules]
        if expected == seen:
            return
        for side in (left, right):
            expected, seen = (text.replace(str(side.work.parent), "@RUN@") for text in (expected, seen))
        expected, seen = self.masks.apply(place, expected), self.masks.apply(place, seen)
        if dense(parse(expected)) == dense(parse(seen)):
            return
        expected, used = self.rules.adapt(place, expected, seen, "may")
        a, b = parse(expected), parse(seen)
        if dense(a) == dense(b):
            verdict.rules += [rule for rule in used if rule not in verdict.rules]
            return
        verdict.equal = False
        verdict.details += [f"{place.step}, {place.aspect}: {difference}" for difference in differences(a, b)]


def caused(mine: Done, theirs: Done) -> list[str]:
    """What came through Braid because of a step. Roots may be asked for at any time: where the call itself does not lead to
    that directly, it was not this call that did."""
    of_roots = lambda name: name.startswith("ask roots/list")
    leads = any(map(of_roots, mine.aspects))
    return [name for name in theirs.aspects if leads or not of_roots(name)]


def summary(done: Done) -> str:
    """The aspects of a step in few words, with the start of the answer."""
    names = [re.sub(r" #\d+$", "", name) for name in done.aspects]
    counted = [f"{name} x{names.count(name)}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
    answer = done.aspects.get("error") or done.aspects.get("silence") or ""
    return f"[{', '.join(counted)}] {clip(answer, 300)}".strip()


def place_method(method: str, aspect: str) -> str:
    """Which message an aspect's text comes from."""
    name = aspect.split(" #")[0]
    if name == "error":
        return "error"
    if name.startswith(("ask ", "note ")):
        return name.split(" ", 1)[1]
    return method if name == "result" else name


def table(verdicts: list[Verdict]) -> str:
    """Server × revision × kind: how many were equal, `*` by a rule, `!n` different."""
    kinds = [kind for kind in KINDS if any(v.kind == kind for v in verdicts)]
    rows = [["server", "revision", *kinds]]
    for key in dict.fromkeys((v.server, v.revision) for v in verdicts):
        row = list(key)
        for kind in kinds:
            cell = [v for v in verdicts if (v.server, v.revision, v.kind) == (*key, kind)]
            wrong = sum(not v.equal for v in cell)
            ruled = sum(bool(v.rules) and v.equal for v in cell)
            row.append("" if not cell else f"{len(cell) - wrong}{'*' if ruled else ''}{f' !{wrong}' if wrong else ''}")
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
