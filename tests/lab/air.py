"""The air, in the machine: an access point of two radios, and the phones that use it.

Rule: what happens is asked of the kernel with `iw`; nothing here comes from the agent.

The access point is phy0 (2.4 GHz, channel 6) and phy1 (5 GHz, channel 36), each with the open
network and the WPA2 one; the phones are the other radios, each in a network namespace of its own,
with the real wpa_supplicant and udhcpc.
"""

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

SOCKETS = "/run/hostapd"
OPEN, OFFICE = "Kupang Smart City", "Kupang Office"
PASSPHRASE = "secretsecret"
BSSES = ("wlan0", "wlan0-1", "wlan1", "wlan1-1")  # open and office, of each radio
ADDRESS = "192.168.77.1"
LEASES = "/run/leases"
PATIENCE_S = 60.0  # emulated, on a machine that has other things to do
# A phone is not active after 60 s without a packet, and a sample must come in time to show it.
INACTIVE_S = 100  # hostapd lets a silent phone go after that, and up to 23 s more
HWSIM = "/sys/kernel/debug/ieee80211/{}/hwsim/{}"
PRIVATE_RULES = "regtest=5"  # hwsim's custom world: channel 36 may be used
DEAF_TO_AP = 2  # a group of radios that hear only each other
POWER_SAVE = 2  # wakes for what the beacon announces

_NAMESPACE = "phones"
_SUPPLICANT = "/run/wpa_supplicant"
_NETWORKS = f"""
ctrl_interface={_SUPPLICANT}
network={{
ssid="{OPEN}"
key_mgmt=NONE
scan_freq=2437 5180
disabled=1
}}
network={{
ssid="{OFFICE}"
psk="{PASSPHRASE}"
scan_freq=2437 5180
disabled=1
}}
"""
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def do(*command: str) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def write(path: str, text: str) -> str:
    with open(path, "w") as file:
        file.write(text)
    return path


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def boottime() -> float:
    """The clock that samples are taken by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wait_until(true: Callable[[], bool], what: str = "") -> bool:
    """False: it never was."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > end:
            print(f"never: {what}", flush=True)
            return False
        time.sleep(0.1)
    return True


def stations(ifname: str) -> dict[str, bool]:
    """Of each station that iw lists there, whether it is authorized."""
    return {mac: found["authorized"] == "yes" for mac, found in dump(ifname).items()}


def dump(ifname: str) -> dict[str, dict[str, str]]:
    """`iw dev X station dump`, by address; nothing if there is no such interface now."""
    command = ["iw", "dev", ifname, "station", "dump"]
    output = subprocess.run(command, check=False, text=True, capture_output=True).stdout
    found: dict[str, dict[str, str]] = {}
    for line in output.splitlines():
        if line.startswith("Station "):
            found[line.split()[1]] = {}
        else:
            name, _, value = line.partition(":")
            found[list(found)[-1]][name.strip()] = value.strip()
    return found


def counters(ifname: str) -> tuple[int, int]:
    """Bytes received and sent, as the kernel counts them; zeros if there is no such interface."""
    folder = f"/sys/class/net/{ifname}/statistics"
    if not os.path.exists(folder):
        return 0, 0
    return int(read(f"{folder}/rx_bytes")), int(read(f"{folder}/tx_bytes"))


class AccessPoint:
    """The real hostapd and dnsmasq, on br-lan."""

    def __init__(self) -> None:
        do("ip", "link", "add", "br-lan", "type", "bridge", "mcast_snooping", "0")
        do("ip", "addr", "add", f"{ADDRESS}/24", "dev", "br-lan")
        do("ip", "link", "set", "br-lan", "up")
        self._configs = [
            write("/run/hostapd-0.conf", _radio("wlan0", "hw_mode=g\nchannel=6")),
            write("/run/hostapd-1.conf", _radio("wlan1", "hw_mode=a\nchannel=36")),
        ]
        do(
            "dnsmasq", "--conf-file=/dev/null", "--interface=br-lan", "--bind-interfaces",
            "--port=0", "--dhcp-range=192.168.77.100,192.168.77.200,1h", "--no-ping",
            f"--dhcp-leasefile={LEASES}", "--dhcp-authoritative", "--pid-file=/run/dnsmasq.pid",
        )  # fmt: skip

    def start(self) -> None:
        do("hostapd", "-B", "-P", "/run/hostapd.pid", *self._configs)

    def stop(self) -> None:
        os.kill(int(read("/run/hostapd.pid")), signal.SIGTERM)
        wait_until(lambda: not os.path.exists("/run/hostapd.pid"), "hostapd stops")

    def bssids(self) -> dict[str, str]:
        """The address of each BSS."""
        return {ifname: read(f"/sys/class/net/{ifname}/address").strip() for ifname in BSSES}


def _radio(ifname: str, channel: str) -> str:
    common = f"bridge=br-lan\nctrl_interface={SOCKETS}\nap_max_inactivity={INACTIVE_S}\n"
    return f"""
interface={ifname}
driver=nl80211
{common}
{channel}
ieee80211n=1
ssid={OPEN}
bss={ifname}-1
{common}
ssid={OFFICE}
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_passphrase={PASSPHRASE}
"""


