#!/bin/bash
# Runs one command in a throw-away virtual machine that has a real Wi-Fi stack.
#
#   lab.sh setup                                 once, as root: packages, kernel, initramfs
#   lab.sh [-t SECONDS] [-m MIB] [-n] [-c] -o DIR CMD... in the machine, as root, in this directory
#
# The machine sees this one's files, read-only, so CMD may be anything that is installed here. What
# CMD writes to /lab-out is in DIR; all else it writes is gone. Its output is streamed, its status
# is ours; 124: out of time; 125: the machine died. -n: it has a network card, eth0, behind which
# 10.0.2.2 is this one's loopback. -c: where it is emulated, its clock counts its instructions, two
# nanoseconds each, so that it is as fast by its own clock however busy this machine is.
#
# Kernel and initramfs are kept in LAB_STATE. LAB_ACCEL is kvm or tcg; found if not set.
# shellcheck disable=SC2015 # after `A && B || die`, die may run for either
set -u
HERE=$(dirname "$(readlink -f "$0")")
LAB_STATE=${LAB_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/titik-lab}
CARDS='wireless/mac80211_hwsim veth ifb virtio_net net_failover macvlan tun bonding/bonding
  wireguard/wireguard ppp/ppp_generic ppp/pppox ppp/pppoe slip/slhc' # below drivers/net

die() {
  echo "lab: $*" >&2
  exit 125
}

setup() {
  mkdir -p "$LAB_STATE" || die "cannot write $LAB_STATE"
  exec 9>"$LAB_STATE/lock"
  flock 9
  sh "$HERE/../../tools/need.sh" qemu-system-x86_64 busybox cpio depmod ip iw hostapd \
    wpa_supplicant dnsmasq || die "programs missing"
  [ "$(cat "$LAB_STATE/kernel/unpacked" 2>/dev/null)" = "$CARDS" ] || unpack_kernel
  build_initramfs
}

