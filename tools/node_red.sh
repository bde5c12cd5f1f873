#!/bin/sh
# Node-RED for its test: the release and all packages that tests/integrations/node-red/package-lock.json
# names, below ~/.cache. Prints the folder that has node_modules; 120 MB, fetched once.
set -eu
locked="$(dirname "$0")/../tests/integrations/node-red"
dir="${XDG_CACHE_HOME:-$HOME/.cache}/titik-node-red"

if ! cmp -s "$locked/package-lock.json" "$dir/package-lock.json" || [ ! -e "$dir/complete" ]; then
    sh "$(dirname "$0")/need.sh" node npm >&2
    rm -rf "$dir"
    mkdir -p "$dir"
    cp "$locked/package.json" "$locked/package-lock.json" "$dir"
    npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    touch "$dir/complete"
fi
echo "$dir"