class Phones(list["Phone"]):
    """Those of these radios, in a network namespace: one supplicant, to fit a small machine."""

    def __init__(self, numbers: range) -> None:
        do("ip", "netns", "add", _NAMESPACE)
        for setting in ("arp_ignore=1", "arp_announce=2", "rp_filter=0"):  # each for itself
            _do_there("sysctl", "-q", "-w", f"net.ipv4.conf.all.{setting}")
        _do_there("sysctl", "-q", "-w", "net.ipv6.conf.default.disable_ipv6=1")
        super().__init__(Phone(number) for number in numbers)
        config = write("/run/phones.conf", _NETWORKS)
        each = [["-i", phone.ifname, "-D", "nl80211", "-c", config] for phone in self]
        joined = [word for words in each for word in ["-N", *words]][1:]
        _do_there("wpa_supplicant", "-B", *joined)


class Phone:
    """A station. `number` is its radio's: phy2 and wlan2 is the first phone."""

    def __init__(self, number: int) -> None:
        self.ifname = f"wlan{number}"
        self.address = ""  # what DHCP gave
        self._phy = f"phy{number}"
        do("iw", "phy", self._phy, "set", "netns", "name", _NAMESPACE)
        self.mac = _do_there("cat", f"/sys/class/net/{self.ifname}/address").strip()

    def join(self, ssid: str, bssid: str) -> None:
        number = 0 if ssid == OPEN else 1
        self._command(f"BSSID {number} {bssid}")
        self._command(f"SELECT_NETWORK {number}")

    def roam(self, bssid: str) -> None:
        """To another BSS of the same network, as a phone does that walks: without leaving."""
        self._command("BSSID 0 00:00:00:00:00:00")
        self._command("SCAN TYPE=ONLY freq=2437,5180")
        wait_until(lambda: bssid in self._command("SCAN_RESULTS"), "the other radio is heard")
        self._command(f"ROAM {bssid}")
        self._command(f"BSSID 0 {bssid}")  # and back to it, should hostapd be started again

    def leave(self) -> None:
        self._command("DISCONNECT")

    def sleep(self) -> None:
        """Stays a client, and says nothing more."""
        write(HWSIM.format(self._phy, "ps"), str(POWER_SAVE))

    def wake(self) -> None:
        write(HWSIM.format(self._phy, "ps"), "0")

    def vanish(self) -> None:
        """Its battery is empty: the access point hears nothing."""
        write(HWSIM.format(self._phy, "group"), str(DEAF_TO_AP))

    def ask_for_address(self) -> None:
        script = write(
            "/run/udhcpc.sh",
            '#!/bin/sh\n[ "$1" != bound ] || { ip addr flush dev $interface\n'
            "ip addr add $ip/24 dev $interface\n}\n",
        )
        os.chmod(script, 0o755)
        _do_there("busybox", "udhcpc", "-i", self.ifname, "-n", "-q", "-t", "9", "-T", "2",
                  "-s", script)  # fmt: skip
        output = _do_there("ip", "-4", "-o", "addr", "show", "dev", self.ifname)
        self.address = output.split("inet ")[1].split("/")[0]

    def socket(self) -> socket.socket:
        """A datagram socket of the phone."""
        with _inside(_NAMESPACE):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.ifname.encode())
        made.bind((self.address, 9000))
        made.settimeout(0.5)
        return made

    def _command(self, command: str) -> str:
        """A word to wpa_supplicant, and its answer."""
        own = f"/run/{self.ifname}-ask"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(own)
            asking.bind(own)
            asking.connect(f"{_SUPPLICANT}/{self.ifname}")
            asking.settimeout(PATIENCE_S)
            asking.send(command.encode())
            answer = asking.recv(65536).decode(errors="replace")
        assert not answer.startswith("FAIL"), f"{command}: {answer}"
        return answer


def _do_there(*command: str) -> str:
    return do("ip", "netns", "exec", _NAMESPACE, *command)


@contextlib.contextmanager
def _inside(namespace: str) -> Iterator[None]:
    """This thread in another network namespace, and back."""
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace}") as away:
        _enter(away.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(fileno: int) -> None:
    if _libc.setns(fileno, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Uplink:
    """The machine's network card, whose cable can be made bad."""

    _DIRECTIONS = ("eth0", "ifb0")  # out, and in: netem works on what leaves an interface

    def __init__(self) -> None:
        do("modprobe", "virtio_net")
        do("modprobe", "ifb", "numifbs=1")
        wait_until(lambda: os.path.exists("/sys/class/net/eth0"), "the card appears")
        for ifname in self._DIRECTIONS:
            do("ip", "link", "set", ifname, "up")
        do("ip", "addr", "add", "10.0.2.15/24", "dev", "eth0")
        do("ip", "route", "add", "default", "via", "10.0.2.2")
        do("tc", "qdisc", "add", "dev", "eth0", "ingress")
        do("tc", "filter", "add", "dev", "eth0", "parent", "ffff:", "matchall",
           "action", "mirred", "egress", "redirect", "dev", "ifb0")  # fmt: skip

    def spoil(self, *netem: str) -> None:
        """`delay 200ms`, `loss 100%`; nothing mends it."""
        for ifname in self._DIRECTIONS:
            verb = ("replace", "netem", *netem) if netem else ("del",)
            do("tc", "qdisc", verb[0], "dev", ifname, "root", *verb[1:])

    def unplug(self) -> None:
        do("ip", "link", "set", "eth0", "down")

    def plug_in(self) -> None:
        do("ip", "link", "set", "eth0", "up")
        do("ip", "route", "replace", "default", "via", "10.0.2.2")


def frequency_of(ifname: str) -> int:
    """What iw says of a BSS's channel, in MHz."""
    found = re.search(r"\((\d+) MHz\)", do("iw", "dev", ifname, "info"))
    return int(found[1]) if found else 0
