#!/bin/sh
# Python 3.13, which OpenWrt 25.12 has, where this machine has none: Debian 13's, unpacked below
# ~/.cache and bound to the C library it came with. Nothing is installed.
set -eu
dir="${XDG_CACHE_HOME:-$HOME/.cache}/titik-python3.13"
python="$dir/usr/bin/python3.13"

usable() {
    "$1" -c 'import ensurepip, ssl, sqlite3, sys; assert sys.version_info[:2] == (3, 13)' 2>/dev/null
}

for one in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13 "$python"; do
    if usable "$one"; then
        exit 0
    fi
done

sh "$(dirname "$0")/need.sh" mmdebstrap patchelf
echo "unpacking Python 3.13 into $dir"
rm -rf "$dir"
mkdir -p "$(dirname "$dir")"
mmdebstrap --quiet --variant=extract --include=python3.13-venv trixie "$dir"
libraries=$(dirname "$dir"/usr/lib/*/libc.so.6)
patchelf --force-rpath --set-rpath "$libraries" \
    --set-interpreter "$(echo "$libraries"/ld-linux*)" "$python"
# Debian's ensurepip looks for its wheels where they are on a Debian 13.
grep -rl --include='*.py' /usr/share/python-wheels "$dir/usr/lib/python3.13" |
    xargs sed -i "s#/usr/share/python-wheels#$dir/usr/share/python-wheels#g"
usable "$python" || {
    echo "Python 3.13 was unpacked into $dir and does not run" >&2
    exit 1
}
