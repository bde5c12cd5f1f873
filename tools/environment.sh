#!/bin/sh
# Install this checkout, editable, into an environment of its own: environment.sh DIR demo|cell|dev
set -eu
dir=$1
case "$2" in
    demo) extras=server,probe ;;
    cell) extras=server,postgres ;;
    dev) extras=server,notify,backup,postgres,probe,report,dev ;;
esac

# Two of make at once: the second waits for the first, and finds it done.
mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
! command -v flock >/dev/null || flock 9
if [ -e "$dir/.$2" ] && [ -z "$(find pyproject.toml setup.py -newer "$dir/.$2")" ]; then
    exit 0
fi

usable() {
    "$1" -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null
}

find_python() {
    for one in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if usable "$one"; then
            echo "$one"
            return
        fi
    done
    return 1
}

if ! usable "$dir/bin/python"; then
    python=$(find_python) || { sh "$(dirname "$0")/need.sh" python-venv; python=$(find_python); } ||
        { echo "Python 3.11 or newer is needed" >&2; exit 1; }
    "$python" -m venv --clear "$dir"
fi
echo "preparing Python's packages in $dir ($extras); the first time a minute or two"
"$dir/bin/python" -m pip install -q --disable-pip-version-check -e ".[$extras]"
touch "$dir/.$2"
