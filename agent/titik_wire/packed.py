"""A sample in a third of its bytes, for uplinks that are paid by the megabyte.

A packed payload is one marker byte, which no JSON begins with, and a raw DEFLATE stream (RFC 1951)
that may refer back to DICTIONARY. Each stands for itself: no reader needs another message.

Rule: DICTIONARY never changes; another one would come with a marker of its own.
Rule: whatever is unpacked, memory stays bounded by MAX_PAYLOAD; anything but one whole stream, no
more and no less, is a WireError.

`python3 -m titik_wire.packed` reads payloads in hexadecimal, one a line, packed or not, and prints
them as JSON.
"""

import sys
import zlib
from typing import Final

from titik_wire.errors import WireError
from titik_wire.limits import MAX_PAYLOAD

MARKER: Final = b"\x01"
CONTENT_TYPE: Final = "application/x-titik"  # of MQTT 5, for who watches; 22 bytes of each sample

# A sample with every section, as OpenWrt's names and a quiet evening have it, and before it what
# other routers say. What matches best stands last, where references are shortest.
DICTIONARY: Final = (
    b'"wlan1","wlan0-1","wlan0","eth1","eth0","pppoe-wan","wwan0","lan1","br-guest","phy0-ap1"'
    b'"failed":["hostapd","survey","netdev","leases","reach","probe"],"saturated":true,'
    b'"past":[{"ifname":"phy0-ap0","role":"bss","since":"","band":"6g","clock":"guess",'
    b'"probe":{"at_uptime_ms":1,"gateway_up":true,"gateway_ms":1.0,"icmp_ms":1,'
    b'"icmp_loss_ratio":0.0,"lan_devices":1},"truncated":true}'
    b'{"v":1,"router":"taman-1","run":"0","first_seq":1,"seq":1,"spool":{"0":[1,1]},"boot":"-4",'
    b'"uptime_ms":1,"taken_at":"2026-12-01T12:00:00.000Z","clock":"ntp","covers_ms":30000,'
    b'"agent":{"rss_bytes":20,"spooled":1,"merged":0,"lost":0,"corrupt":0},"clients":1,'
    b'"clients_min":1,"clients_max":1,"active":1,"client_ms":1,"observed_ms":1,"bss":['
    b'{"ifname":"phy0-ap0","ssid":"Free WiFi Kota","band":"2g","channel":6,'
    b'"utilization_ratio":0.1,"clients":1,"clients_min":1,"clients_max":1,"client_ms":1,'
    b'"active":1,"weak":0,"since":"0/1","rx_bytes":1,"tx_bytes":1},'
    b'{"ifname":"phy1-ap0","ssid":"Free WiFi Kota","band":"5g","channel":36,'
    b'"utilization_ratio":0.1,"clients":1,"clients_min":1,"clients_max":1,"client_ms":1,'
    b'"active":1,"weak":0,"since":"0/1","rx_bytes":1,"tx_bytes":1}],"radios":['
    b'{"name":"phy0","channel":11,"noise_dbm":-95,"airtime_busy_ms":1,"airtime_active_ms":1},'
    b'{"name":"phy1","channel":36,"noise_dbm":-10,"airtime_busy_ms":1,"airtime_active_ms":1}],'
    b'"net":[{"ifname":"wan","role":"uplink","up":true,"since":"0/1","rx_bytes":1,"tx_bytes":1,'
    b'"rx_packets":1,"tx_packets":1,"rx_errors":0,"tx_errors":0,"rx_drops":0,"tx_drops":0},'
    b'{"ifname":"br-lan","role":"lan","up":true,"since":"0/1","rx_bytes":1,"tx_bytes":1,'
    b'"rx_packets":1,"tx_packets":1,"rx_errors":0,"tx_errors":0,"rx_drops":0,"tx_drops":0}],'
    b'"visitors":{"count":1,"since":"2026-11-30T16:00:00.000Z"},"leases":1,'
    b'"reach":{"dns_ms":1,"dns_failures":0,"tcp_ms":1,"tcp_failures":0,"attempts":1},'
    b'"host":{"uptime_s":1,"load_1m":0.0,"cpu_busy_ratio":0.0,"mem_total_bytes":1,'
    b'"mem_available_bytes":1,"disk_free_bytes":1,"temp_c":5}}'
)

_WINDOW: Final = 13  # 8 KiB: dictionary and most samples; zlib then takes 64 kB for a moment
_MEMORY: Final = 6


def pack(payload: bytes) -> bytes:
    """The payload packed, or as it is if that is shorter."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -_WINDOW, _MEMORY, zdict=DICTIONARY)
    packed = MARKER + deflate.compress(payload) + deflate.flush()
    return packed if len(packed) < len(payload) else payload


def is_packed(payload: bytes) -> bool:
    """Whether it is marked so."""
    return payload[:1] == MARKER


def unpack(payload: bytes) -> bytes:
    """What was packed; any other payload as it is; WireError for a damaged or too long one."""
    if not is_packed(payload):
        return payload
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"{len(payload)} bytes, at most {MAX_PAYLOAD} are allowed")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=DICTIONARY)
    try:
        plain = inflate.decompress(payload[1:], MAX_PAYLOAD + 1)
    except zlib.error as error:
        raise WireError(f"not packed as it says: {error}") from error
    if len(plain) > MAX_PAYLOAD:
        raise WireError(f"packed: more than {MAX_PAYLOAD} bytes, no more are allowed")
    if not inflate.eof:
        raise WireError("packed: cut short")
    if inflate.unused_data:
        raise WireError("packed: bytes after the end")
    if is_packed(plain):  # so that unpacking twice gives the same
        raise WireError("packed: twice")
    return plain


def main() -> None:
    """Payloads from standard input, one a line in hexadecimal, to standard output as they were."""
    for line in sys.stdin:
        try:
            print(unpack(bytes.fromhex(line)).decode(errors="replace"), flush=True)
        except ValueError as error:  # WireError too
            print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
