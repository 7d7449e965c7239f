#!/usr/bin/env bash
# Installs the proxies that Braid is measured beside under target/bench-peers: one program, one Python environment, one
# node_modules. Everything is pinned (below, requirements.txt, package-lock.json) and fetched by name. Running it again costs
# nothing while the pins are unchanged. nginx is the system's: `apt-get install nginx-light`.
set -euo pipefail

# With its own lock, as its makers built it.
mcp_proxy=0.6.0

here=$(cd "$(dirname "$0")" && pwd)
home=${BENCH_PEERS:-$here/../../target/bench-peers}
mkdir -p "$home"
home=$(cd "$home" && pwd)

fresh() { # NAME PINS: true when NAME was installed from exactly these pins
    [ -f "$home/$1/.stamp" ] && [ "$(cat "$home/$1/.stamp")" = "$2" ]
}

cargo_peer() {
    if fresh cargo "$mcp_proxy"; then
        echo "mcp-proxy: present"
        return
    fi
    CARGO_TARGET_DIR=$home/cargo-target cargo install --quiet --locked --root "$home/cargo" --version "$mcp_proxy" mcp-proxy
    rm -rf "$home/cargo-target"
    echo "$mcp_proxy" > "$home/cargo/.stamp"
    echo "mcp-proxy: installed"
}

python_peer() {
    local pins
    pins=$(cksum < "$here/requirements.txt")
    if fresh python "$pins"; then
        echo "fastmcp: present"
        return
    fi
    rm -rf "$home/python"
    "${PYTHON:-python3}" -m venv "$home/python"
    "$home/python/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    echo "$pins" > "$home/python/.stamp"
    echo "fastmcp: installed"
}

node_peer() {
    local pins
    pins=$(cat "$here/package.json" "$here/package-lock.json" "$here/.npmrc" | cksum)
    if fresh node "$pins"; then
        echo "mcp-hub: present"
        return
    fi
    mkdir -p "$home/node"
    rm -f "$home/node/.stamp"
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$home/node/"
    (cd "$home/node" && npm ci --ignore-scripts --loglevel=error > /dev/null)
    echo "$pins" > "$home/node/.stamp"
    echo "mcp-hub: installed"
}

# One that cannot be installed here is left out, and the others are measured.
for peer in ${*:-cargo_peer python_peer node_peer}; do
    # In a shell of its own, or `set -e` would not hold within.
    (set -e; "$peer") || echo "$peer: not installed" >&2
done
