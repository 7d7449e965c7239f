#!/usr/bin/env bash
# Installs the peers of the identity run under target/identity: an authorization server and a browser's driver, pinned by
# package-lock.json. The browser itself is Debian's (`apt-get install chromium`). Running it again costs nothing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
home=${IDENTITY_HOME:-$here/../../target/identity}
mkdir -p "$home"
cp "$here"/package.json "$here"/package-lock.json "$here"/.npmrc "$here"/*.mjs "$home/"
sum=$(cat "$home/package.json" "$home/package-lock.json" | cksum)
if [ "$(cat "$home/.stamp" 2>/dev/null)" != "$sum" ]; then
    (cd "$home" && npm ci --ignore-scripts --loglevel=error >/dev/null)
    echo "$sum" > "$home/.stamp"
fi
echo "identity: present"
