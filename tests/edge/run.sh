#!/usr/bin/env bash
# The HTTP side as clients meet it: odd requests, README's own commands, nginx, floods, and a
# configuration that changes. About a minute; needs the program
# (`cargo build`), Python 3, curl and nginx.
set -euo pipefail
cd "$(dirname "$0")/../.."

python3 tests/edge/table.py
python3 tests/edge/readme.py
python3 tests/edge/nginx.py
python3 tests/edge/top.py
python3 tests/edge/floods.py
python3 tests/edge/reloads.py --reloads 20 --broken 30 --clients 8
