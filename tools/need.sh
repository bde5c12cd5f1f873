#!/bin/sh
# Install the Debian packages behind the commands named, if any is missing: need.sh COMMAND...
# Root installs; anybody else gets the one line to run.
set -eu
PATH="$PATH:/usr/sbin:/sbin"

missing=
for name in "$@"; do
    case "$name" in
        python-venv)
            python3 -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null ||
                missing="$missing python3 python3-venv"
            continue ;;
        postgres)  # Debian keeps the server's programs out of PATH, a folder for each version
            newest=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | cut -d/ -f5 | sort -n | tail -n 1)
            [ "${newest:-0}" -ge 15 ] || missing="$missing postgresql-15"
            continue ;;
        busybox-static)  # the dynamic one does not run in a bare root directory
            [ -e /usr/share/doc/busybox-static ] || missing="$missing busybox-static"
            continue ;;
        pango)  # draws the text of a PDF
            [ -n "$(find /usr/lib /lib -name 'libpangoft2-1.0.so.0' 2>/dev/null | head -n 1)" ] ||
                missing="$missing libpangoft2-1.0-0 fonts-dejavu-core"
            continue ;;
        mosquitto_*) package=mosquitto-clients ;;
        collectd) package=collectd-core ;;
        etcd) package=etcd-server ;;
        promtool) package=prometheus ;;
        amtool) package=prometheus-alertmanager ;;
        influxd) package=influxdb ;;
        node) package=nodejs ;;
        ip) package=iproute2 ;;
        ssh) package=openssh-client ;;
        sshd) package=openssh-server ;;
        nft) package=nftables ;;
        qemu-system-x86_64) package=qemu-system-x86 ;;
        wpa_supplicant) package=wpasupplicant ;;
        depmod) package=kmod ;;
        systemd-analyze) package=systemd ;;
        qemu-*-static) package=qemu-user-static ;;
        *) package=$name ;;
    esac
    command -v "$name" >/dev/null || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "missing; install with: sudo apt-get install$missing" >&2
    exit 1
fi
echo "installing$missing"
log=$(mktemp)
# A private broker is started when wanted; Debian's own need not start with the package.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=1; }
# The same of a database: its package makes a cluster unless this file is there before it.
clusters=/etc/postgresql-common/createcluster.conf
case "$missing" in
    *postgresql*)
        [ -e "$clusters" ] || { mkdir -p "${clusters%/*}" && echo 'create_main_cluster = false' >"$clusters"; } ;;
esac
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # words on purpose
{ apt-get update -q && apt-get -o DPkg::Lock::Timeout=120 install -qy --no-install-recommends $missing; } >"$log" 2>&1 ||
    failed=1
[ -z "${made:-}" ] || rm -f "$policy"
[ -z "${failed:-}" ] || { tail -n 20 "$log" >&2; exit 1; }
rm -f "$log"
