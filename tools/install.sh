#!/bin/sh
# Install or upgrade Titik on this Debian machine, as root: install.sh server [--no-snapshot],
# install.sh agent or install.sh remove
#
# The program has an environment of its own in /opt/titik. A city's data is never touched: it is in
# /etc/titik and /var/lib/titik, and stays when the program goes.
set -eu
cd "$(dirname "$0")/.."
OPT=/opt/titik
BIN=/usr/local/bin
UNITS=/etc/systemd/system
STORE=/var/lib/titik/store
CITY=/etc/titik/titik.toml
FLAG=${2:-}

if [ "$(id -u)" -ne 0 ]; then
    echo "run it as root; README.md has the lines for an environment of your own" >&2
    exit 1
fi

# systemd, if it is what runs this machine: not in a container that is being built.
manage() {
    [ ! -d /run/systemd/system ] || systemctl "$@"
}

need() {
    sh tools/need.sh python-venv
    [ "$1" = server ] || return 0
    had=$(command -v mosquitto || true)
    sh tools/need.sh mosquitto mosquitto_sub
    # Titik starts a broker of its own, and two cannot have one port.
    [ -n "$had" ] || systemctl disable --now mosquitto.service 2>/dev/null || true
}

make_user() {
    for user in titik titik-web titik-notify; do
        getent passwd "$user" >/dev/null ||
            useradd --system --user-group --no-create-home --home-dir /var/lib/titik \
                --shell /usr/sbin/nologin "$user"
    done
}

# By the new program, aside: without room for it, the whole version before goes on.
keep_snapshot() {
    [ -e "$CITY" ] || return 0
    rm -rf "$OPT.new"
    "$OPT/bin/python" -m pip install -q --disable-pip-version-check --target "$OPT.new" "$copy$what"
    PYTHONPATH=$OPT.new "$OPT/bin/python" -m titik_collector upgrade --config "$CITY" \
        ${FLAG:+"$FLAG"} || {
        echo "nothing is replaced; to upgrade without a snapshot: systemctl stop titik-collector;" \
            "make install ARGS=--no-snapshot; systemctl start titik-collector" >&2
        exit 1
    }
    rm -rf "$OPT.new"
}

make_program() {
    case $1 in
        server)
            extras=server,notify
            ! grep -qs '^ *url *=' "$CITY" || extras=$extras,postgres
            ! grep -qs '^ *recipient *=' "$CITY" || extras=$extras,backup
            [ ! -e "${CITY%/*}/litestream.yml" ] || extras=$extras,litestream
            what="[$extras]"
            ;;
        *) what= ;;
    esac
    # An environment of another Python, as after an upgrade of Debian, is made again.
    "$OPT/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$OPT"
    # From a copy: a build leaves files behind, and the clone may be somebody else's.
    copy=$(mktemp -d)
    trap 'rm -rf "$copy" "$OPT.new"' EXIT
    cp -R pyproject.toml setup.py README.md LICENSE agent broker "$copy"
    [ "$1" != server ] || keep_snapshot
    "$OPT/bin/python" -m pip install -q --disable-pip-version-check "$copy$what"
    chmod -R go+rX "$OPT"
    ln -sf "$OPT/bin/titik-agent" "$BIN/titik-agent"
    [ "$1" != server ] || ln -sf "$OPT/bin/titik" "$BIN/titik"
}

make_places() {
    install -d -m 755 /etc/titik
    [ "$1" = server ] || return 0
    install -d -m 755 /var/lib/titik
    [ -d "$STORE" ] || install -d -o titik -g titik -m 750 "$STORE"
}

make_unit() {
    install -D -m 644 deploy/linux/titik-agent.service "$UNITS/titik-agent.service"
    manage daemon-reload
    manage try-restart titik-collector.service titik-web.service titik-notify.service titik-agent.service
}

# A city whose units are of an earlier version gets those that are new.
add_units() {
    timer=$UNITS/titik-backup.timer
    [ -e "$CITY" ] && [ -L "$timer" ] || return 0
    new=
    for unit in titik-backup-verify.timer titik-litestream.service; do
        [ -e "$UNITS/$unit" ] || new="$new $unit"
    done
    [ -n "$new" ] || return 0
    folder=$(dirname "$(readlink -f "$timer")")
    broker=${folder%/systemd}
    "$BIN/titik" broker init "$broker" --config "$CITY" >/dev/null || true
    for unit in $new; do
        if [ -e "$folder/$unit" ]; then
            systemctl link "$folder/${unit%.*}".*
            systemctl enable "$unit"
            manage daemon-reload
            manage start "$unit"
        elif [ "$unit" = titik-backup-verify.timer ]; then
            echo "for a weekly look into a backup: titik broker init $broker --config $CITY" >&2
        fi
    done
}

remove() {
    for unit in "$UNITS"/titik-*; do
        [ -e "$unit" ] || [ -L "$unit" ] || continue
        systemctl disable --now "${unit##*/}" 2>/dev/null || true
        rm -f "$unit"
    done
    manage daemon-reload
    rm -f "$BIN/titik" "$BIN/titik-agent"
    rm -rf "$OPT"
    echo "removed; /etc/titik, /var/lib/titik* and the user titik stay"
}

case ${1:-} in
    server | agent)
        umask 022
        need "$1"
        make_user
        make_program "$1"
        make_places "$1"
        make_unit
        [ "$1" != server ] || add_units
        ;;
    remove) remove ;;
    *)
        echo "use: install.sh server, agent or remove" >&2
        exit 2
        ;;
esac
case $1 in
    server)
        echo "installed; next, with your city in /etc/titik/titik.toml:"
        echo "  titik broker init /var/lib/titik/broker --host NAME --config /etc/titik/titik.toml"
        ;;
    agent) echo "installed; next: run this machine's file NAME.sh of \`titik router add NAME\`" ;;
esac
