#!/bin/sh
# Run two commands at a time: beside.sh SECONDS LOG BEHIND FRONT
# BEHIND has so many seconds; what it printed is shown when both have ended. A signal interrupts both.
# The status is that of BEHIND if it failed, else that of FRONT.
set -u

# Each has a group of its own, so that an interruption reaches all of it.
timeout -s INT -k 60 "$1" sh -c "$3" >"$2" 2>&1 &
behind=$!
timeout -s INT -k 60 0 sh -c "$4" &
front=$!
trap 'kill -INT "$behind" "$front" 2>/dev/null; wait; cat "$2"; exit 130' INT TERM
wait "$front"
front=$?
wait "$behind"
behind=$?
cat "$2"
[ "$behind" -ne 124 ] || echo "ended after $1 s: $3" >&2
[ "$behind" -ne 0 ] || exit "$front"
exit "$behind"
