#!/usr/bin/env bash
# Installs the peers of the interop run under target/interop: two Python environments and one node_modules.
# Everything is pinned (requirements*.txt, package-lock.json) and fetched by name. Running it again costs nothing
# while the pins are unchanged: each part leaves a stamp with their checksum and is rebuilt only when it differs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
home=${INTEROP_HOME:-$here/../../target/interop}
mkdir -p "$home"
home=$(cd "$home" && pwd)

fresh() { # NAME FILE...: true when NAME was installed from exactly these files
    local name=$1
    shift
    [ -f "$home/$name/.stamp" ] && [ "$(cat "$home/$name/.stamp")" = "$(cat "$@" | cksum)" ]
}

stamp() { # NAME FILE...
    local name=$1
    shift
    cat "$@" | cksum > "$home/$name/.stamp"
}

python_env() { # NAME REQUIREMENTS
    local name=$1 pins=$here/$2 base=${PYTHON:-python3}
    if fresh "$name" "$pins"; then
        echo "$name: present"
        return
    fi
    rm -rf "${home:?}/$name"
    # Some systems ship Python without venv or without ensurepip: then a plain folder of packages must do.
    if "$base" -c 'import ensurepip, venv' 2>/dev/null && "$base" -m venv "$home/$name" 2>/dev/null; then
        "$home/$name/bin/python" -m pip install --quiet --disable-pip-version-check -r "$pins"
    else
        rm -rf "${home:?}/$name"
        mkdir -p "$home/$name/bin"
        "$base" -m pip install --quiet --disable-pip-version-check --target "$home/$name/site" -r "$pins"
        printf '#!/bin/sh\nPYTHONPATH=%q exec %q "$@"\n' "$home/$name/site" "$(command -v "$base")" > "$home/$name/bin/python"
        chmod +x "$home/$name/bin/python"
    fi
    stamp "$name" "$pins"
    echo "$name: installed from $2"
}

node_env() {
    local pins=("$here/package.json" "$here/package-lock.json" "$here/.npmrc")
    if fresh node "${pins[@]}"; then
        echo "node: present"
        return
    fi
    mkdir -p "$home/node"
    rm -f "$home/node/.stamp"
    cp "${pins[@]}" "$home/node/"
    # Nothing here needs an install script, and the Inspector's would only look for a source checkout.
    (cd "$home/node" && npm ci --ignore-scripts --loglevel=error >/dev/null)
    stamp node "${pins[@]}"
    echo "node: installed from package-lock.json"
}

python_env py1 requirements.txt
python_env py2 requirements-v2.txt
node_env
