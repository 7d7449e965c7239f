#!/usr/bin/env python3
"""A `headers_command`: writes down what it was given, as server.py does, and prints the headers of a file.

    printer.py FOLDER FILE [...]    with --fails it says on stderr that it does, and prints the file all the same
"""

import sys
from pathlib import Path

for what in ("environ", "cmdline"):
    with open(Path(sys.argv[1]) / f"printer.{what}", "ab") as file:
        file.write(Path(f"/proc/self/{what}").read_bytes() + b"\n")
print(Path(sys.argv[2]).read_text())
if "--fails" in sys.argv:
    sys.exit("no headers today")
