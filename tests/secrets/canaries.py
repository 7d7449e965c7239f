"""Canaries: values that stand for secrets, and every form in which a piece of one could show.

A `Slot` is a place that may hold a secret; each has two values of its own, one that must be escaped nearly everywhere and one that never need be.
A `Hunt` finds pieces of them in bytes. What it says of a find is the slot and the form, never a value.
"""

from __future__ import annotations

import base64
import json
import random
import re
import string
from dataclasses import dataclass, field
from urllib.parse import quote

# A piece of so many characters is a find: what is cut short is found as well.
PIECE = 8
LETTERS = string.ascii_letters + string.digits
# Whatever a form may be made of: nothing else stands within one.
RUN = re.compile(rb"[A-Za-z0-9+/=%%_-]{%d,}" % PIECE)
# Bytes as a list of numbers, as Rust shows them.
NUMBERS = re.compile(rb"(?:\d{2,3}, ?){%d,}\d{2,3}" % (PIECE - 1))


# What all canaries are made of, so that a run can be made again; they guard nothing.
CHANCE = random.Random()


def word(length: int, of: str = LETTERS) -> str:
    return "".join(CHANCE.choice(of) for _ in range(length))


@dataclass
class Slot:
    name: str
    # The key of the table of settings, or where else it stands.
    where: str
    odd: str = field(default_factory=lambda: f"{word(14)}/{word(14)}+{word(14)}=", repr=False)
    # Letters alone: its place must tell what it is, as with a password, and not its form.
    plain: str = field(default_factory=lambda: word(32, string.ascii_letters), repr=False)

    @property
    def values(self) -> tuple[str, str]:
        return self.odd, self.plain


def every_byte(value: str, mark: str) -> str:
    return "".join(mark.format(byte) for byte in value.encode())


def aligned(value: str, encode) -> list[str]:
    """Base64 of what begins at each of the three places within a group, without what its neighbours have a part in."""
    found = []
    for before in range(3):
        text = encode(b"x" * before + value.encode() + b"xx").decode()
        found.append(text[-(-before * 4 // 3) : (before + len(value.encode())) * 4 // 3])
    return found


def forms(value: str) -> dict[str, list[tuple[str, int]]]:
    """Each form by its name: its texts, and how long a piece of it is."""
    percent, every = quote(value, safe=""), every_byte(value, "%{:02X}")
    return {
        "raw": [(value, PIECE)],
        "hex": [(value.encode().hex(), 2 * PIECE), (value.encode().hex().upper(), 2 * PIECE)],
        "base64": [(text, 12) for text in aligned(value, base64.b64encode)],
        "base64url": [(text, 12) for text in aligned(value, base64.urlsafe_b64encode)],
        "percent": [(text, PIECE) for text in (percent, re.sub("%..", lambda found: found[0].lower(), percent))],
        "percent of every byte": [(every, 3 * PIECE), (every.lower(), 3 * PIECE)],
        "percent twice": [(quote(percent, safe=""), PIECE), (quote(every, safe=""), 5 * PIECE)],
    }


# What `Hunt` finds without a text of its own: by the pieces between what is escaped, and by reading numbers.
WRITTEN_OTHERWISE = {
    "JSON": lambda value: json.dumps(value).replace("/", "\\/").replace("+", "\\u002b"),
    "numbers": lambda value: str(list(value.encode())),
    "cut": lambda value: value[3 : 3 + 12],
    "within": lambda value: f"Authorization:Bearer{value}.",
}


@dataclass(frozen=True)
class Find:
    slot: str
    form: str
    at: int


class Hunt:
    def __init__(self) -> None:
        self.pieces: dict[int, dict[bytes, tuple[str, str]]] = {}
        self.slots: list[str] = []
        self.known: dict[bytes, list[tuple[str, str, int]]] = {}

    def add(self, name: str, values) -> None:
        self.slots.append(name)
        self.known.clear()
        for value in values:
            for form, texts in forms(value).items():
                for text, length in texts:
                    pieces = self.pieces.setdefault(length, {})
                    for at in range(len(text) - length + 1):
                        pieces.setdefault(text[at : at + length].encode(), (name, form))

    def finds(self, data: bytes) -> list[Find]:
        found = []
        for run in RUN.finditer(data):
            if run[0] not in self.known:
                self.known[run[0]] = self.within(run[0])
            found += [Find(slot, form, run.start() + at) for slot, form, at in self.known[run[0]]]
        for listed in NUMBERS.finditer(data):
            text = bytes(number for number in map(int, listed[0].split(b",")) if number < 256)
            found += [Find(slot, "numbers", listed.start()) for slot, _, _ in self.within(text)]
        return found

    def within(self, text: bytes) -> list[tuple[str, str, int]]:
        """One find of each slot: more of the same say nothing more."""
        found: dict[str, tuple[str, str, int]] = {}
        for length, pieces in self.pieces.items():
            for at in range(len(text) - length + 1):
                hit = pieces.get(text[at : at + length])
                if hit and hit[0] not in found:
                    found[hit[0]] = (*hit, at)
        return list(found.values())


def selftest() -> list[str]:
    """What the hunt does not find of a canary that was put somewhere on purpose, or finds where nothing is."""
    hunt, slots = Hunt(), [Slot("planted", "-"), Slot("other", "-")]
    for slot in slots:
        hunt.add(slot.name, slot.values)
    missed, tried = [], 0
    around = word(2000)
    if hunt.finds(f"{around} {slots[0].odd[:PIECE - 1]} ".encode()):
        missed.append("something is found where nothing is")
    for value in slots[0].values:
        texts = [(form, text) for form, texts in forms(value).items() for text, _ in texts]
        texts += [(form, write(value)) for form, write in WRITTEN_OTHERWISE.items()]
        # Any piece of a form that is one and a half times as long as what is a find.
        texts += [(f"a piece, {form}", text[at : at + length * 3 // 2]) for form, all in forms(value).items() for text, length in all for at in (0, len(text) // 3, len(text) - length * 3 // 2)]
        for form, text in texts:
            tried += 1
            for before, after in (("", ""), ('{"a":"', '"}\n'), ("x", "x"), ("key=", "&b=1")):
                # Numbers and hex digits have no other letters beside them.
                joined = (" " if before == "x" and form == "numbers" else before) + text + after
                found = hunt.finds(f"{around}\n{joined}\n{around}".encode())
                if {find.slot for find in found} != {"planted"}:
                    missed.append(f"{form} between {before!r} and {after!r}")
    return missed + ([] if tried > 40 else ["too little was tried"])