# The distribution's kernel is unpacked, not installed, and of its modules only what a Wi-Fi needs.
unpack_kernel() {
  local new="$LAB_STATE/kernel.new" name version card
  apt-get -q update >"$LAB_STATE/apt.log" 2>&1 # lists that are too old name packages that are gone
  name=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -1)
  rm -rf "$new" && mkdir -p "$new" || die "cannot write $new"
  (cd "$new" && apt-get -q download "${name:-linux-image-amd64}") >>"$LAB_STATE/apt.log" 2>&1 ||
    die "no kernel package, see $LAB_STATE/apt.log"
  local modules='./lib/modules/*/kernel' cards=()
  for card in $CARDS; do cards+=("$modules/drivers/net/$card.ko*"); done
  dpkg-deb --fsys-tarfile "$new"/*.deb | tar -C "$new" -x --wildcards './boot/*' \
    './lib/modules/*/modules.*' "$modules/net/*" "$modules/crypto/*" "$modules/arch/x86/crypto/*" \
    "$modules/lib/*" "$modules/fs/9p/*" "$modules/fs/fscache/*" "$modules/fs/netfs/*" \
    "$modules/fs/overlayfs/*" "$modules/drivers/virtio/*" "$modules/drivers/char/virtio_console.ko*" \
    "${cards[@]}" 2>/dev/null # some are built in elsewhere
  rm -f "$new"/*.deb
  version=$(ls "$new/lib/modules") && depmod -b "$new" "$version" || die "cannot unpack $name"
  echo "$CARDS" >"$new/unpacked"
  rm -rf "$LAB_STATE/kernel" && mv "$new" "$LAB_STATE/kernel"
}

# Enough to reach the files of this machine: busybox, the modules for that, and guest-init.
build_initramfs() {
  local root module file
  root=$(mktemp -d) && mkdir -p "$root/bin" "$root/modules" || die "no temporary directory"
  cp "$(command -v busybox)" "$root/bin/busybox" && cp "$HERE/guest-init" "$root/init" || die "no busybox"
  for file in $(ldd "$root/bin/busybox" 2>/dev/null | grep -o '/[^ ]*'); do cp --parents "$file" "$root"; done
  for module in virtio_pci virtio_console 9pnet_virtio 9p overlay; do
    modprobe -d "$LAB_STATE/kernel" -S "$(kernel_version)" --show-depends $module
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
    cp "$file" "$root/modules/" && basename "$file" >>"$root/modules.list"
  done
  (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$LAB_STATE/initramfs.new" &&
    mv "$LAB_STATE/initramfs.new" "$LAB_STATE/initramfs"
  rm -rf "$root"
}

kernel_version() {
  ls "$LAB_STATE/kernel/lib/modules"
}

accelerator() {
  # A /dev/kvm without the processor's virtualisation below it cannot run a stock kernel.
  if [ -n "${LAB_ACCEL:-}" ]; then
    echo "$LAB_ACCEL"
  elif [ -w /dev/kvm ] && { [ -e /sys/module/kvm_intel ] || [ -e /sys/module/kvm_amd ]; }; then
    echo kvm
  else
    echo tcg
  fi
}

run() {
  local out=$1 seconds=$2 memory=$3 network=$4 clock=$5 speed=thread=multi hardware
  shift 5
  [ -z "$clock" ] || speed=thread=single # what counts cannot be done by several at a time
  [ -s "$LAB_STATE/initramfs" ] || die "first: $0 setup"
  mkdir -p "$out" && out=$(readlink -f "$out") || die "cannot write $out"
  rm -f "$out/.status"
  {
    printf 'cd %q\n' "$PWD"
    printf '%q ' "$@"
  } >"$out/.command"
  case $(accelerator) in
    kvm) hardware="-accel kvm -cpu host" ;;
    *) hardware="-accel tcg,$speed,tb-size=256 -cpu qemu64 $clock" ;;
  esac
  # shellcheck disable=SC2086 # words on purpose
  timeout -k 5 "$seconds" qemu-system-x86_64 $hardware -machine q35 -m "$memory" \
    -nodefaults -no-user-config $network -display none -no-reboot \
    -kernel "$LAB_STATE/kernel/boot/vmlinuz-$(kernel_version)" -initrd "$LAB_STATE/initramfs" \
    -append "console=ttyS0 quiet loglevel=4 panic=1 oops=panic random.trust_cpu=1 mitigations=off \
lab.modules=$LAB_STATE/kernel/lib/modules lab.stage2=$HERE/guest-stage2" \
    -serial "file:$out/.console" -device virtio-serial-pci \
    -chardev file,id=o,path=/dev/fd/1,append=on -device virtserialport,chardev=o,name=lab.out \
    -fsdev "local,id=r,path=/,security_model=none,readonly=on,multidevs=remap" \
    -device virtio-9p-pci,fsdev=r,mount_tag=hostroot \
    -fsdev "local,id=w,path=$out,security_model=none" \
    -device virtio-9p-pci,fsdev=w,mount_tag=labout </dev/null | cat
  local status=${PIPESTATUS[0]}
  [ "$status" = 124 ] || status=$(cat "$out/.status" 2>/dev/null || echo 125)
  [ "$status" -lt 124 ] || tail -n 25 "$out/.console" >&2
  return "$status"
}

out='' seconds=300 memory=512 network='' clock=''
[ "${1:-}" != setup ] || { setup && exit 0; }
while getopts o:t:m:nc option; do
  case $option in
    o) out=$OPTARG ;;
    t) seconds=$OPTARG ;;
    m) memory=$OPTARG ;;
    n) network='-nic user,model=virtio' ;;
    c) clock='-icount shift=1,align=off,sleep=on' ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ -n "$out" ] && [ $# -gt 0 ] || { sed -n '2,13s/^# \?//p' "$0" && exit 2; }
run "$out" "$seconds" "$memory" "$network" "$clock" "$@"
