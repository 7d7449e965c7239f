"""A tap on a server's wire: runs a server, passes both directions on as they are, and keeps every line in a file.

Lines to the server are kept with `>` before them, lines from it with `<`. It shows what a server heard where the server
itself does not tell: that a cancelled call was cancelled there, under the id that the server knows.

    tap.py FILE COMMAND...
"""

import subprocess
import sys
import threading


def main() -> int:
    record = open(sys.argv[1], "ab", buffering=0)
    server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def to_server() -> None:
        try:
            for line in iter(sys.stdin.buffer.readline, b""):
                record.write(b"> " + line)
                server.stdin.write(line)
                server.stdin.flush()
            server.stdin.close()
        except OSError:
            pass

    threading.Thread(target=to_server, daemon=True).start()
    for line in iter(server.stdout.readline, b""):
        record.write(b"< " + line)
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except OSError:
            break
    return server.wait()


if __name__ == "__main__":
    code = main()
    # The reader of stdin may be waiting still; nothing of it is worth the interpreter's goodbye.
    sys.stdout.flush()
    import os

    os._exit(code & 0xFF)
